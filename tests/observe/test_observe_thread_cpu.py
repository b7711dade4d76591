"""What the threads of a process burnt, from two readings of their clocks."""

import pytest

from mmload.observe import thread_cpu
from mmload.observe.thread_cpu import ENDED, ThreadCpu, _Reading


def test_a_thread_that_got_the_id_of_one_that_ended_counts_from_nothing(monkeypatch):
    readings = [
        _Reading(0.0, 9.0, {1: (1.0, 0.5), 2: (5.0, 4.0)}),
        _Reading(1.0, 10.0, {1: (1.25, 0.5), 2: (0.5, 0.1)}),
    ]
    monkeypatch.setattr(thread_cpu, "_read", lambda pid: readings.pop(0))
    cpu = ThreadCpu(pid=1)
    cpu.begin()
    cpu.end()
    assert cpu.spent_s == pytest.approx({1: 0.25, 2: 0.5, ENDED: 0.25})
    assert cpu.waited_s == pytest.approx({1: 0.0, 2: 0.1})
