"""The profile window of a run in bad weather: what was measured stands, and what the profiler lost is said."""

import json
import signal

import msgspec
import pytest
from command import gone, ranks

from mmload.model.plan import OpenLoop, Plan, ProfilePlan
from mmload.plan.workload import load_workload
from mmload.session.run import run as run_session

pytestmark = pytest.mark.live

LOAD = ("--rate", "20", "--warmup", "0s", "--duration", "2s")


def py_spies(run):
    """Process name -> its py-spy, once every one samples."""
    run.until_profiled(processes=3)
    spies = {}
    for spy in run.children():
        if spy.name() == "py-spy":
            words = spy.cmdline()
            output = words[words.index("--output") + 1]
            spies[output.rpartition("/")[2].removesuffix(".segment")] = spy
    return spies


def test_what_a_killed_or_hung_py_spy_lost_is_said(mmload):
    run = mmload("run", *LOAD, "--profile-duration", "2s", "--json")
    spies = py_spies(run)
    spies["tokenizer"].kill()
    spies["scheduler_TP0"].suspend()
    run.finish()
    assert run.code in (0, 4), run.stderr  # 4: the host was busy
    manifest = run.document("manifest.json")
    errors = {file["process"]: file["error"] for file in manifest["profile"]["files"]}
    assert "(exit code -9)" in errors["tokenizer"]
    assert "py-spy hung" in errors["scheduler_TP0"]
    assert "lost" not in str(errors["scheduler_TP1"])
    for name in ("tokenizer", "scheduler_TP0"):
        assert f"poor profile of {name}: {errors[name]}" in manifest["warnings"]
    assert json.loads(run.stdout)["requests"] == 40
    assert gone(spies.values())


def test_a_rank_that_ends_while_it_is_profiled_ends_the_run_and_what_was_measured_stands(mmload):
    run = mmload("run", *LOAD, "--profile-duration", "60s", "--json")
    run.until_profiled(processes=3)
    everything = run.children()
    ranks(run)[1].send_signal(signal.SIGKILL)
    run.finish()
    assert run.code == 5, run.stderr
    summary = json.loads(run.stdout)
    assert (summary["status"], summary["requests"]) == ("failed", 40)
    files = {file["process"]: file for file in run.document("manifest.json")["profile"]["files"]}
    assert files["scheduler_TP1"]["error"] == "the process ended during the profile"
    assert gone(everything)


def test_a_run_without_py_spy_measures_all_the_same_and_says_why_there_are_no_stacks(tmp_path, monkeypatch):
    monkeypatch.setattr("mmload.observe.pyspy.py_spy_path", lambda: "no-such-py-spy")
    plan = Plan(
        variant="optimized",
        workload_name="text",
        workload=msgspec.to_builtins(load_workload("text")[1]),
        load=OpenLoop(rate_rps=20),
        duration_s=1.0,
        warmup_s=0.0,
        profile=ProfilePlan(duration_s=1.0),
    )
    sealed = []
    run = run_session(plan, tmp_path, lambda _view: None, sealed.append)
    assert sealed == [run]
    assert (run.manifest.status, run.summary.requests) == ("complete", 20)
    warnings = " ".join(run.manifest.warnings)
    for name in ("tokenizer", "scheduler_TP0", "scheduler_TP1"):
        assert f"poor profile of {name}: " in warnings
    assert "cannot start no-such-py-spy: No such file or directory" in warnings
    assert run.stacks == {}
