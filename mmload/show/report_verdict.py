"""What a report says first: the verdict, each criterion with its interval beside the limit, what is still needed."""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import UTC, datetime

import msgspec

from mmload.judge.kept import KeptVerdict, short_sha
from mmload.model.result import CriterionResult
from mmload.show.answer_texts import shortened
from mmload.show.figures import (
    SceneResults,
    by_scene,
    confidence_text,
    criterion_text,
    figure_and_bounds,
    first_needing,
    limit_text,
    looks_text,
    overall_text,
    remarks,
)
from mmload.show.report_shapes import VERDICT_TONES, Fact, Tone, facts
from mmload.show.terminal_figures import plain

_ANSWER_WIDTH = 160
_DRAWN = 1000.0  # the width that an interval is drawn in
_MOST_DECISIVE = 5
_AROUND = 0.25  # of the span, left free on both sides


class Drawing(msgspec.Struct, frozen=True):
    """An interval beside its limit, in thousandths of the width. low, high: where it ends, at the border where nothing
    bounds it. is_upper: the limit is to stay above."""

    low: float
    value: float | None
    high: float
    limit: float
    is_upper: bool


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One criterion. details: sentences below it."""

    criterion: str
    baseline: str
    figure: str
    bounds: str
    n: str
    word: str
    tone: Tone
    details: list[str]
    drawing: Drawing | None


class SceneView(msgspec.Struct, frozen=True):
    """name: empty where it is the only one. differences: item, what was expected and what was given."""

    name: str
    facts: list[Fact]
    rows: list[Row]
    differences: list[tuple[str, str, str]]
    more_differences: int


class VerdictView(msgspec.Struct, frozen=True):
    """word: STALE where the records no longer bear the verdict out; its reasons then are in stale. decisive: what keeps
    it from PASS, and what more it takes. cautions: what takes from its weight; remarks: how its runs were made."""

    word: str
    tone: Tone
    sentence: str
    stale: list[str]
    decisive: list[str]
    facts: list[Fact]
    cautions: list[str]
    remarks: list[str]
    scenes: list[SceneView]


def verdict_view(kept: KeptVerdict) -> VerdictView:
    verdict = kept.verdict
    scenes = by_scene(verdict)
    sha256 = f", sha256 {short_sha(verdict.gate_sha256)}" if verdict.gate_sha256 else ""
    about = {
        "gate": f"{verdict.gate}{sha256}",
        "verdict.json of": datetime.fromtimestamp(kept.kept_utc_s, UTC).strftime("%Y-%m-%d %H:%M:%S UTC"),
        "campaign": verdict.campaign,
        "confidence": confidence_text(verdict),
        "looks": looks_text(verdict),
    }
    cautions = [*kept.cautions, *(f"compared by force: {difference}" for difference in verdict.forced)]
    return VerdictView(
        "STALE" if kept.stale else verdict.verdict,
        "invalid" if kept.stale else VERDICT_TONES[verdict.verdict],
        kept.stale_text if kept.stale else overall_text(verdict),
        [plain(reason) for reason in kept.stale],
        [] if kept.stale else [_decisive(one) for one in verdict.criteria if _keeps_from_pass(one)][:_MOST_DECISIVE],
        facts(about),
        [plain(caution) for caution in cautions],
        [plain(warning) for warning in verdict.warnings],
        [_scene(scene, kept, is_alone=len(scenes) == 1) for scene in scenes],
    )


def _keeps_from_pass(criterion: CriterionResult) -> bool:
    return criterion.required and criterion.verdict not in {"PASS", "SKIPPED"}


def _decisive(criterion: CriterionResult) -> str:
    figure, bounds = figure_and_bounds(criterion)
    against = f" against {criterion.baseline}" if criterion.baseline else ""
    found = f": {figure} ({bounds})" if bounds else f": {figure}"
    needed = f"; needed: {criterion.needed}" if criterion.needed else ""
    return plain(f"{criterion.verdict}: {limit_text(criterion)}{against}{found}{needed}")


def _scene(scene: SceneResults, kept: KeptVerdict, *, is_alone: bool) -> SceneView:
    runs = {"candidate": ", ".join(scene.runs.candidate) or "no run"}
    runs |= {f"baseline {name}": ", ".join(made) or "no run" for name, made in scene.runs.baselines.items()}
    first_with = first_needing(scene.criteria)
    different = [one for criterion in scene.criteria for one in criterion.differences]
    texts = [(f"{one.item} ({one.modality})", *shortened(one.expected, one.given, _ANSWER_WIDTH)) for one in different]
    return SceneView(
        "" if is_alone else scene.name,
        facts({"load": scene.runs.load, **runs}),
        [_row(criterion, kept, first_with) for criterion in scene.criteria],
        texts,
        sum(criterion.more_differences for criterion in scene.criteria),
    )


def _row(criterion: CriterionResult, kept: KeptVerdict, first_with: dict[str, CriterionResult]) -> Row:
    figure, bounds = figure_and_bounds(criterion)
    details = remarks(criterion, kept.verdict)
    if criterion.baseline_on:
        details.append(f"the baseline on {criterion.baseline_on}")
    details += [criterion.evidence] if criterion.evidence else []
    if criterion.needed:
        first = first_with[criterion.needed]
        again = f"as above, for {criterion_text(first)}"
        details.append(f"needed: {criterion.needed if first is criterion else again}")
    return Row(
        criterion=limit_text(criterion),
        baseline=criterion.baseline or "",
        figure=figure,
        bounds=bounds,
        n=f"{criterion.n:,}",
        word=f"was {criterion.verdict}" if kept.stale else criterion.verdict,
        tone="muted" if kept.stale else VERDICT_TONES[criterion.verdict],
        details=[plain(detail) for detail in details],
        drawing=_drawing(criterion),
    )


def _drawing(criterion: CriterionResult) -> Drawing | None:
    """Nothing where there is no interval to draw."""
    if criterion.value is None or criterion.low == criterion.high:
        return None
    is_upper = criterion.op in {"<", "<="}
    limit = criterion.limit + criterion.margin * (1 if is_upper else -1)
    least, most = _span((criterion.low, criterion.value, criterion.high, limit))

    def at(value: float | None, border: float) -> float:
        place = border if value is None else (value - least) / (most - least)
        return round(_DRAWN * min(1.0, max(0.0, place)), 1)

    low, high = at(criterion.low, 0.0), at(criterion.high, 1.0)
    return Drawing(low, at(criterion.value, 0.0), high, at(limit, 0.0), is_upper)


def _span(values: Iterable[float | None]) -> tuple[float, float]:
    known = [value for value in values if value is not None and math.isfinite(value)]
    around = _AROUND * (max(known) - min(known)) or 1.0
    return min(known) - around, max(known) + around
