"""What a run has to tell its slow requests by: stacks with their times, and requests that waited meanwhile; and where
it has not, why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from mmload.analyse.waiting import Waits, window_ns
from mmload.store.read import Run
from mmload.store.requests import ABSENT
from mmload.store.stamped import StampedStacks, read_stamped

FEWEST_SLOW = 3
FEWEST_REST = 20
CLOCK_ERROR_MS = 50.0  # beyond, a phase could be laid beside the wrong request


class KnownStacks(NamedTuple):
    """By process, those on a clock that is known well enough. left_out: a sentence for each process without."""

    stacks: dict[str, StampedStacks]
    left_out: list[str]


class Within(NamedTuple):
    """Requests that began and ended while stacks were taken. left_out: how many began or ended outside."""

    waits: Waits
    left_out: int


class Absence(NamedTuple):
    """Why slow requests can't be told from the rest, and what mends it."""

    why: str
    mend: str


def known_stacks(run: Run) -> KnownStacks:
    """Raises FolderError on damage."""
    names = sorted(path.name.removesuffix(".stamped.json") for path in run.layout.stacks.glob("*.stamped.json"))
    found = {name: one for name in names if (one := read_stamped(run.layout, name))}
    usable = {name: one for name, one in found.items() if one.clock_error_ns <= CLOCK_ERROR_MS * 1e6}
    files = run.manifest.stamped.files if run.manifest.stamped else []
    why = {file.process: file.error or "its file is gone" for file in files if file.process not in found}
    why |= {
        name: f"its clock is known to {one.clock_error_ns / 1e6:.0f} ms, not to {CLOCK_ERROR_MS:.0f} or better"
        for name, one in found.items()
        if name not in usable
    }
    return KnownStacks(usable, [f"nothing is known of {name}: {reason}" for name, reason in sorted(why.items())])


def waits_within(run: Run, stacks: Mapping[str, StampedStacks]) -> Within:
    """stacks: of one process at least."""
    start_ns, end_ns = window_ns(stacks.values())
    requests = run.requests.of_phase("profile")
    touching = (requests.done_ns != ABSENT) & (requests.done_ns > start_ns) & (requests.due_ns < end_ns)
    within = touching & (requests.due_ns >= start_ns) & (requests.done_ns <= end_ns)
    return Within(Waits(requests.due_ns[within], requests.done_ns[within]), int(touching.sum() - within.sum()))


def why_none(run: Run) -> Absence:
    """Of a run of whose slow requests nothing is said. Raises FolderError on damage."""
    known = run.once(known_stacks)
    if known.stacks:
        count = len(waits_within(run, known.stacks).waits.due_ns)
        return Absence(
            f"{count} requests began and ended while stacks were taken, and {FEWEST_SLOW + FEWEST_REST} are needed",
            "a longer --stamped-duration or a higher --rate brings more",
        )
    if known.left_out:
        return Absence("; ".join(known.left_out), "run it again; logs/py-spy-*.log of the run may say more")
    if run.manifest.stamped:
        return Absence("none of the server's processes was seen", "--agent sees those of another host")
    return _why_not_taken(run)


def _why_not_taken(run: Run) -> Absence:
    manifest = run.manifest
    if manifest.kind == "profile":
        return Absence("a profile sends no requests", "mmload run does")
    if not run.plan.profile.enabled:
        return Absence("it took no stacks at all", "leave out --no-profile")
    if not run.plan.profile.stamped_s:
        return Absence("it took no stacks with their times", "mmload run --stamped-duration 5s")
    if manifest.status != "complete":
        return Absence(f"it ended before stacks were taken with their times ({manifest.error})", "run it again")
    if manifest.profile.mode == "none":
        return Absence("its profile was refused", f"mmload runs show {run.run_id} says what permits it")
    return Absence("its profile ended too late for stacks with their times", "a longer --stamped-duration")
