"""The command lines that make a run or a campaign again: they plan what was planned."""

import shlex

import msgspec
import pytest
from campaign_made import campaign_of
from factory import make_run
from typer.testing import CliRunner

from mmload.cli import app
from mmload.model.plan import AgentPlan, ClosedLoop, NoLoad, OpenLoop, Plan, ProfilePlan
from mmload.plan.load_text import run_command
from mmload.plan.load_words import open_loop
from mmload.plan.repeat_text import campaign_command, changed_gate, repeat_command, withheld
from mmload.plan.workload import load_workload
from mmload.store.campaigns import find_campaign

PLAN = Plan(
    variant="optimized",
    workload_name="images-small",
    workload=msgspec.to_builtins(load_workload("images-small")[1]),
    load=OpenLoop(rate_rps=80),
    profile=ProfilePlan(duration_s=10, stamped_s=5),
)


@pytest.fixture
def planned(monkeypatch):
    """What a command line plans; nothing is run."""
    plans = []
    monkeypatch.setattr("mmload.commands.run._measure", lambda plan, *_, **__: plans.append(plan) or 0)

    def plan(command):
        found = CliRunner().invoke(app, shlex.split(command)[1:])
        assert found.exit_code == 0, found.output or found.exception
        return plans.pop()

    return plan


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"profile": ProfilePlan(enabled=False, stamped_s=5)},
        {"profile": ProfilePlan(duration_s=12, stamped_s=6, rate_hz=250, mode="gil")},
        {"profile": ProfilePlan(duration_s=10, stamped_s=0)},
        {"load": open_loop("20..200", "gamma", 2.0), "duration_s": 12.5, "warmup_s": 0, "seed": 7, "timeout_s": 2.5},
        {"load": ClosedLoop(concurrency=32), "requests": 512, "workers": 2},
        {"requests": 900, "port": 30000, "tp": 4, "engine_args": ("--log-level", "info"), "gate": "release"},
        {"engine": None, "url": "http://127.0.0.1:9", "pids": (11, 12), "extra_body": {"top_p": 0.5}},
        {"engine": None, "url": "http://127.0.0.1:9", "agent": AgentPlan(url="http://127.0.0.1:8")},
    ],
)
def test_the_command_plans_what_was_planned(planned, changes):
    plan = msgspec.structs.replace(PLAN, **changes)
    again = planned(repeat_command(plan))
    if not plan.profile.enabled:
        again = msgspec.structs.replace(again, profile=plan.profile)
    assert again == plan


def test_a_trace_says_how_long_it_is(planned, tmp_path):
    file = tmp_path / "day.csv"
    file.write_text("t_s\n0\n1\n2\n")
    plan = planned(f"mmload run --trace {file}")
    assert planned(repeat_command(plan)) == plan


@pytest.mark.parametrize("command", [repeat_command, run_command])
def test_a_number_of_requests_or_a_trace_leaves_no_room_for_a_length(command):
    traced = OpenLoop(rate_rps=1, arrival="trace", trace="day.csv")
    for changes in ({"requests": 5}, {"load": traced}):
        assert "--duration" not in command(msgspec.structs.replace(PLAN, **changes))


def test_what_no_command_line_says_is_named():
    access = msgspec.structs.replace(PLAN.access, headers={"X-Key": "secret"}, token_variable="MINE", verify=False)
    plan = msgspec.structs.replace(PLAN, access=access, identity_items=2, workload_name="mine")
    command = repeat_command(plan)
    assert "secret" not in command
    assert command.endswith("--token-env MINE --insecure")
    assert list(withheld(plan)) == [
        "the headers X-Key, which may hold secrets",
        "the file of the workload mine",
        "2 identity items",
    ]
    assert list(withheld(PLAN)) == []


def test_a_comparison_is_made_again_by_compare_and_a_gates_runs_by_gate(tmp_path):
    run = make_run(tmp_path, duration_s=5)
    campaign_of(tmp_path, {"original": [run], "original#2": [None]}, force=True)
    (campaign,) = [found.campaign for found in [find_campaign("20261120T031500Z-compare-0001", tmp_path)]]
    assert campaign_command(campaign) == (
        "mmload compare --variants original,original --rounds 2 --workload images-small --rate 50 --arrival poisson "
        "--duration 40s --warmup 5s --seed 0 --engine standin --tp 2 --force"
    )
    gate = msgspec.structs.replace(campaign, kind="gate", gate="?", gate_name="release", candidate="optimized")
    assert campaign_command(gate) == "mmload gate --run --gate release --candidate optimized --engine standin --tp 2"
    assert changed_gate(gate) == "the gate release as it was then: it has changed since"
    assert changed_gate(msgspec.structs.replace(gate, gate_name="mine")) == "the file of the gate mine"
    assert campaign_command(msgspec.structs.replace(campaign, kind="selftest")) is None


def test_a_plan_without_load_has_no_rate():
    assert "--rate" not in repeat_command(msgspec.structs.replace(PLAN, load=NoLoad()))
