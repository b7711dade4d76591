"""Real workers, commanded as a run commands them."""

import os
import signal
from collections import Counter
from itertools import pairwise

import pytest

from mmload.drive.job import Stop
from mmload.errors import FolderError
from mmload.model.records import AnswerRecord
from mmload.store.read import read_lines

pytestmark = pytest.mark.live


@pytest.mark.parametrize("workers", [1, 2])
def test_every_scheduled_request_has_exactly_one_record(server, run_load, workers):
    load = run_load(server(0.02), rate_rps=100, workers=workers)
    start_ns = load.start()
    records = load.finish()
    schedule = load.schedule.main
    assert len({record.id for record in records}) == len(records) == len(schedule)
    assert sorted(record.due_ns - start_ns for record in records) == schedule.due_offset_ns.tolist()
    assert Counter(record.phase for record in records) == {"warmup": 50, "measure": 100}
    assert {record.outcome for record in records} == {"ok"}
    assert {record.worker for record in records} == set(range(workers))


def test_no_request_is_sent_before_it_is_due_nor_lost_time_hidden(server, run_load):
    load = run_load(server(0.02), rate_rps=100)
    load.start()
    for record in load.finish():
        assert record.due_ns <= record.sent_ns < record.first_byte_ns <= record.done_ns
        assert record.done_ns - record.sent_ns >= 20_000_000


def test_a_closed_loop_keeps_its_slots_busy(server, run_load):
    load = run_load(server(0.02), concurrency=5, workers=2)
    load.start()
    records = load.finish()
    ends = sorted([(r.sent_ns, 1) for r in records] + [(r.done_ns, -1) for r in records])
    in_flight = most = 0
    for _, change in ends:
        in_flight += change
        most = max(most, in_flight)
    assert most == 5
    assert {record.phase for record in records} == {"warmup", "measure"}
    assert len({record.item for record in records}) > 20


def test_identity_items_go_one_at_a_time(server, run_load):
    load = run_load(server(0.01), rate_rps=100, workers=2)
    load.start("identity")
    records = load.finish("identity")
    assert [record.phase for record in records] == ["identity"] * 3
    for before, after in pairwise(records):
        assert after.sent_ns >= before.done_ns
    answers = read_lines(load.layout.answers, AnswerRecord)
    assert [(answer.id, answer.text, answer.cut) for answer in answers] == [(r.id, "hi", False) for r in records]


def test_a_stop_drops_what_is_left_and_cuts_off_what_is_in_flight(server, run_load):
    load = run_load(server(5.0), rate_rps=100)
    load.start()
    load.until(lambda: load.fleet.samples and load.fleet.samples[0].in_flight >= 10)
    load.fleet.command(Stop("the test says so"))
    records = load.finish()
    assert len(records) == len(load.schedule.main)
    outcomes = Counter(record.outcome for record in records)
    assert outcomes["connection_error"] >= 10
    assert outcomes["dropped"] >= 1
    assert outcomes.total() == outcomes["connection_error"] + outcomes["dropped"]
    assert {r.error for r in records if r.outcome == "dropped"} == {"the test says so"}
    assert all(r.sent_ns is None for r in records if r.outcome == "dropped")


def test_an_answer_that_never_comes_is_a_timeout_counted_from_sent(server, run_load):
    load = run_load(server(5.0), rate_rps=20, timeout_s=0.3)
    load.start()
    for record in load.finish():
        assert record.outcome == "timeout"
        assert record.done_ns - record.sent_ns >= 300_000_000


def test_a_frozen_worker_confesses_its_stall(server, run_load):
    load = run_load(server(0.01), rate_rps=50, duration_s=2.0)
    load.start()
    load.until(lambda: load.fleet.samples and load.fleet.samples[0].done > 5)
    os.kill(load.fleet.pids["generator-0"], signal.SIGSTOP)
    load.fleet.poll(1.0)
    os.kill(load.fleet.pids["generator-0"], signal.SIGCONT)
    records = load.finish()
    assert len(records) == len(load.schedule.main)
    assert load.fleet.longest_stall_ms > 800
    assert max(record.sent_ns - record.due_ns for record in records) > 500_000_000


def test_a_killed_worker_is_named(server, run_load):
    load = run_load(server(0.01), rate_rps=50, workers=2)
    load.start()
    os.kill(load.fleet.pids["generator-1"], signal.SIGKILL)
    load.until(lambda: load.fleet.lost)
    assert load.fleet.lost == ["worker 1 ended with exit code -9: see logs/worker-1.log"]


def test_a_full_disk_stops_the_worker_and_says_so(server, run_load):
    load = run_load(server(0.01), rate_rps=200, duration_s=3.0)
    pid = load.fleet.pids["generator-0"]
    import resource

    resource.prlimit(pid, resource.RLIMIT_FSIZE, (20_000, 20_000))
    load.start()
    with pytest.raises(FolderError, match="the disk is full"):
        load.until(lambda: load.fleet.is_drained("main"))
    assert 0 < len(load.records) < len(load.schedule.main)
