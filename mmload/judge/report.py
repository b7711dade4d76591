"""Everything that a report says, computed from stored runs. What can't be read is said in its place, not left out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TypeVar

import msgspec

from mmload.analyse.flame_slow import slow_document
from mmload.analyse.report_series import Curve, curves_of, report_timeline
from mmload.analyse.slow import SlowRequests, slow_requests
from mmload.analyse.summary import summarise
from mmload.analyse.timeline import Timeline
from mmload.errors import FolderError, UsageError
from mmload.judge.comparable import conditions_text, paired
from mmload.judge.comparison import compare
from mmload.judge.flames import flame_of
from mmload.model.campaign import MAIN_SCENE
from mmload.model.comparison import Comparison
from mmload.model.flame import FlameDocument
from mmload.model.manifest import Manifest
from mmload.model.plan import Plan
from mmload.model.result import Summary, Verdict
from mmload.store.read import Run

Part = TypeVar("Part")


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What a report is to be made of. runs: all of them, in order. again: the words of a command line that name them.
    sides: those that are compared, by name, the baseline's first; fewer than two: nothing is. campaign: its id, where
    they were made in one; verdict: the campaign's own. warnings: of the comparison. force: compare all the same.
    troubles: what could not be read so far."""

    runs: list[Run]
    again: str
    sides: dict[str, list[Run]] = {}
    campaign: str | None = None
    verdict: Verdict | None = None
    warnings: list[str] = []
    force: bool = False
    troubles: list[str] = []


class ReportedRun(msgspec.Struct, frozen=True, kw_only=True):
    """One run. label: short and its own among those of the report. side: as in the comparison, else its variant. plan,
    summary, timeline, slow: None where they can't be had. conditions: what it had, in words. troubles: why something is
    missing."""

    run_id: str
    folder: str
    label: str
    side: str
    manifest: Manifest
    conditions: str
    plan: Plan | None
    summary: Summary | None
    timeline: Timeline | None
    curves: dict[str, Curve]
    slow: SlowRequests | None
    troubles: list[str]


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """verdict: the stored one, None where nothing was judged. judge: the command that judges. comparison: None where
    nothing is compared; incomparable: why. flames: of one run its own and its slow requests', of several those of each
    side against the baseline's. troubles: what else is missing, and why."""

    runs: list[ReportedRun]
    campaign: str | None
    verdict: Verdict | None
    judge: str
    comparison: Comparison | None
    incomparable: str | None
    flames: list[FlameDocument]
    troubles: list[str]


def report_of(asked: Asked) -> Report:
    """Raises FolderError where a run has no manifest that can be read; what else is damaged is said in it."""
    troubles = list(asked.troubles)
    side_of = {run.run_id: side for side, runs in asked.sides.items() for run in runs}
    runs = [_reported(run, side_of.get(run.run_id), asked) for run in asked.runs]
    comparison, incomparable = _compared(asked)
    return Report(
        runs=runs,
        campaign=asked.campaign,
        verdict=asked.verdict or _verdict(asked.runs, troubles),
        judge=f"mmload gate {asked.again}",
        comparison=comparison,
        incomparable=incomparable,
        flames=[*_flames(asked, troubles), *_slow_flame(asked, runs[0])],
        troubles=troubles,
    )


def _reported(run: Run, side: str | None, asked: Asked) -> ReportedRun:
    troubles: list[str] = []
    manifest = run.manifest
    plan = _part(lambda: run.plan, troubles)
    damaged = len(troubles)
    summary = _part(lambda: summarise(run), troubles)
    if summary is None and run.layout.summary.is_file():
        summary = _part(lambda: run.summary, troubles)
        troubles += ["the figures are those that its end wrote: the records can't be read again"] if summary else []
    axis = _part(lambda: report_timeline(run), troubles)
    curves = _part(lambda: curves_of(run), troubles)
    return ReportedRun(
        run_id=run.run_id,
        folder=str(run.layout.path),
        label=_label(run, asked),
        side=side or manifest.variant,
        manifest=manifest,
        conditions=conditions_text(run) if plan and not damaged else manifest.workload,
        plan=plan,
        summary=summary,
        timeline=axis,
        curves=curves or {},
        slow=_part(lambda: slow_requests(run), troubles),
        troubles=list(dict.fromkeys(troubles)),
    )


def _label(run: Run, asked: Asked) -> str:
    """`optimized, round 2`, in a campaign; else `optimized 9f3c`."""
    member = run.manifest.member
    if member is None or member.campaign != asked.campaign:
        return f"{run.manifest.variant} {run.run_id[-4:]}"
    scene = "" if member.scene == MAIN_SCENE else f"{member.scene}, "
    return f"{run.manifest.variant}, {scene}round {member.round + 1}"


def _part(make: Callable[[], Part], troubles: list[str]) -> Part | None:
    """What can be had of a damaged run."""
    try:
        return make()
    except FolderError as error:
        troubles.append(f"{error}: {error.hint}" if error.hint else str(error))
        return None


def _verdict(runs: Sequence[Run], troubles: list[str]) -> Verdict | None:
    """That of the newest run which was judged as a candidate."""
    for run in sorted(runs, key=lambda run: run.run_id, reverse=True):
        verdict = _part(partial(_verdict_of, run), troubles)
        if verdict is not None:
            return verdict
    return None


def _verdict_of(run: Run) -> Verdict | None:
    return run.verdict


def _compared(asked: Asked) -> tuple[Comparison | None, str | None]:
    if len(asked.runs) < 2:
        return None, None
    if len(asked.sides) < 2:
        variant = asked.runs[0].manifest.variant
        return None, f"these are all runs of {variant}: say which of them is the baseline with --baseline RUN"
    try:
        baseline = next(iter(asked.sides))
        found = compare(asked.sides, baseline, force=asked.force, campaign=asked.campaign, warnings=asked.warnings)
    except (UsageError, FolderError) as error:
        return None, f"{error}{f' ({error.hint})' if error.hint else ''}"
    return found, None


def _flames(asked: Asked, troubles: list[str]) -> list[FlameDocument]:
    pairs = [(asked.runs, [])] if len(asked.runs) == 1 else _against_baseline(asked.sides)
    found = (_part(partial(flame_of, *pair), troubles) for pair in pairs)
    return [document for document in found if document is not None]


def _slow_flame(asked: Asked, first: ReportedRun) -> list[FlameDocument]:
    """What the slow requests of a run alone waited for, where that is known."""
    return [slow_document(asked.runs[0], first.slow)] if len(asked.runs) == 1 and first.slow else []


def _against_baseline(sides: Mapping[str, Sequence[Run]]) -> list[tuple[list[Run], list[Run]]]:
    """The runs of each side and those of the baseline that met the same requests; where none did, the first of each."""
    baseline, *others = [list(runs) for runs in sides.values()] or [[]]
    pairs = []
    for runs in others:
        if runs and baseline:
            ours, theirs = paired(runs, baseline)
            pairs.append((list(ours), list(theirs)) if ours else (runs[:1], baseline[:1]))
    return pairs
