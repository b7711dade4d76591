"""A gate's verdict on the terminal: what was judged, a table of criteria, then the word that counts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from rich.text import Text

from mmload.model.result import AnswerDifference, CriterionResult, Verdict
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
    runs_text,
)
from mmload.show.palette import LABEL, VERDICT_STYLES, WARNING
from mmload.show.terminal_sheet import Column, Drawn, Sheet, cut, fact, grid_rows, paragraph, separated, styled

_COLUMNS = (
    Column("criterion", right=False, elastic=True, folds=True),
    Column("vs", right=False),
    Column("figure"),
    Column("bounds"),
    Column("verdict", right=False),
)
_INDENT = " " * 4


def render_verdict(verdict: Verdict) -> Drawn:
    """Every criterion with its figure, bounds, number of observations, evidence and word, by scene; the verdict of all
    of them last."""

    def view(sheet: Sheet) -> Iterator[Text]:
        shared = _shared_evidence(verdict)
        return separated(
            _judged(verdict, sheet),
            _cautions(verdict, sheet),
            *_scenes(verdict, sheet, shared),
            paragraph(styled((f"evidence of all: {shared}", LABEL)), sheet) if shared else [],
            _overall(verdict, sheet),
        )

    return Drawn(view)


def _judged(verdict: Verdict, sheet: Sheet) -> Iterator[Text]:
    facts = [confidence_text(verdict), looks_text(verdict)]
    yield from fact("gate", [styled((verdict.gate, "bold")), *(styled(said) for said in facts if said)], sheet)
    if verdict.campaign:
        yield from fact("campaign", [styled(verdict.campaign)], sheet)
    scenes = by_scene(verdict)
    if len(scenes) == 1:
        yield from _runs(scenes[0], sheet)


def _runs(scene: SceneResults, sheet: Sheet) -> Iterator[Text]:
    if scene.runs.load:
        yield from fact("load", [styled(scene.runs.load)], sheet)
    yield from fact("candidate", [styled(runs_text(scene.runs.candidate))], sheet)
    baselines = [styled(f"{name}: {runs_text(runs)}") for name, runs in scene.runs.baselines.items()]
    yield from fact("baselines", baselines, sheet)


def _cautions(verdict: Verdict, sheet: Sheet) -> Iterator[Text]:
    """What takes from the verdict's weight, before anything that could be read without it."""
    for difference in verdict.forced:
        yield from paragraph(styled(difference), sheet, styled((" FORCED ", f"reverse {WARNING}"), " "))
    for warning in verdict.warnings:
        yield from paragraph(styled((warning, WARNING)), sheet, styled(("warning: ", WARNING)))


def _shared_evidence(verdict: Verdict) -> str:
    """What all criteria rest on, where that is one thing (the run can't be trusted, the server failed): said once."""
    said = {criterion.evidence for criterion in verdict.criteria}
    return said.pop() if len(said) == 1 and len(verdict.criteria) > 1 else ""


def _scenes(verdict: Verdict, sheet: Sheet, shared: str) -> Iterator[list[Text]]:
    """A table for each scene, all with the same columns."""
    scenes = by_scene(verdict)
    criteria = [criterion for scene in scenes for criterion in scene.criteria]
    head, *rows = grid_rows(_COLUMNS, [_criterion(criterion, sheet) for criterion in criteria], sheet)
    left, first_with = iter(rows), first_needing(criteria)
    for scene in scenes:
        lines = [styled((f"on {scene.name}", "bold")), *_runs(scene, sheet)] if len(scenes) > 1 else []
        lines += head if scene.criteria or not criteria else []
        for criterion in scene.criteria:
            lines += next(left)
            lines += [*_details(criterion, verdict, sheet, shared), *_needed(criterion, first_with, sheet)]
            lines += _differences(criterion, sheet)
        yield lines


def _criterion(criterion: CriterionResult, sheet: Sheet) -> list[Text]:
    figure, bounds = figure_and_bounds(criterion, sheet.glyphs.infinity)
    return [
        styled(limit_text(criterion)),
        styled(criterion.baseline or ""),
        styled((figure, "bold")),
        styled(bounds),
        styled((criterion.verdict, VERDICT_STYLES[criterion.verdict])),
    ]


def _details(criterion: CriterionResult, verdict: Verdict, sheet: Sheet, shared: str) -> Iterator[Text]:
    """Where the figure comes from."""
    said = remarks(criterion, verdict)
    if criterion.baseline_on:
        said.append(f"the baseline on {criterion.baseline_on}")
    said += [f"n {criterion.n:,}"] if criterion.n or not shared else []
    said += [criterion.evidence] if criterion.evidence != shared else []
    if said:
        yield from paragraph(styled(("; ".join(filter(None, said)), LABEL)), sheet, _INDENT)


def _needed(criterion: CriterionResult, first_with: Mapping[str, CriterionResult], sheet: Sheet) -> Iterator[Text]:
    """What would decide it: a run that several criteria lack is asked for once."""
    if criterion.needed:
        first = first_with[criterion.needed]
        needed = criterion.needed if first is criterion else f"as above, for {criterion_text(first)}"
        yield from paragraph(styled((f"needed: {needed}", LABEL)), sheet, _INDENT)


def _differences(criterion: CriterionResult, sheet: Sheet) -> Iterator[Text]:
    for difference in criterion.differences:
        yield from _difference(difference, sheet)
    if criterion.more_differences:
        yield styled(f"{_INDENT}and {criterion.more_differences:,} more")


def _difference(difference: AnswerDifference, sheet: Sheet) -> Iterator[Text]:
    lead = len(_INDENT) + 2 + len("expected  ")
    texts = shortened(difference.expected, difference.given, max(20, sheet.width - lead), sheet.glyphs.ellipsis)
    yield cut(styled(f"{_INDENT}{difference.item} ({difference.modality})"), sheet.width, sheet.glyphs)
    for label, text in zip(("expected", "given"), texts, strict=True):
        yield cut(styled(f"{_INDENT}  ", (label.ljust(10), LABEL), text), sheet.width, sheet.glyphs)


def _overall(verdict: Verdict, sheet: Sheet) -> list[Text]:
    loud = f"reverse {VERDICT_STYLES[verdict.verdict]}"
    return paragraph(styled(overall_text(verdict)), sheet, styled((f" {verdict.verdict} ", loud), " "))
