"""A fault is done at its moment, to the processes of its run, and nothing stays stopped."""

import os
import signal
import subprocess

import pytest

from mmload.model.live import LiveView
from mmload.selftest.faults import FREEZE_SERVER, KILL_RANK, STOP_GENERATOR, Blow, Fault, Striker, generator, server

VICTIM = 4711
ONE_SECOND = Fault(lambda _: [VICTIM], (Blow(1.0, signal.SIGSTOP), Blow(2.0, signal.SIGCONT)))


@pytest.fixture
def struck(monkeypatch):
    """The signals that were sent."""
    sent = []

    def kill(pid, number):
        assert pid == VICTIM
        sent.append(number)

    monkeypatch.setattr(os, "kill", kill)
    return sent


def begun(out):
    folder = out / "20261120T031500Z-original-9f3c"
    folder.mkdir()
    (folder / "manifest.json").write_text("{}")


def measuring(elapsed_s, stage="measure"):
    return LiveView(stage=stage, stage_elapsed_s=elapsed_s)


def test_each_blow_falls_once_and_not_before_its_moment(tmp_path, struck):
    striker = Striker(ONE_SECOND, tmp_path)
    begun(tmp_path)
    fallen = []
    for view in (measuring(9.0, "warmup"), *map(measuring, (0.5, 1.0, 1.9, 2.1, 3.0))):
        striker.look(view)
        fallen.append(len(struck))
    striker.release()
    assert fallen == [0, 0, 1, 1, 2, 2]
    assert struck == [signal.SIGSTOP, signal.SIGCONT]
    assert len(striker.struck_ns) == 2
    assert striker.struck_ns == sorted(striker.struck_ns)


def test_what_is_stopped_when_the_run_ends_is_let_go(tmp_path, struck):
    striker = Striker(ONE_SECOND, tmp_path)
    begun(tmp_path)
    striker.look(measuring(1.0))
    striker.release()
    assert struck == [signal.SIGSTOP, signal.SIGCONT]


def test_a_driver_that_comes_late_still_does_all_of_it(tmp_path, struck):
    striker = Striker(ONE_SECOND, tmp_path)
    begun(tmp_path)
    striker.look(measuring(1.2))
    striker.look(measuring(0.1, "drain"))
    assert struck == [signal.SIGSTOP, signal.SIGCONT]


def test_a_victim_that_is_gone_is_no_error(tmp_path):
    victim = subprocess.Popen(["true"])
    victim.wait()
    striker = Striker(Fault(lambda _: [victim.pid], ONE_SECOND.blows), tmp_path)
    begun(tmp_path)
    striker.look(measuring(1.0))
    striker.release()
    assert len(striker.struck_ns) == 1


def test_without_a_fault_nothing_is_looked_for(tmp_path):
    striker = Striker(None, tmp_path / "absent")
    striker.look(measuring(5.0))
    striker.release()
    assert striker.struck_ns == []


def test_a_fault_without_victims_was_not_done(tmp_path):
    striker = Striker(Fault(lambda _: [], KILL_RANK.blows), tmp_path)
    begun(tmp_path)
    striker.look(measuring(1.0))
    assert striker.struck_ns == []


def test_victims_are_found_in_what_the_run_knows(made_run):
    pids = {sample.role: set() for sample in made_run.processes}
    for sample in made_run.processes:
        pids[sample.role].add(sample.pid)
    assert set(server(made_run)) == pids["tokenizer"] | pids["scheduler"]
    assert set(generator(made_run)) == pids.get("generator", set())
    (lost,) = KILL_RANK.victims(made_run)
    assert lost == made_run.manifest.ranks[1].pid


@pytest.fixture
def made_run(tmp_path):
    from factory import make_run

    return make_run(tmp_path)


@pytest.mark.parametrize("fault", [STOP_GENERATOR, FREEZE_SERVER])
def test_what_is_stopped_goes_on_again(fault):
    assert [blow.signal for blow in fault.blows] == [signal.SIGSTOP, signal.SIGCONT]
