"""What goes wrong inside real SGLang goes wrong for one request, or ends the server in words; nothing hangs."""

import concurrent.futures
import contextlib
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from planted import SPOILED_PX
from served import PATIENCE_S, chat, picture
from sglang_server import SglangServer
from variant_rows import Grown, backlog, eventually

pytestmark = pytest.mark.sglang
SPOILED = chat(picture(9, SPOILED_PX, SPOILED_PX))


@pytest.fixture
def start(tmp_path):
    """start(variant) -> a server, which ends with the test."""
    servers = []

    def start(variant):
        servers.append(SglangServer(variant, tmp_path / f"{len(servers)}.log", folders=[Path(__file__).parent]))
        return servers[-1]

    yield start
    for server in servers:
        server.end()
        assert not any(process.is_running() for process in server.tree)


def test_malformed_features_fail_their_request_alone_and_a_killed_rank_ends_the_server(start):
    server = start("planted:Malformed")
    first = server.answer(picture(1))
    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        spoiled = [pool.submit(server.post, "/v1/chat/completions", SPOILED) for _ in range(2)]
        sound = [pool.submit(server.answer, picture(1)) for _ in range(4)]
        for each in spoiled:
            status, reply = each.result(PATIENCE_S)
            assert (status, "can't be built" in reply["message"]) == (400, True), reply
        assert {each.result(PATIENCE_S) for each in sound} == {first}
    server.ranks[1].kill()
    with contextlib.suppress(OSError):
        server.post("/v1/chat/completions", chat(picture(2)))
    server.process.wait(PATIENCE_S)
    psutil.wait_procs(server.tree, PATIENCE_S)


def test_a_full_cache_costs_builds_and_no_answer_and_ranks_that_disagree_end_the_server(start):
    server = start("planted:SmallCache")
    truth = {seed: server.answer(picture(seed)) for seed in range(8)}
    grown = Grown(server)
    assert backlog(server, list(truth)) == truth
    assert grown("fallbacks") == grown("cache_evictions")
    assert grown("fallbacks")[1] == grown("fallbacks")[2] > 0
    assert grown("cache_hits")[1] + grown("fallbacks")[1] == len(truth)
    with contextlib.suppress(OSError):
        server.post("/v1/chat/completions", SPOILED)
    server.process.wait(2 * PATIENCE_S)
    assert "would hang in their next forward pass" in server.said()


def test_what_a_killed_server_leaves_the_next_start_sweeps_and_a_lying_rank_is_not_measured(start, tmp_path):
    killed = start("shm")
    killed.ranks[0].suspend()
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        asked = [pool.submit(try_to_ask, killed, seed) for seed in range(2)]
        eventually(lambda: len(killed.segments()) == 2)
        killed.kill()
        concurrent.futures.wait(asked, PATIENCE_S)
    assert len(killed.segments()) == 2
    server = start("planted:Liar")
    assert killed.segments() == []
    words = ["run", "--url", server.url, "--duration", "2s", "--no-profile", "--out", str(tmp_path / "out")]
    done = subprocess.run(
        [sys.executable, "-m", "mmload", *words], capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, "asked for variant liar, but rank 1 runs commit" in done.stderr) == (5, True), done.stderr


def try_to_ask(server, seed):
    with contextlib.suppress(OSError):  # the server is killed
        server.post("/v1/chat/completions", chat(picture(seed)))
