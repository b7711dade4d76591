"""A gate's verdict on the terminal: a table of criteria, then the word that counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from rich.text import Text

from mmload.model.result import CriterionResult, Verdict
from mmload.show.palette import LABEL, VERDICT_STYLES
from mmload.show.terminal_figures import figures
from mmload.show.terminal_sheet import Column, Drawn, Sheet, fact, grid, paragraph, separated, styled

# Which words of a criterion are the reason for a gate's word; INVALID and PASS are about all of them.
_DECIDING = {"FAIL": ("FAIL",), "INCONCLUSIVE": ("INCONCLUSIVE", "SKIPPED")}


def render_verdict(verdict: Verdict) -> Drawn:
    """Every criterion with its figure, bounds, number of observations and word; the verdict of all of them last."""

    def view(sheet: Sheet) -> Iterator[Text]:
        shared = _shared_evidence(verdict)
        return separated(
            _judged(verdict, sheet),
            _criteria(verdict, sheet, shared),
            paragraph(styled((f"evidence of all: {shared}", LABEL)), sheet) if shared else [],
            _overall(verdict, sheet),
        )

    return Drawn(view)


def _judged(verdict: Verdict, sheet: Sheet) -> Iterator[Text]:
    yield from fact(
        "gate", [styled((verdict.gate, "bold")), styled(f"bounds at {100 * verdict.confidence:g} %")], sheet
    )
    yield from fact("candidate", [styled(verdict.candidate)], sheet)
    if verdict.baselines:
        baselines = [styled(f"{name}: {run}") for name, run in verdict.baselines.items()]
        yield from fact("baselines", baselines, sheet)


def _shared_evidence(verdict: Verdict) -> str:
    """What all criteria rest on, where that is one thing (the run can't be trusted, the server failed): said once."""
    said = {criterion.evidence for criterion in verdict.criteria}
    return said.pop() if len(said) == 1 and len(verdict.criteria) > 1 else ""


def _criteria(verdict: Verdict, sheet: Sheet, shared: str) -> Iterator[Text]:
    columns = (
        Column("criterion", right=False, elastic=True),
        Column("vs", rank=1, right=False),
        Column("figure"),
        Column("low", rank=2),
        Column("high", rank=2),
        Column("n", rank=3),
        Column("verdict", right=False),
    )
    head, *lines = grid(columns, [_criterion(c) for c in verdict.criteria], sheet)
    yield head
    for criterion, line in zip(verdict.criteria, lines, strict=True):
        yield line
        for note in _notes(criterion, shared):
            yield from paragraph(styled((note, LABEL)), sheet, " " * 4)


def _criterion(criterion: CriterionResult) -> list[Text]:
    value, low, high = figures([criterion.value, criterion.low, criterion.high], most=4, limit=criterion.limit)
    return [
        styled(f"{criterion.metric} {criterion.op} {criterion.limit:g}"),
        styled(criterion.baseline or ""),
        styled((value, "bold")),
        styled(low),
        styled(high),
        styled(f"{criterion.n:,}"),
        styled((criterion.verdict, VERDICT_STYLES[criterion.verdict])),
    ]


def _notes(criterion: CriterionResult, shared: str) -> Iterator[str]:
    """What a reader asks after a word that is not PASS: what is needed, and where the figure comes from."""
    if not criterion.required:
        yield "shown only: not required"
    if criterion.needed:
        yield f"needed: {criterion.needed}"
    if criterion.verdict != "PASS" and criterion.evidence and not shared:
        yield f"evidence: {criterion.evidence}"


def _overall(verdict: Verdict, sheet: Sheet) -> list[Text]:
    required = [criterion for criterion in verdict.criteria if criterion.required]
    words = Counter(criterion.verdict for criterion in required)
    tally = ", ".join(f"{number} {word}" for word, number in words.items()) or "none"
    deciding = dict.fromkeys(c.metric for c in required if c.verdict in _DECIDING.get(verdict.verdict, ()))
    said = f"{', '.join(deciding)} (required criteria: {tally})" if deciding else f"required criteria: {tally}"
    loud = f"reverse {VERDICT_STYLES[verdict.verdict]}"
    return paragraph(styled(said), sheet, styled((f" {verdict.verdict} ", loud), " "))
