"""Which processes a server has, by port, title and parentage."""

import signal
import socket
import subprocess
import sys
import time
from types import SimpleNamespace

import msgspec
import psutil
import pytest

from mmload.discover import ServerProcess, _classify, discover, find_listener, from_pids, read_stat, verify_same
from mmload.errors import ServerError

# A server as SGLang makes one: an untitled parent that listens, titled ranks, a helper, a grandchild.
SERVER = """
import socket, subprocess, sys

CHILD = '''
import subprocess, sys
from setproctitle import setproctitle
setproctitle(sys.argv[1])
below = subprocess.Popen([sys.executable, "-c", sys.argv[2]], stdin=subprocess.PIPE) if len(sys.argv) > 2 else None
print(flush=True)
sys.stdin.read()
'''

children = []
def start(*arguments):
    child = subprocess.Popen([sys.executable, "-c", CHILD, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    child.stdout.readline()
    children.append(child)

for title in sys.argv[1:]:
    start(title)
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], *(child.pid for child in children), flush=True)
sys.stdin.read()
"""


@pytest.fixture
def server():
    """Starts one with children of the given titles: (its pid, its port, the children's pids). A child ends when its
    parent does."""
    started = []

    def start(*titles):
        process = subprocess.Popen(
            [sys.executable, "-c", SERVER, *titles], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        started.append(process)
        port, *pids = (int(word) for word in process.stdout.readline().split())
        return process.pid, port, pids

    yield start
    for process in started:
        process.communicate()


def process(name, pid=1, start_ticks=1, role="scheduler"):
    return ServerProcess(pid=pid, start_ticks=start_ticks, role=role, rank=0, name=name)


@pytest.mark.parametrize(
    ("title", "role", "rank", "name"),
    [
        ("sglang::scheduler", "scheduler", 0, "scheduler_TP0"),
        ("sglang::scheduler_TP0", "scheduler", 0, "scheduler_TP0"),
        ("sglang::scheduler_TP11", "scheduler", 11, "scheduler_TP11"),
        ("sglang::scheduler_DP0_TP1", "scheduler", 1, "scheduler_DP0_TP1"),
        ("sglang::scheduler_DP1", "scheduler", 0, "scheduler_DP1_TP0"),
        ("sglang::scheduler_PP1_TP3_EP2", "scheduler", 3, "scheduler_PP1_TP3_EP2"),
        ("sglang::scheduler_DP0_PP0_TP1", "scheduler", 1, "scheduler_DP0_PP0_TP1"),
        ("sglang::scheduler_DP1_ATTN_CP2_MOE_DP3_TP4", "scheduler", 4, "scheduler_DP1_ATTN_CP2_MOE_DP3_TP4"),
        ("sglang::detokenizer", "detokenizer", None, "detokenizer"),
        ("sglang::tokenizer_worker:4711", "tokenizer", None, "tokenizer"),
        ("sglang::data_parallel_controller", "other", None, "other"),
        ("sglang::scheduler_of_something", "other", None, "other"),
        ("/usr/bin/python3", "other", None, "other"),
        ("", "other", None, "other"),
    ],
)
def test_a_title_tells_role_rank_and_name(title, role, rank, name):
    assert _classify(title, is_root=False) == (role, rank, name)


def test_the_process_that_listens_is_the_tokenizer_though_it_has_no_title():
    assert _classify("/usr/bin/python3", is_root=True) == ("tokenizer", None, "tokenizer")


@pytest.mark.live
def test_a_server_is_found_from_its_port_alone(server):
    pid, port, pids = server("sglang::scheduler_TP0", "sglang::scheduler_TP1", "sglang::detokenizer", "helper")
    assert find_listener(port) == pid
    found = {process.name: process for process in discover(pid)}
    assert {name: process.pid for name, process in found.items()} == {
        "tokenizer": pid,
        "scheduler_TP0": pids[0],
        "scheduler_TP1": pids[1],
        "detokenizer": pids[2],
        "other-1": pids[3],
    }
    assert found["scheduler_TP1"].rank == 1
    assert found["tokenizer"].start_ticks == read_stat(pid).start_ticks


@pytest.mark.live
def test_ranks_of_replicas_and_stages_are_named_apart_and_one_that_is_lost_is_named(server):
    titles = [f"scheduler_DP{dp}_PP{pp}_TP{tp}" for dp in range(2) for pp in range(2) for tp in range(2)]
    pid, _, pids = server("sglang::data_parallel_controller", *(f"sglang::{title}" for title in titles))
    before = discover(pid)
    ranks = {process.name: process for process in before if process.role == "scheduler"}
    assert [(name, rank.rank, rank.pid) for name, rank in ranks.items()] == [
        (title, number % 2, pids[1 + number]) for number, title in enumerate(titles)
    ]
    psutil.Process(pids[6]).kill()
    while read_stat(pids[6]) is not None:
        time.sleep(0.001)
    assert verify_same(before, discover(pid)) == [f"scheduler_DP1_PP0_TP1 (pid {pids[6]}) is gone"]


@pytest.mark.live
def test_processes_of_the_same_title_have_names_of_their_own(server):
    pid, _, _ = server("sglang::scheduler_TP0", "sglang::scheduler_TP0")
    assert [process.name for process in discover(pid)] == ["tokenizer", "scheduler_TP0", "scheduler_TP0-1"]


@pytest.mark.live
def test_given_pids_are_taken_as_they_are_and_their_parent_is_the_tokenizer(server):
    pid, _, pids = server("sglang::scheduler_TP0", "sglang::scheduler_TP1")
    assert [process.name for process in from_pids([pids[1], pid])] == ["tokenizer", "scheduler_TP1"]
    assert [process.name for process in from_pids([pid])] == ["other-1"]


@pytest.mark.live
def test_a_killed_rank_is_gone_though_nobody_has_reaped_it(server):
    pid, _, pids = server("sglang::scheduler_TP0", "sglang::scheduler_TP1")
    before = discover(pid)
    psutil.Process(pids[1]).send_signal(signal.SIGKILL)
    while read_stat(pids[1]) is not None:
        time.sleep(0.001)
    assert psutil.Process(pids[1]).status() == psutil.STATUS_ZOMBIE
    assert verify_same(before, discover(pid)) == [f"scheduler_TP1 (pid {pids[1]}) is gone"]


@pytest.mark.live
def test_of_processes_that_share_a_socket_the_first_is_the_listener():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        code = "import sys; print(flush=True); sys.stdin.read()"
        child = subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=[listener.fileno()],
        )
        child.stdout.readline()
        assert find_listener(listener.getsockname()[1]) == psutil.Process().pid
        child.communicate()


def test_a_port_that_nobody_listens_on_is_an_error_with_a_hint():
    with socket.socket() as unbound:
        unbound.bind(("127.0.0.1", 0))
        port = unbound.getsockname()[1]
        with pytest.raises(ServerError, match=f"no process on this host listens on port {port}") as caught:
            find_listener(port)
    assert "--pid" in caught.value.hint


def test_a_listener_that_the_kernel_hides_is_an_error_with_a_hint(monkeypatch):
    address = SimpleNamespace(ip="127.0.0.1", port=30000)
    hidden = SimpleNamespace(fd=-1, laddr=address, status=psutil.CONN_LISTEN, pid=None)
    monkeypatch.setattr(psutil, "net_connections", lambda kind: [hidden])
    with pytest.raises(ServerError, match="another user") as caught:
        find_listener(30000)
    assert "--pid" in caught.value.hint


def test_a_pid_that_is_not_there_is_an_error():
    with pytest.raises(ServerError, match="no process has the pid"):
        from_pids([2**22 + 1])


def test_a_server_that_is_gone_has_no_processes():
    assert discover(2**22 + 1) == []


@pytest.mark.live
def test_a_name_with_blanks_and_brackets_does_not_confuse_the_reading():
    code = "from setproctitle import setthreadtitle; setthreadtitle('a) R 1 2 ('); print(flush=True); input()"
    child = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    child.stdout.readline()
    assert read_stat(child.pid).ppid == psutil.Process().pid
    child.communicate(b"\n")


def test_what_changed_between_two_discoveries_is_said_in_sentences():
    before = [process("scheduler_TP0", 10), process("scheduler_TP1", 11), process("other-1", 12, role="other")]
    assert verify_same(before, before) == []
    assert verify_same(before, before[:2]) == []
    assert verify_same(before, before[:1]) == ["scheduler_TP1 (pid 11) is gone"]
    restarted = [before[0], process("scheduler_TP1", 15)]
    assert verify_same(before, restarted) == ["scheduler_TP1 was restarted: pid 11 became 15"]
    extra = [*before, process("scheduler_TP2", 16)]
    assert verify_same(before, extra) == ["scheduler_TP2 (pid 16) appeared"]


def test_a_pid_that_was_used_again_is_another_process():
    before = process("scheduler_TP0", 10, start_ticks=100)
    after = msgspec.structs.replace(before, start_ticks=200)
    assert verify_same([before], [after]) == ["scheduler_TP0 was restarted: pid 10 became 10"]
