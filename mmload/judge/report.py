"""Everything that a report says, computed from stored runs. What can't be read is said in its place, not left out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

import msgspec

from mmload.analyse.flame_slow import slow_document
from mmload.analyse.phase_series import PhaseSeries, phase_series
from mmload.analyse.report_series import Curve, curves_of, report_timeline
from mmload.analyse.slow import SlowRequests, slow_requests
from mmload.analyse.summary import summarise
from mmload.analyse.timeline import Timeline
from mmload.errors import FolderError, UsageError
from mmload.judge.comparable import conditions_text
from mmload.judge.comparison import compare
from mmload.judge.flames import flame_of
from mmload.judge.kept import KeptVerdict, kept_verdict
from mmload.judge.validity import standing_manifest
from mmload.model.campaign import MAIN_SCENE, Campaign
from mmload.model.comparison import ComparedSide, Comparison
from mmload.model.flame import FlameDocument
from mmload.model.manifest import Manifest
from mmload.model.plan import Plan
from mmload.model.result import Summary
from mmload.store.logs import last_lines
from mmload.store.read import Run

Part = TypeVar("Part")

_LOG_LINES = 12


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What a report is to be made of. runs: all of them that have a manifest, in order; unreadable: the others, with
    why. judge: the command that judges them, None where no gate can. sides: those that are compared, by name, the
    baseline's first; fewer than two: nothing is. campaign: where they were made in one; campaign_verdict: where its own
    is kept. warnings: of the comparison. force: compare all the same."""

    runs: list[Run]
    unreadable: dict[str, str] = {}
    judge: str | None = None
    sides: dict[str, list[Run]] = {}
    campaign: Campaign | None = None
    campaign_verdict: Path | None = None
    warnings: list[str] = []
    force: bool = False


class ReportedRun(msgspec.Struct, frozen=True, kw_only=True):
    """One run. label: short and its own among those of the report. side: as in the comparison, else its variant.
    manifest: its validity is what a gate says of it today. plan, summary, timeline, slow: None where they can't be had.
    conditions: what it had, in words. log: the server's last words, where it failed. is_whole: its figures are made
    from its records. troubles: why something is missing."""

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
    log: list[str]
    is_whole: bool
    troubles: list[str]
    phases: dict[str, PhaseSeries] = {}

    @property
    def is_sound(self) -> bool:
        """Whether its figures can stand beside others."""
        return self.manifest.validity == "valid" and self.is_whole


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """unreadable: run-id -> why nothing at all is known of it. verdict: the stored one, None where nothing was judged;
    verdict_trouble: why it can't be read. judge: the command that judges, None where no gate can. comparison: None
    where nothing is compared; incomparable: why. flames: of one run its own and its slow requests', of several those of
    each side against the baseline's; flame_troubles: why one is missing."""

    runs: list[ReportedRun]
    unreadable: dict[str, str]
    campaign: Campaign | None
    verdict: KeptVerdict | None
    verdict_trouble: str | None
    judge: str | None
    comparison: Comparison | None
    incomparable: str | None
    flames: list[FlameDocument]
    flame_troubles: list[str]


def report_of(asked: Asked) -> Report:
    """Raises FolderError where a run has no manifest that can be read; what else is damaged is said in it."""
    side_of = {run.run_id: side for side, runs in asked.sides.items() for run in runs}
    runs = [_reported(run, side_of.get(run.run_id), asked) for run in asked.runs]
    damaged = {run.run_id: run.troubles[0] for run in runs if not run.is_whole}
    sides = {name: [run for run in runs if run.run_id not in damaged] for name, runs in asked.sides.items()}
    comparison, incomparable = _compared(asked, sides, damaged)
    unread: list[str] = []
    flame_troubles: list[str] = []
    return Report(
        runs=runs,
        unreadable=asked.unreadable,
        campaign=asked.campaign,
        verdict=_verdict(asked, damaged, unread),
        verdict_trouble=unread[0] if unread else None,
        judge=asked.judge,
        comparison=comparison,
        incomparable=incomparable,
        flames=[*_flames(asked, sides, flame_troubles), *_slow_flame(asked, runs[0])],
        flame_troubles=flame_troubles,
    )


def _reported(run: Run, side: str | None, asked: Asked) -> ReportedRun:
    troubles: list[str] = []
    plan = _part(lambda: run.plan, troubles)
    manifest = _part(lambda: standing_manifest(run), troubles)
    conditions = conditions_text(run) if manifest else run.manifest.workload
    summary = _part(lambda: summarise(run), troubles)
    is_whole = manifest is not None and summary is not None
    manifest = manifest or run.manifest
    axis = _part(lambda: report_timeline(run), troubles)
    curves = _part(lambda: curves_of(run), troubles)
    return ReportedRun(
        run_id=run.run_id,
        folder=str(run.layout.path),
        label=_label(run, asked),
        side=side or manifest.variant,
        manifest=manifest,
        conditions=conditions,
        plan=plan,
        summary=summary or _written_summary(run, troubles),
        timeline=axis,
        curves=curves or {},
        phases=(_part(lambda: phase_series(run, axis), troubles) or {}) if axis else {},
        slow=_part(lambda: slow_requests(run), troubles),
        log=last_lines(run.layout.server_log, _LOG_LINES) if manifest.status == "failed" else [],
        is_whole=is_whole,
        troubles=list(dict.fromkeys(troubles)),
    )


def _written_summary(run: Run, troubles: list[str]) -> Summary | None:
    """What its end wrote, where the records can't be read again."""
    if not run.layout.summary.is_file():
        return None
    summary = _part(lambda: run.summary, troubles)
    troubles += ["the figures are those that its end wrote: the records can't be read again"] if summary else []
    return summary


def _label(run: Run, asked: Asked) -> str:
    """`optimized, round 2`, in a campaign; else `optimized 9f3c`."""
    member = run.manifest.member
    if member is None or asked.campaign is None or member.campaign != asked.campaign.campaign_id:
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


def _verdict(asked: Asked, damaged: Mapping[str, str], troubles: list[str]) -> KeptVerdict | None:
    """A campaign's own, else that of the newest run which was judged as a candidate."""
    newest_first = sorted(asked.runs, key=lambda run: run.run_id, reverse=True)
    places = [(run.layout.verdict, run.layout.path.parent) for run in newest_first]
    if asked.campaign_verdict is not None and asked.campaign_verdict.is_file():
        places = [(asked.campaign_verdict, asked.runs[0].layout.path.parent)]
    for file, out in places:
        verdict = _part(partial(kept_verdict, file, out, asked.runs, damaged), troubles)
        if verdict is not None:
            return verdict
    return None


def _compared(
    asked: Asked, sides: Mapping[str, Sequence[Run]], damaged: Mapping[str, str]
) -> tuple[Comparison | None, str | None]:
    """sides: without the damaged, run-ids without figures and why: these are named."""
    if len(asked.runs) + len(asked.unreadable) < 2:
        return None, None
    if len(asked.sides) < 2:
        variant = asked.runs[0].manifest.variant
        return None, f"these are all runs of {variant}: say which of them is the baseline with --baseline RUN"
    unreadable = [f"{run_id} is left out: {why}" for run_id, why in asked.unreadable.items()]
    campaign = asked.campaign.campaign_id if asked.campaign else None
    try:
        found = compare(
            sides, next(iter(sides)), force=asked.force, campaign=campaign, warnings=[*asked.warnings, *unreadable]
        )
    except (UsageError, FolderError) as error:
        return None, f"{error}{f' ({error.hint})' if error.hint else ''}"
    told = [_with_damaged(side, asked.sides[side.name], damaged) for side in found.sides]
    return msgspec.structs.replace(found, sides=told), None


def _with_damaged(side: ComparedSide, runs: Sequence[Run], damaged: Mapping[str, str]) -> ComparedSide:
    left_out = {run.run_id: damaged[run.run_id] for run in runs if run.run_id in damaged}
    return msgspec.structs.replace(side, left_out={**side.left_out, **left_out})


def _flames(asked: Asked, sides: Mapping[str, Sequence[Run]], troubles: list[str]) -> list[FlameDocument]:
    pairs = [(asked.runs, [])] if len(asked.runs) == 1 else _against_baseline(sides)
    found = (_part(partial(flame_of, *pair), troubles) for pair in pairs)
    return [document for document in found if document is not None]


def _slow_flame(asked: Asked, first: ReportedRun) -> list[FlameDocument]:
    """What the slow requests of a run alone waited for, where that is known."""
    return [slow_document(asked.runs[0], first.slow)] if len(asked.runs) == 1 and first.slow else []


def _against_baseline(sides: Mapping[str, Sequence[Run]]) -> list[tuple[Sequence[Run], Sequence[Run]]]:
    """The runs of each side and those of the baseline."""
    baseline, *others = sides.values() or [[]]
    return [(runs, baseline) for runs in others if runs and baseline]
