"""A run whose server is looked at by an agent: the same folder, and words for each way in which an agent can fail."""

import json
import signal
import subprocess

import pytest
from agents import TOKEN
from command import gone

pytestmark = pytest.mark.live

ANOTHER_CLOCK = ("unshare", "--time", "--monotonic", "1000")
QUICK = ("--rate", "20", "--warmup", "0s", "--duration", "3s", "--no-profile")
LONG = ("--rate", "20", "--warmup", "0s", "--duration", "60s", "--no-profile")


def span(run):
    """First and last time of the requests."""
    records = run.lines("requests.jsonl")
    return min(record["due_ns"] for record in records), max(record["done_ns"] or 0 for record in records)


def test_a_server_on_another_host_is_sampled_and_profiled_there_on_the_drivers_clock(agent, mmload, standin):
    if subprocess.run([*ANOTHER_CLOCK, "true"], check=False).returncode:
        pytest.skip("no clock of its own can be made here")
    server, one = standin("--variant", "original"), agent(before=ANOTHER_CLOCK)
    load = ("--rate", "20", "--warmup", "0s", "--duration", "2s", "--profile-duration", "1s")
    run = mmload("run", *load, "--url", server.url, "--agent", one.url, "--json").finish()
    assert run.code in (0, 4), run.stderr  # 4: the host was busy
    manifest = run.document("manifest.json")
    assert manifest["status"] == "complete"
    said = manifest["agent"]
    assert said["url"] == one.url
    assert abs(said["clock_offset_ns"] + 1000e9) <= said["clock_error_ms"] * 1e6 + 1
    assert [rank["rank"] for rank in manifest["ranks"]] == [0, 1]

    first_ns, last_ns = span(run)
    samples = run.lines("processes.jsonl")
    assert {sample["name"] for sample in samples} >= {"tokenizer", "scheduler_TP0", "scheduler_TP1", "generator-0"}
    for name in ("scheduler_TP0", "generator-0"):
        times = [sample["t_ns"] for sample in samples if sample["name"] == name]
        assert times == sorted(times)
        assert first_ns - 60e9 < times[0] < last_ns < times[-1] + 10e9
    assert {sample.get("host") for sample in run.lines("host.jsonl")} == {None, said["host"]}
    assert {path.stem for path in (run.run_folder / "stacks").glob("*.folded")} == {
        "tokenizer",
        "scheduler_TP0",
        "scheduler_TP1",
    }
    stamped = manifest["stamped"]["files"]
    assert {file["process"]: file["error"] for file in stamped} == dict.fromkeys(
        ("tokenizer", "scheduler_TP0", "scheduler_TP1")
    )
    phases = {phase["name"]: phase for phase in manifest["phases"]}
    for file in stamped:
        assert phases["profile"]["end_ns"] <= file["start_ns"] < file["end_ns"] < last_ns + 60e9
        stored = json.loads((run.run_folder / "stacks" / f"{file['process']}.stamped.json").read_text())
        assert (stored["start_ns"], stored["end_ns"]) == (file["start_ns"], file["end_ns"])
    summary = json.loads(run.stdout)
    assert {"tokenizer", "scheduler_TP0", "scheduler_TP1", "generator-0"} <= set(summary["cpu"])
    assert summary["cpu"]["scheduler_TP0"]["stack_samples"] > 0

    plan = (run.run_folder / "plan.json").read_text()
    assert TOKEN not in plan
    again = mmload("run", "--plan", run.run_folder / "plan.json", "--out", "again")
    again.out = again.out.parent / "again"
    assert again.finish().code in (0, 4), again.stderr
    assert again.document("manifest.json")["agent"]["url"] == one.url


def test_an_agent_that_cannot_be_used_is_said_before_anything_is_made(agent, mmload, standin, monkeypatch):
    server, one = standin(), agent()
    told = ("run", *QUICK, "--url", server.url, "--agent")
    narrow = agent("--port", "1")
    monkeypatch.setenv("ANOTHER", "another-token")
    refused = {
        mmload(*told, "http://127.0.0.2:9"): (5, "no agent answers at http://127.0.0.2:9"),
        mmload(*told, one.url, "--agent-token-env", "ANOTHER"): (5, "refuses the token in $ANOTHER"),
        mmload(*told, one.url, "--agent-token-env", "UNSET_VARIABLE"): (2, "$UNSET_VARIABLE is not set"),
        mmload(*told, server.url): (5, "answers, but not as an agent does"),
        mmload(*told, one.url, "--pid", "1"): (5, "pid 1 is none that this agent may look at"),
        mmload(*told, narrow.url): (5, "no SGLang server that this agent may look at listens"),
        mmload(*told, one.url, "--agent-ca", "x.pem"): (2, "are for https"),
        mmload("run", *QUICK, "--agent", one.url): (2, "name the server with --url"),
    }
    for run, (code, words) in refused.items():
        run.finish()
        assert run.code == code, run.stderr
        assert words in " ".join(run.stderr.split())
        assert not run.out.exists()
        assert TOKEN not in run.stderr + run.stdout


def test_an_agent_that_is_killed_in_mid_run_makes_it_invalid_and_what_was_measured_is_kept(agent, mmload, standin):
    server, one = standin(), agent()
    run = mmload("run", *LONG, "--url", server.url, "--agent", one.url)
    run.until_measuring()
    run.until(lambda: '"scheduler_TP1"' in (run.run_folder / "processes.jsonl").read_text())
    everything = run.children()
    one.end(signal.SIGKILL)
    run.finish()
    assert run.code == 4
    assert f"error: the agent at {one.url}" in " ".join(run.stderr.split())
    manifest = run.document("manifest.json")
    assert manifest["status"] == "partial"
    assert manifest["validity"][0].startswith(f"the agent at {one.url}")
    assert run.document("summary.json")["requests"] > 0
    assert server.process.poll() is None
    assert gone(everything)


def test_an_agent_that_is_killed_while_it_stamps_is_said_of_each_process(agent, mmload, standin):
    server, one = standin(), agent()
    load = ("--rate", "20", "--warmup", "0s", "--duration", "1s", "--profile-duration", "1s")
    run = mmload("run", *load, "--stamped-duration", "60s", "--url", server.url, "--agent", one.url)
    run.until(lambda: " stamps " in one.log and one.profilers())
    one.end(signal.SIGKILL)
    run.finish()
    assert run.code == 4
    manifest = run.document("manifest.json")
    assert manifest["profile"]["samples"] > 0
    for file in manifest["stamped"]["files"]:
        assert f"the agent at {one.url}" in file["error"]
        assert f"no stacks with their times of {file['process']}: {file['error']}" in manifest["warnings"]
    assert run.document("summary.json")["requests"] > 0
    assert {path.stem for path in (run.run_folder / "stacks").glob("*.folded")} >= {"scheduler_TP0", "scheduler_TP1"}


def test_a_killed_driver_ends_its_sessions_on_the_agents_side(agent, mmload, standin):
    server, one = standin(), agent()
    load = ("--rate", "20", "--warmup", "0s", "--duration", "1s", "--profile-duration", "60s")
    run = mmload("run", *load, "--url", server.url, "--agent", one.url)
    run.until(one.profilers)
    run.send(signal.SIGKILL)
    run.finish()
    one.until(lambda: one.log.count("or is gone") == 2)
    assert not one.children()
    assert one.send("GET", "/hello")[0] == 200


def test_a_rank_that_dies_on_the_other_host_is_the_servers_fault(agent, mmload, standin):
    server, one = standin(), agent()
    run = mmload("run", *LONG, "--url", server.url, "--agent", one.url)
    run.until_measuring()
    (rank,) = [child for child in server.children() if "scheduler_TP1" in " ".join(child.cmdline())]
    rank.kill()
    run.finish()
    assert run.code == 5, run.stderr
