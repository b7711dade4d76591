"""Ranks of replicas: data-parallel ones have the same number in each, and are told apart by name everywhere."""

import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from typer.testing import CliRunner

from mmload.cli import app
from mmload.discover import ServerProcess
from mmload.serve.client import Announcement, RankWord, ServerInfo
from mmload.session.ranks import rank_infos

EXACT_SERVER = Path(__file__).parents[2] / "bench" / "exact_server.py"
LOAD = ("--rate", "20", "--warmup", "0s", "--duration", "30s", "--no-profile", "--workload", "text")
TITLES = [f"scheduler_DP{dp}_TP{tp}" for dp in range(2) for tp in range(2)]

# A server as SGLang makes one with data parallelism, whose ranks do nothing.
REPLICAS = """
import os, runpy, subprocess, sys

RANK = '''
import setproctitle, sys
setproctitle.setproctitle("sglang::" + sys.argv[1])
print(flush=True)
sys.stdin.read()
'''

exact_server, titles, sys.argv = sys.argv[1], sys.argv[2].split(","), ["exact_server", "0.02", sys.argv[3]]
pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
ranks = [subprocess.Popen([sys.executable, "-c", RANK, title], **pipes) for title in titles]
for rank in ranks:
    rank.stdout.readline()
sys.path.insert(0, os.path.dirname(exact_server))
runpy.run_path(exact_server, run_name="__main__")
"""


@pytest.fixture
def replicas(tmp_path):
    """(the server's URL, the pids of its ranks by name)."""
    command = [sys.executable, "-c", REPLICAS, str(EXACT_SERVER), ",".join(TITLES), str(tmp_path / "wire")]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    url = f"http://127.0.0.1:{int(server.stdout.readline())}"
    children = psutil.Process(server.pid).children()
    yield url, {child.cmdline()[0].removeprefix("sglang::"): child.pid for child in children}
    server.stdin.close()
    server.wait(10)


@pytest.mark.live
def test_ranks_of_replicas_are_in_the_manifest_and_the_summary_by_name_and_a_lost_one_is_named(mmload, replicas):
    url, pids = replicas
    run = mmload("run", *LOAD, "--url", url)
    run.until_measuring(answers=60)
    psutil.Process(pids["scheduler_DP1_TP0"]).kill()
    run.finish()
    assert run.code == 5, run.stderr
    manifest = run.document("manifest.json")
    assert manifest["error"] == f"scheduler_DP1_TP0 (pid {pids['scheduler_DP1_TP0']}) is gone"
    found = {rank["name"]: (rank["rank"], rank["pid"]) for rank in manifest["ranks"]}
    assert found == {name: (int(name[-1]), pids[name]) for name in TITLES}
    assert set(TITLES) < set(run.document("summary.json")["cpu"])
    shown = CliRunner().invoke(app, ["runs", "show", str(run.run_folder)]).output
    assert all(name.removeprefix("scheduler_") in shown for name in TITLES)


@pytest.mark.live
def test_of_processes_named_by_pid_a_lost_one_is_named_too(mmload, replicas):
    url, pids = replicas
    named = [word for pid in pids.values() for word in ("--pid", str(pid))]
    run = mmload("run", *LOAD, "--url", url, *named)
    run.until_measuring()
    psutil.Process(pids["scheduler_DP0_TP1"]).kill()
    run.finish()
    assert run.code == 5, run.stderr
    assert f"scheduler_DP0_TP1 (pid {pids['scheduler_DP0_TP1']}) is gone" in run.stderr


def processes(pid):
    return [
        ServerProcess(pid=pid + place, start_ticks=1, role="scheduler", rank=int(name[-1]), name=name)
        for place, name in enumerate(TITLES)
    ]


def info(words):
    said = Announcement(variant="commit", ranks=words)
    return ServerInfo(
        engine="sglang", version=None, model=None, tp=2, idle_policy="poll", announcement=said, images=None
    )


def test_a_rank_is_known_by_its_pid():
    words = [RankWord(1, "commit", 11), RankWord(1, "original", 13)]
    infos = rank_infos(processes(10), info(words))
    assert [(each.name, each.variant) for each in infos] == list(
        zip(TITLES, [None, "commit", None, "original"], strict=True)
    )


def test_in_a_container_it_is_known_by_its_number():
    words = [RankWord(0, "commit", 7), RankWord(1, "original", 8)]
    infos = rank_infos(processes(10), info(words))
    assert [each.variant for each in infos] == ["commit", "original"] * 2


def test_a_server_that_announces_nothing_has_ranks_without_a_variant():
    helper = ServerProcess(pid=9, start_ticks=1, role="other", rank=None, name="other-1")
    infos = rank_infos([helper, *processes(10)], None)
    assert [(each.name, each.variant) for each in infos] == [(name, None) for name in TITLES]
