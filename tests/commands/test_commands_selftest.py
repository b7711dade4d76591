"""`mmload selftest`: real processes for two rows that take seconds; what its rows see is seen by running it whole."""

import json
import re
import signal

import pytest
from command import Command

from mmload.model.plan import SCHEMA
from mmload.store.read import Run

pytestmark = pytest.mark.live


@pytest.fixture
def selftest(tmp_path):
    started = []

    def start(*args):
        started.append(Command(["selftest", *args], tmp_path))
        return started[-1]

    yield start
    for command in started:
        command.end()


def test_two_rows_are_planted_found_and_kept(selftest, tmp_path):
    out = tmp_path / "kept"
    done = selftest("--quick", "--json", "--out", out, "--only", "lost-rank", "--only", "lying-variant").finish()
    document = json.loads(done.stdout)
    lost, lying = document["rows"]
    assert (lost["name"], lost["came"], lost["state"]) == ("lost-rank", "exit 5", "right"), lost
    assert re.search(r"rank 1 \(pid \d+\) ended: killed by signal 9", lost["reason"])
    assert (lying["name"], lying["state"]) == ("lying-variant", "right"), lying
    assert lying["reason"] == "asked for variant optimized, but rank 1 runs commit"
    assert (document["misses"], document["false_alarms"]) == ({"wrong": 0, "judged": 2}, {"wrong": 0, "judged": 0})
    assert (document["schema"], document["simulated"]) == (SCHEMA, [])
    assert document["kept"] == str(out)
    assert "right       lost-rank          exit 5" in done.stderr
    assert done.code == 0
    assert [Run(out / run).manifest.status for row in (lost, lying) for run in row["runs"]] == ["failed", "failed"]


def test_an_interrupted_selftest_says_what_it_saw_and_leaves_nothing(selftest, tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    running = selftest("--json", "--only", "lying-variant", "--only", "lost-rank")
    running.until(lambda: list(tmp_path.glob("mmload-selftest-*/*/manifest.json")))
    running.send(signal.SIGINT)
    running.finish()
    assert running.code == 130
    assert json.loads(running.stdout)["complete"] is False
    assert not list(tmp_path.glob("mmload-selftest-*"))


def test_an_unknown_row_is_refused_with_the_nearest(selftest):
    refused = selftest("--only", "leek").finish()
    assert refused.code == 2
    assert "did you mean leak" in refused.stderr
