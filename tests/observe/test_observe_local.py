"""The observer of this host's own processes."""

import subprocess
from types import SimpleNamespace

import pytest
from agents import TitledServer

from mmload.discover import discover, server_roots
from mmload.errors import ServerError
from mmload.observe.local import LocalObserver


@pytest.fixture
def titled():
    server = TitledServer("sglang::scheduler_TP0")
    yield server
    server.end()


@pytest.mark.live
def test_a_server_is_found_by_its_port_its_own_process_or_its_pids(titled):
    by_port = LocalObserver(port=titled.port).find()
    assert [process.name for process in by_port] == ["tokenizer", "scheduler_TP0"]
    assert LocalObserver(root=titled.pid).find() == by_port
    assert LocalObserver(pids=[process.pid for process in by_port]).find() == by_port
    assert LocalObserver().find() == []


@pytest.mark.live
def test_a_server_that_ended_is_not_found_and_neither_is_what_takes_its_pid(titled):
    observer = LocalObserver(port=titled.port)
    assert observer.find()
    pid, start_ticks = observer._root
    observer._root = (pid, start_ticks - 1)
    assert observer.find() == []
    observer._root = (pid, start_ticks)
    titled.end()
    assert observer.find() == []


@pytest.mark.live
def test_a_named_process_whose_pid_another_took_over_is_gone(titled):
    observer = LocalObserver(pids=[titled.pid])
    assert observer.find()
    observer._first[titled.pid] -= 1
    with pytest.raises(ServerError, match="another has its pid"):
        observer.find()


def test_a_port_that_nothing_listens_on_is_an_error():
    with pytest.raises(ServerError, match="no process on this host listens"):
        LocalObserver(port=1).find()


@pytest.mark.live
def test_who_started_ranks_is_a_root_and_who_did_not_is_none(titled):
    other = TitledServer("some_other_daemon")
    roots = server_roots()
    other.end()
    assert titled.pid in roots
    assert other.pid not in roots
    assert {process.pid for process in discover(titled.pid)}.isdisjoint({other.pid})


def roots_of(monkeypatch, processes):
    """server_roots of a host with processes {pid: (ppid, title, session)}."""
    stats = {pid: SimpleNamespace(ppid=ppid) for pid, (ppid, _, _) in processes.items()}
    monkeypatch.setattr("mmload.discover._all_stats", lambda: stats)
    monkeypatch.setattr("mmload.discover._title", lambda pid: processes[pid][1])
    monkeypatch.setattr("mmload.discover._session", lambda pid: processes[pid][2])
    return server_roots()


def test_behind_a_controller_the_root_is_who_started_that(monkeypatch):
    processes = {
        1: (0, "init", 1),
        10: (1, "python", 10),
        11: (10, "sglang::data_parallel_controller", 10),
        12: (11, "sglang::scheduler_DP0_TP0", 10),
        13: (11, "sglang::scheduler_DP1_TP0", 10),
    }
    assert roots_of(monkeypatch, processes) == [10]


def test_init_that_adopted_a_rank_is_no_root_and_a_server_that_is_init_in_its_container_is_one(monkeypatch):
    adopted = {1: (0, "init", 1), 12: (1, "sglang::scheduler_TP0", 10)}
    assert roots_of(monkeypatch, adopted) == []
    container = {1: (0, "python", 1), 12: (1, "sglang::scheduler_TP0", 1)}
    assert roots_of(monkeypatch, container) == [1]


def test_an_unrelated_process_has_no_word_of_the_kernel_once_it_is_gone():
    sleeper = subprocess.Popen(["sleep", "60"])
    observer = LocalObserver(pids=[sleeper.pid])
    found = observer.find()
    assert set(observer.states(found)) == {"other-1"}
    sleeper.kill()
    sleeper.wait()
    assert observer.states(found) == {}
