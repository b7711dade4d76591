"""Variants side by side on the terminal: a line for each, then how each differs from the baseline."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.text import Text

from mmload.model.comparison import ComparedSide, Comparison
from mmload.show.answer_texts import shortened
from mmload.show.comparison_words import (
    answers_text,
    bounds_text,
    compared_levels,
    conditions_text,
    confidence_text,
    improvement_text,
    level_text,
    name_of,
    notes_on,
    overall_text,
    saving_text,
    shown_differences,
    verdict_text,
)
from mmload.show.palette import DIFFERENCE_STYLES, LABEL, WARNING
from mmload.show.terminal_about import next_steps
from mmload.show.terminal_sheet import EXTRA, Column, Drawn, Sheet, cut, fact, grid, paragraph, separated, styled

# The figures of the first table, each with its column.
_LEVELS = {
    "cpu_ms_per_request": Column("CPU ms"),
    "response_p50_ms": Column("p50 ms", rank=2),
    "response_p99_ms": Column("P99 ms"),
    "qps": Column("req/s"),
    "cpu_work_pct": Column("work %"),
    "cpu_total_pct": Column("total %", rank=EXTRA),
}
_INDENT = "  "


def render_comparison(comparison: Comparison, steps: Sequence[tuple[str, str]] = ()) -> Drawn:
    """What is compared, a line for each variant, then figure by figure against the baseline. steps: what to do next,
    and what for."""
    baseline = next(side for side in comparison.sides if side.name == comparison.baseline)

    def view(sheet: Sheet) -> Iterator[Text]:
        return separated(
            _compared(comparison, sheet),
            _cautions(comparison, sheet),
            _levels(comparison, sheet),
            _notes(baseline, sheet),
            *(_against(side, baseline, sheet) for side in comparison.sides if side is not baseline),
            next_steps(steps, sheet),
        )

    return Drawn(view)


def _compared(comparison: Comparison, sheet: Sheet) -> Iterator[Text]:
    yield from fact("comparison", [styled((f"with {comparison.baseline}", "bold"))], sheet)
    yield from fact("runs", [styled(text) for text in conditions_text(comparison)], sheet)
    if comparison.campaign:
        yield from fact("campaign", [styled(comparison.campaign)], sheet)


def _cautions(comparison: Comparison, sheet: Sheet) -> Iterator[Text]:
    """What takes from the comparison's weight, before anything that could be read without it."""
    for difference in comparison.forced:
        yield from paragraph(styled(difference), sheet, styled((" FORCED ", f"reverse {WARNING}"), " "))
    for warning in comparison.warnings:
        yield from paragraph(styled((warning, WARNING)), sheet, styled(("warning: ", WARNING)))


def _levels(comparison: Comparison, sheet: Sheet) -> Iterator[Text]:
    """CPU ms: per request, over the tokenizer and all ranks; work and total: of the busiest rank; improved: CPU ms."""
    columns = (
        Column("variant", right=False, elastic=True),
        *_LEVELS.values(),
        Column("improved"),
        Column("verdict", right=False),
    )
    rows = [
        [
            styled((side.name, "bold")),
            *(styled(level_text(side, name, sheet.glyphs.infinity)) for name in _LEVELS),
            styled(saving_text(side)),
            styled((verdict_text(side), DIFFERENCE_STYLES[side.word])),
        ]
        for side in comparison.sides
    ]
    yield from grid(columns, rows, sheet)
    legend = (
        f"CPU ms: per request, tokenizer and all ranks, no idle poll; improved: CPU ms, against {comparison.baseline}, "
        "in brackets what may be chance; work, total: of the busiest rank"
    )
    yield from paragraph(styled((f"{legend}. {confidence_text(comparison)}", LABEL)), sheet)


def _against(side: ComparedSide, baseline: ComparedSide, sheet: Sheet) -> Iterator[Text]:
    columns = (
        Column("figure", right=False, elastic=True),
        Column("base", rank=1),
        Column("this", rank=1),
        Column("improved"),
        Column("interval"),
        Column("verdict", right=False),
    )
    rows = [
        [
            styled(name_of(one.figure)),
            *map(styled, compared_levels(side, baseline, one.figure, sheet.glyphs.infinity)),
            styled((improvement_text(one), "bold")),
            styled(bounds_text(one)),
            styled((one.word, DIFFERENCE_STYLES[one.word])),
        ]
        for one in shown_differences(side)
    ]
    overall = (overall_text(side), DIFFERENCE_STYLES[side.word])
    yield from paragraph(styled((side.name, "bold"), f" against {baseline.name}: ", overall), sheet)
    if rows:
        yield from grid(columns, rows, sheet)
    yield from _answers(side, sheet)
    yield from _notes(side, sheet)


def _answers(side: ComparedSide, sheet: Sheet) -> Iterator[Text]:
    if side.runs:
        style = DIFFERENCE_STYLES["worse"] if side.answers == "different" else LABEL
        yield from paragraph(styled((answers_text(side), style)), sheet, _INDENT)
    for one in side.answer_differences:
        width = max(20, sheet.width - len(_INDENT) - 12)
        texts = shortened(one.expected, one.given, width, sheet.glyphs.ellipsis)
        yield cut(styled(f"{_INDENT}{one.item} ({one.modality})"), sheet.width, sheet.glyphs)
        for label, text in zip(("expected", "given"), texts, strict=True):
            yield cut(styled(f"{_INDENT}  ", (label.ljust(10), LABEL), text), sheet.width, sheet.glyphs)
    if side.more_answer_differences:
        yield styled(f"{_INDENT}and {side.more_answer_differences:,} more")


def _notes(side: ComparedSide, sheet: Sheet) -> Iterator[Text]:
    for note in notes_on(side):
        yield from paragraph(styled((note, WARNING if side.left_out else LABEL)), sheet, _INDENT)
