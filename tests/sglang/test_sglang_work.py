"""Where the CPU of real SGLang's processes goes."""

import json
import subprocess
import sys

import pytest
from sglang_server import SglangServer

pytestmark = pytest.mark.sglang


def mmload(folder, *args):
    """The summary that a command prints."""
    command = [sys.executable, "-m", "mmload", *map(str, args), "--json", "--out", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode in (0, 4), done.stderr  # 4: a generator beside two SGLang ranks on two cores
    return json.loads(done.stdout)


def ranks_of(summary):
    return {name: cpu for name, cpu in summary["cpu"].items() if name.startswith("scheduler")}


def test_a_rank_that_polls_burns_its_core_for_nothing_and_works_as_much_per_request(tmp_path):
    rest, load = {}, {}
    for policy, variant in (("--poll-on-idle", "original"), ("--sleep-on-idle", "optimized")):
        server = SglangServer(variant, tmp_path / f"{variant}.log", policy)
        try:
            rest[variant] = mmload(tmp_path, "profile", "--url", server.url, "--duration", "5s")
            load[variant] = mmload(
                *(tmp_path, "run", "--url", server.url, "--rate", 5, "--duration", "10s", "--profile-duration", "8s")
            )
        finally:
            server.end()
    polling, sleeping = ranks_of(rest["original"]), ranks_of(rest["optimized"])
    assert len(polling) == len(sleeping) == 2
    assert sum(rank["total_pct"] for rank in polling.values()) > 60, "two ranks may have to share a core"
    assert all(rank["total_pct"] < 10 for rank in sleeping.values())
    assert all(rank["work_pct"] < 3 for rank in (*polling.values(), *sleeping.values()))

    hashing = {
        variant: {name for name, cpu in summary["cpu"].items() if cpu["phases"].get("hash", 0) > 0.002}
        for variant, summary in load.items()
    }
    assert hashing["original"] >= set(polling), "every rank builds for itself"
    assert "tokenizer" in hashing["optimized"]
    assert not hashing["optimized"] & set(sleeping), "the tokenizer builds for all"
