"""How a stand-in starts and ends, and what it leaves behind: nothing."""

import concurrent.futures
import os
import signal
import socket
import subprocess
import sys

import psutil
import pytest
from served import PATIENCE_S, chat, picture

from mmload.serve.engines import start_command

pytestmark = pytest.mark.live


def all_gone(server):
    """Wait for the end of the server and all its ranks."""
    _, alive = psutil.wait_procs(server.ranks, PATIENCE_S)
    return not alive and server.process.wait(PATIENCE_S) is not None


@pytest.fixture
def temporary(tmp_path_factory, monkeypatch):
    """The folder in which a server started by the test puts its temporary files; short, as sockets need it."""
    folder = tmp_path_factory.mktemp("t")
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder


def run(*extra):
    words = [sys.executable, "-m", "mmload.standin", *extra]
    return subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE_S, check=False)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_ends_all_ranks_and_leaves_no_file(start, temporary, number):
    server = start("commit")
    server.answer(picture())
    server.process.send_signal(number)
    assert all_gone(server)
    assert server.process.returncode == 0
    assert server.process.stderr.read() == ""
    assert list(temporary.iterdir()) == []


def test_a_stop_waits_for_the_request_in_flight(start):
    server = start("original", 2, "--config", "standin")
    connection, response = server.open("POST", "/v1/chat/completions", chat(picture(), max_tokens=60, stream=True))
    assert response.readline()
    server.process.terminate()
    rest = response.read()
    connection.close()
    assert rest.count(b'"content":" ') == 60
    assert b"[DONE]" in rest
    assert all_gone(server)
    assert server.process.returncode == 0


def test_a_second_stop_does_not_wait(start):
    server = start("original", 2, "--config", "standin")
    connection, response = server.open("POST", "/v1/chat/completions", chat(max_tokens=60_000, stream=True))
    assert response.readline()
    server.process.terminate()
    assert server.process.stdout is not None
    while response.readline():  # tokens still come, until the second signal
        server.process.terminate()
    connection.close()
    assert all_gone(server)
    assert server.process.returncode == 0


def test_ctrl_c_reaches_the_whole_group_and_still_drains(start):
    server = start("original", 2, "--config", "standin")
    connection, response = server.open("POST", "/v1/chat/completions", chat(max_tokens=40, stream=True))
    assert response.readline()
    os.killpg(server.process.pid, signal.SIGINT)
    assert response.read().count(b'"content":" ') == 40
    connection.close()
    assert all_gone(server)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the kernel's promise is Linux's")
def test_when_the_front_end_is_killed_every_rank_ends_by_itself(start, temporary):
    server = start("original", 2)
    server.process.kill()
    assert all_gone(server)
    assert list(temporary.iterdir()) == []


@pytest.mark.parametrize("rank", [0, 1])
def test_a_killed_rank_is_noticed_said_and_ends_the_server(start, rank):
    server = start("original", 2, "--config", "standin")
    with concurrent.futures.ThreadPoolExecutor() as pool:
        streamed = server.open("POST", "/v1/chat/completions", chat(max_tokens=60_000, stream=True))
        assert streamed[1].readline()
        whole = pool.submit(server.post, "/v1/chat/completions", chat(max_tokens=60_000))
        while server.metrics()[RUNNING] < 2:
            pass
        server.ranks[rank].kill()
        status, reply = whole.result(PATIENCE_S)
        assert status == 500
        assert f"Scheduler rank {rank} (pid {server.ranks[rank].pid}) ended: killed by signal 9." in reply["message"]
        assert b'{"error":{"object":"error","message":"Scheduler rank' in streamed[1].read()
        assert server.get("/health")[0] == 503
        assert server.post("/v1/chat/completions", chat())[0] == 503
    assert all_gone(server)
    assert server.process.returncode == 5
    assert f"error: Scheduler rank {rank}" in server.process.stderr.read()


RUNNING = 'sglang:num_running_reqs{engine_type="unified",model_name="standin-vl",pp_rank="0",tp_rank="0"}'


def test_a_rank_killed_while_idle_is_noticed_too(start):
    server = start("original", 2)
    server.ranks[1].kill()
    assert all_gone(server)
    assert server.process.returncode == 5


def test_a_port_in_use_is_said_with_exit_code_5():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = run("--port", str(taken.getsockname()[1]))
    assert done.returncode == 5
    assert "is in use" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    "wrong",
    [
        ("--variant", "optimised"),
        ("--tp", "0"),
        ("--rank-variant", "9=original"),
        ("--config", "no-such"),
        ("--port", "x"),
    ],
    ids=" ".join,
)
def test_a_wrong_option_is_said_with_exit_code_2(wrong):
    done = run("--port", "0", *wrong)
    assert done.returncode == 2
    assert "error:" in done.stderr


def test_a_temporary_folder_too_deep_for_sockets_is_said_with_exit_code_5(tmp_path, monkeypatch):
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    monkeypatch.setenv("TMPDIR", str(deep))
    done = run("--port", "0")
    assert done.returncode == 5
    assert "hint: set TMPDIR" in done.stderr
    assert list(deep.iterdir()) == []


def test_a_variant_that_breaks_at_the_start_ends_the_server(tmp_path):
    (tmp_path / "broken_variant.py").write_text(
        "from mmload.handoff.strategy import Strategy\n"
        "class Broken(Strategy):\n"
        "    def __init__(self, host):\n"
        "        if host.rank == 1: raise RuntimeError('not here')\n"
        "        super().__init__(host)\n"
    )
    words = start_command("standin", port=0, tp=2, variant="broken_variant:Broken")
    done = subprocess.run(
        words,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        check=False,
    )
    assert done.returncode == 5
    assert "Scheduler rank 1" in done.stderr


def test_an_idle_server_sleeps_and_a_polling_one_does_not(start):
    def cpu_s(rank):
        return sum(rank.cpu_times()[:2])

    asleep, polling = start("original", 2), start("original", 2, "--poll-on-idle")
    assert polling.info()["mmload"]["idle_policy"] == "poll"
    before = [cpu_s(rank) for rank in asleep.ranks]
    while min(cpu_s(rank) for rank in polling.ranks) < 0.3:  # a condition that only burning CPU fulfils
        pass
    assert max(cpu_s(rank) - start_s for rank, start_s in zip(asleep.ranks, before, strict=True)) <= 0.02
    assert polling.answer(picture()) == asleep.answer(picture())


def test_a_stop_before_it_is_ready_leaves_nothing_either(temporary):
    words = start_command("standin", port=0, tp=2, variant="original")
    starting = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert starting.stdout.readline().startswith("stand-in server on")
    ranks = psutil.Process(starting.pid).children()
    starting.terminate()
    _, errors = starting.communicate(timeout=PATIENCE_S)
    assert (starting.returncode, errors) == (0, "")
    assert not psutil.wait_procs(ranks, PATIENCE_S)[1]
    assert list(temporary.iterdir()) == []
