"""Stacks with their times, after the profile of a run: what the slowest requests waited for."""

import json
import time

import msgspec
import pytest

from mmload.analyse.slow import slow_requests
from mmload.model.manifest import ProfileInfo, StampedFile, StampedInfo
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


class Profiler:
    """Brings what it is told to."""

    def __init__(self, *files):
        self.files, self.calls = files, []

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


def noted(profiler, start_s, end_s, mode="active"):
    """The notes of a window that begins and ends in so many seconds from now, after a profile in that mode."""
    now_ns = time.monotonic_ns()
    window = StampedWindow(profiler, Profile(mode), now_ns + round(start_s * 1e9), now_ns + round(end_s * 1e9))
    window.turn()
    notes = Notes()
    window.note(notes)
    window.note(notes)
    return notes


def test_the_window_is_from_the_first_stack_to_the_last_and_what_was_lost_is_said():
    good = [StampedFile(process=name, pid=1, start_ns=a, end_ns=b) for name, a, b in (("x", 5, 80), ("y", 7, 90))]
    profiler = Profiler(*good, StampedFile(process="z", pid=2, error="py-spy hung"))
    notes = noted(profiler, -1, 3600)
    assert profiler.calls == ["start", "stop"]
    assert set(notes.phases) == {("stamped", 5, 90)}
    assert set(notes.warnings) == {"no stacks with their times of z: py-spy hung"}
    assert len(notes.stamped.files) == 3


def test_a_window_without_any_stack_is_no_phase():
    assert noted(Profiler(StampedFile(process="z", pid=2, error="py-spy hung")), -1, 3600).phases == []


@pytest.mark.parametrize(("start_s", "end_s", "said"), [(-2, -1, 1), (-1, -1, 0), (3600, 3700, 0)])
def test_a_window_that_was_never_entered_is_said_if_its_time_has_passed(start_s, end_s, said):
    profiler = Profiler()
    notes = noted(profiler, start_s, end_s)
    assert profiler.calls == []
    assert set(notes.warnings) == set(["no stacks with their times: the profile ended too late for them"] * said)
    assert notes.stamped is None


@pytest.mark.parametrize("end_s", [-1, 3600])
def test_where_the_profile_was_refused_nothing_more_is_tried_or_said(end_s):
    profiler = Profiler()
    notes = noted(profiler, -2, end_s, mode="none")
    assert (profiler.calls, notes.warnings, notes.stamped) == ([], [], None)


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


@pytest.mark.live
def test_an_agent_can_not_be_asked_for_them(mmload):
    asked = ("--agent", "http://127.0.0.1:9", "--url", "http://127.0.0.1:9", "--stamped-duration", "2s")
    run = mmload("run", "--rate", "20", *asked).finish()
    assert run.code == 2
    assert "an agent takes no stacks with their times" in run.stderr


@pytest.mark.live
@pytest.mark.alone
def test_a_planted_stall_is_what_the_slowest_requests_waited_for(tmp_path):
    plan = Setup(variant="planted-stall", rate_rps=50, duration_s=1, profile_s=1).plan()
    plan = msgspec.structs.replace(plan, profile=msgspec.structs.replace(plan.profile, stamped_s=2.5))
    run = run_session(plan, tmp_path, lambda _view: None, lambda _run: None)
    found = slow_requests(run)
    assert found.slow_wait_ms > 500 * STALL_S > found.rest_wait_ms
    assert found.sentences[1].startswith("scheduler_TP1 spent ")
    assert " of it in materialise (" in found.sentences[1]
    stacks = found.threads["scheduler_TP1"].stacks
    assert "_stand_still" in max(stacks, key=lambda stack: stacks[stack].slow_ms - stacks[stack].rest_ms)
