"""Variants side by side in a report, in the words of `mmload compare`."""

from __future__ import annotations

import msgspec

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
from mmload.show.report_shapes import VERDICT_TONES, Cell, Table, Tone, table, word
from mmload.show.terminal_figures import plain

_LEVELS = ("cpu_ms_per_request", "response_p50_ms", "response_p99_ms", "qps", "cpu_work_pct", "cpu_total_pct")
_ANSWER_WIDTH = 160


class AgainstView(msgspec.Struct, frozen=True):
    """A side against the baseline. answers: item, what was expected and what was given."""

    name: str
    word: str
    tone: Tone
    differences: Table | None
    notes: list[str]
    answers: list[tuple[str, str, str]]
    more_answers: int


class ComparisonView(msgspec.Struct, frozen=True):
    baseline: str
    conditions: str
    cautions: list[str]
    levels: Table
    sides: list[AgainstView]


def comparison_view(comparison: Comparison) -> ComparisonView:
    baseline = next(side for side in comparison.sides if side.name == comparison.baseline)
    cautions = [f"compared by force: {difference}" for difference in comparison.forced] + comparison.warnings
    cautions += [f"{baseline.name}: {note}" for note in notes_on(baseline)]
    return ComparisonView(
        baseline.name,
        plain(", ".join(conditions_text(comparison))),
        [plain(caution) for caution in cautions],
        _levels(comparison),
        [_against(side, baseline) for side in comparison.sides if side is not baseline],
    )


def _levels(comparison: Comparison) -> Table:
    rows: list[list[str | Cell]] = [
        [
            side.name,
            Cell(verdict_text(side), VERDICT_TONES.get(side.word, "")),
            *(level_text(side, name) for name in _LEVELS),
            saving_text(side),
            f"{len(side.runs):,}",
        ]
        for side in comparison.sides
    ]
    head = ["variant", "verdict", *map(name_of, _LEVELS), "CPU improved", "runs"]
    note = (
        "CPU: over the tokenizer and all ranks, without the idle poll; rank work and total: of the busiest rank; "
        f"CPU improved: against {comparison.baseline}, in brackets what may be chance. {confidence_text(comparison)}"
    )
    return table("variants side by side", head, rows, left=(0, 1), note=note)


def _against(side: ComparedSide, baseline: ComparedSide) -> AgainstView:
    rows: list[list[str | Cell]] = [
        [
            name_of(one.figure),
            word(one.word),
            Cell(improvement_text(one), "strong"),
            bounds_text(one),
            *compared_levels(side, baseline, one.figure),
            f"{one.n:,}",
        ]
        for one in shown_differences(side)
    ]
    head = ("figure", "verdict", "improvement", "interval", baseline.name, side.name, "n")
    answers = [
        (f"{one.item} ({one.modality})", *shortened(one.expected, one.given, _ANSWER_WIDTH))
        for one in side.answer_differences
    ]
    notes = [answers_text(side)] if side.runs else []
    return AgainstView(
        side.name,
        overall_text(side),
        VERDICT_TONES.get(side.word, ""),
        table(f"{side.name} against {baseline.name}", head, rows, left=(0, 1)) if rows else None,
        [plain(note) for note in (*notes, *notes_on(side))],
        answers,
        side.more_answer_differences,
    )
