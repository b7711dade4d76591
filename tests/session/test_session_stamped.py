"""Stacks with their times, after the profile of a run: what the slowest requests waited for."""

import json
import re
import time

import msgspec
import pytest
from typer.testing import CliRunner

from mmload.analyse.slow import slow_requests
from mmload.cli import app
from mmload.model.manifest import ProfileInfo, StampedFile, StampedInfo
from mmload.model.plan import AgentPlan
from mmload.selftest.plants import STALL_S
from mmload.selftest.workbench import Setup
from mmload.session.profile import StampedWindow
from mmload.session.run import run as run_session


class Notes:
    """What a window puts into the manifest."""

    def __init__(self):
        self.warnings, self.phases, self.stamped = [], [], None

    def warn(self, *warnings):
        self.warnings += warnings

    def phase(self, *phase):
        self.phases.append(phase)

    def note(self, stamped):
        self.stamped = stamped


class Stamper:
    """Brings what it is told to."""

    def __init__(self, *files):
        self.files, self.calls, self.warnings = files, [], []

    def start(self):
        self.calls.append("start")

    def stop(self):
        self.calls.append("stop")
        return StampedInfo(rate_hz=100, files=list(self.files))


class Profile:
    """A profile window that is over."""

    def __init__(self, mode):
        self.mode = mode

    def close(self):
        return ProfileInfo(mode=self.mode)


def noted(stamper, start_s, end_s, mode="active"):
    """The notes of a window that begins and ends in so many seconds from now, after a profile in that mode."""
    now_ns = time.monotonic_ns()
    window = StampedWindow(stamper, Profile(mode), now_ns + round(start_s * 1e9), now_ns + round(end_s * 1e9))
    window.turn()
    notes = Notes()
    window.note(notes)
    window.note(notes)
    return notes


def test_the_window_is_from_the_first_stack_to_the_last_and_what_was_lost_is_said():
    good = [StampedFile(process=name, pid=1, start_ns=a, end_ns=b) for name, a, b in (("x", 5, 80), ("y", 7, 90))]
    stamper = Stamper(*good, StampedFile(process="z", pid=2, error="py-spy hung"))
    notes = noted(stamper, -1, 3600)
    assert stamper.calls == ["start", "stop"]
    assert set(notes.phases) == {("stamped", 5, 90)}
    assert set(notes.warnings) == {"no stacks with their times of z: py-spy hung"}
    assert len(notes.stamped.files) == 3


def test_a_window_without_any_stack_is_no_phase():
    assert noted(Stamper(StampedFile(process="z", pid=2, error="py-spy hung")), -1, 3600).phases == []


@pytest.mark.parametrize(("start_s", "end_s", "said"), [(-2, -1, 1), (-1, -1, 0), (3600, 3700, 0)])
def test_a_window_that_was_never_entered_is_said_if_its_time_has_passed(start_s, end_s, said):
    stamper = Stamper()
    notes = noted(stamper, start_s, end_s)
    assert stamper.calls == []
    assert set(notes.warnings) == set(["no stacks with their times: the profile ended too late for them"] * said)
    assert notes.stamped is None


def test_what_the_stamper_warns_of_is_a_warning_of_the_run():
    stamper = Stamper()
    stamper.warnings.append("no source lines")
    assert set(noted(stamper, -1, 3600).warnings) == {"no source lines"}


@pytest.mark.parametrize("end_s", [-1, 3600])
def test_where_the_profile_was_refused_nothing_more_is_tried_or_said(end_s):
    stamper = Stamper()
    notes = noted(stamper, -2, end_s, mode="none")
    assert (stamper.calls, notes.warnings, notes.stamped) == ([], [], None)


@pytest.mark.live
def test_stacks_are_stamped_after_the_profile_under_the_same_load(mmload):
    load = ("--rate", "20", "--warmup", "0s", "--duration", "1s", "--profile-duration", "1s")
    run = mmload("run", *load, "--json").finish()
    assert run.code in (0, 4), run.stderr  # 4: the host was busy
    manifest = run.document("manifest.json")
    phases = {phase["name"]: phase for phase in manifest["phases"]}
    profiled, stamped = phases["profile"], phases["stamped"]
    assert profiled["end_ns"] <= stamped["start_ns"] < stamped["end_ns"]
    files = {file["process"]: file for file in manifest["stamped"]["files"]}
    assert set(files) == {file["process"] for file in manifest["profile"]["files"]}
    assert {file["error"] for file in files.values()} == {None}
    for name, file in files.items():
        stored = json.loads((run.run_folder / "stacks" / f"{name}.stamped.json").read_text())
        assert (stored["start_ns"], stored["end_ns"]) == (file["start_ns"], file["end_ns"])
        assert all(segment["end_ns"] <= file["start_ns"] for segment in files_of_profile(manifest, name))
    late = [one for one in run.lines("requests.jsonl") if one["due_ns"] > stamped["start_ns"]]
    assert late
    assert {one["phase"] for one in late} == {"profile"}


def files_of_profile(manifest, process):
    (file,) = [file for file in manifest["profile"]["files"] if file["process"] == process]
    return file["segments"]


def stalling():
    """The plan of a run whose second rank stands still now and then."""
    plan = Setup(variant="planted-stall", rate_rps=50, duration_s=1, profile_s=1).plan()
    return msgspec.structs.replace(plan, profile=msgspec.structs.replace(plan.profile, stamped_s=2.5))


def assert_the_stall_is_named(run):
    found = slow_requests(run)
    assert found.slow_wait_ms > 500 * STALL_S > found.rest_wait_ms
    assert found.sentences[1].startswith("TP1 spent ")
    assert " of it in materialise, mostly in _stand_still (" in found.sentences[1]
    stacks = found.threads["scheduler_TP1"].stacks
    assert "_stand_still" in max(stacks, key=lambda stack: stacks[stack].slow_ms - stacks[stack].usual_ms)


@pytest.mark.live
@pytest.mark.alone
def test_a_planted_stall_is_what_the_slowest_requests_waited_for(tmp_path):
    assert_the_stall_is_named(run_session(stalling(), tmp_path, lambda _view: None, lambda _run: None))


@pytest.mark.live
@pytest.mark.alone
def test_an_agent_on_the_servers_host_lets_the_same_be_said(agent, standin, tmp_path):
    plan = stalling()
    url, there = standin("--", "--variant", plan.variant, *plan.engine_args).url, agent()
    plan = msgspec.structs.replace(plan, url=url, engine=None, engine_args=(), agent=AgentPlan(url=there.url))
    run = run_session(plan, tmp_path, lambda _view: None, lambda _run: None)
    assert_the_stall_is_named(run)
    shown = CliRunner().invoke(app, ["flame", str(run.layout.path), "--slow"], env={"COLUMNS": "140"})
    assert shown.exit_code == 0, shown.output
    assert re.search(r"TP1 spent \d+ ms of it in materialise, mostly in _stand_still", shown.output)
