"""Stored runs as the sides of a comparison: which of them are a side's rounds, and whether sides can be compared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from mmload.errors import UsageError
from mmload.judge.comparable import differences_of_rounds, differences_of_sides, in_order, paired, refuse_copies
from mmload.judge.validity import faults_of
from mmload.model.campaign import MAIN_SCENE, Campaign
from mmload.store.read import Run

_BUSY_PCT = 25.0  # of all cores, before a server is even started


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """runs: its rounds, those that figures can rest on. left_out: run-id -> why it is none of them. failed: run-ids of
    those whose server died or hung under load."""

    name: str
    runs: tuple[Run, ...]
    left_out: dict[str, str] = {}
    failed: tuple[str, ...] = ()

    @property
    def variant(self) -> str:
        return variant_of(self.name)


def variant_of(side: str) -> str:
    """The variant of a side's name: `original` of `original#2`."""
    return side.partition("#")[0]


def side_of(name: str, runs: Iterable[Run]) -> Side:
    """Raises FolderError on damage, and UsageError where one is still being written or is no run with a load."""
    left_out, failed, usable = {}, [], []
    for run in runs:
        _refuse_no_run(run)
        faults = faults_of(run)
        if faults:
            left_out[run.run_id] = f"INVALID: {'; '.join(faults)}"
        elif run.manifest.status == "failed":
            left_out[run.run_id] = f"the server failed: {run.manifest.error or 'no reason recorded'}"
            failed.append(run.run_id)
        else:
            usable.append(run)
    return Side(name=name, runs=in_order(usable), left_out=left_out, failed=tuple(failed))


def sides_of_campaign(campaign: Campaign, runs: Mapping[str, Run]) -> dict[str, list[Run]]:
    """Those of the runs that are of a campaign's main scene, by side, the sides in the campaign's order."""
    sides: dict[str, list[Run]] = {name: [] for name in campaign.variants}
    for slot in campaign.slots:
        if slot.run_id is not None and slot.run_id in runs and slot.scene == MAIN_SCENE:
            sides[slot.variant].append(runs[slot.run_id])
    return sides


def sides_of_runs(runs: Iterable[Run], baseline: Iterable[Run] = ()) -> dict[str, list[Run]]:
    """Runs by variant, in the order given; those of the baseline are a side of their own, the first."""
    sides: dict[str, list[Run]] = {}
    of_baseline = list(baseline)
    for run in of_baseline:
        sides.setdefault(of_baseline[0].manifest.variant, []).append(run)
    taken = {run.run_id for run in of_baseline}
    for run in runs:
        if run.run_id not in taken:
            variant = run.manifest.variant
            name = f"{variant}#2" if of_baseline and variant == of_baseline[0].manifest.variant else variant
            sides.setdefault(name, []).append(run)
            taken.add(run.run_id)
    return sides


def what_differs(sides: Sequence[Side], baseline: Side) -> list[str]:
    """What keeps the sides from being compared, one sentence for each of them that differs; empty when they can be.
    Raises UsageError where one run is there twice."""
    refuse_copies([run for side in sides for run in side.runs])
    found = []
    for side in (side for side in sides if side.runs):
        phrases = differences_of_rounds(side.runs)
        if side is not baseline and baseline.runs:
            ours, theirs = matched(side.runs, baseline.runs)
            phrases += differences_of_sides(theirs, ours)
        if phrases:
            found.append(f"{side.name}: {'; '.join(dict.fromkeys(phrases))}")
    return found


def matched(candidate: Sequence[Run], baseline: Sequence[Run]) -> tuple[Sequence[Run], Sequence[Run]]:
    """The runs that met the same requests; all of both sides where no two did, which can only be compared by force."""
    ours, theirs = paired(candidate, baseline)
    return (ours, theirs) if ours else (candidate, baseline)


def host_warnings(campaign: Campaign) -> list[str]:
    """Where the host was not at rest when a run of the campaign was to be started."""
    warnings = []
    throttled = None
    for slot in campaign.slots:
        if slot.host is None:
            continue
        which = f"before {slot.run_id}"
        if slot.host.cpu_busy_pct > _BUSY_PCT:
            warnings.append(f"the host was {slot.host.cpu_busy_pct:.0f} % busy {which}")
        if slot.host.throttled is not None and slot.host.throttled > (throttled or slot.host.throttled):
            warnings.append(f"the processors were throttled for heat {which}")
        throttled = slot.host.throttled
    return warnings


def _refuse_no_run(run: Run) -> None:
    if run.manifest.status == "running":
        raise UsageError(f"{run.run_id} is still being written", "wait until its mmload run has ended")
    if run.manifest.kind == "profile":
        raise UsageError(
            f"{run.run_id} is a profile without load: there is nothing to compare",
            "make runs with a load: mmload compare --variants A,B",
        )
