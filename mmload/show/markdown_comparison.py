"""A comparison as Markdown: for a merge request or a release note."""

from __future__ import annotations

from collections.abc import Iterator

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
from mmload.show.markdown_text import code, escaped

_LEVELS = ("cpu_ms_per_request", "response_p50_ms", "response_p99_ms", "qps", "cpu_work_pct", "cpu_total_pct")
_MARKS = {"better": "✅", "worse": "❌", "mixed": "⚠️"}
_ANSWER_WIDTH = 160


def comparison_to_markdown(comparison: Comparison) -> str:
    """A heading, what takes from its weight, a line for each variant, then a table for each against the baseline."""
    baseline = next(side for side in comparison.sides if side.name == comparison.baseline)
    facts = [*conditions_text(comparison), f"campaign {comparison.campaign}" if comparison.campaign else ""]
    cautions = [f"- ⚠️ **compared by force**: {escaped(text)}" for text in comparison.forced]
    cautions += [f"- ⚠️ {escaped(text)}" for text in comparison.warnings]
    blocks = [
        [f"## mmload compare: with {escaped(comparison.baseline)}"],
        [escaped(", ".join(filter(None, facts)))],
        cautions,
        list(_levels(comparison)),
        [escaped(confidence_text(comparison))],
        list(_notes(baseline)),
    ]
    for side in comparison.sides:
        if side is not baseline:
            blocks += [
                [f"### {escaped(side.name)}: {_word(side.word, overall_text(side))}"],
                list(_against(side, baseline)),
            ]
            blocks.append(list(_notes(side)))
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


def _levels(comparison: Comparison) -> Iterator[str]:
    yield f"| variant | {' | '.join(map(name_of, _LEVELS))} | CPU improved | verdict |"
    yield f"|:--|{'--:|' * len(_LEVELS)}--:|:--|"
    for side in comparison.sides:
        levels = " | ".join(level_text(side, name) for name in _LEVELS)
        yield f"| {escaped(side.name)} | {levels} | {saving_text(side)} | {_word(side.word, verdict_text(side))} |"


def _against(side: ComparedSide, baseline: ComparedSide) -> Iterator[str]:
    differences = shown_differences(side)
    if differences:
        yield f"| figure | {escaped(baseline.name)} | {escaped(side.name)} | improvement | interval | verdict |"
        yield "|:--|--:|--:|--:|--:|:--|"
    for one in differences:
        levels = compared_levels(side, baseline, one.figure)
        cells = (name_of(one.figure), *levels, improvement_text(one), bounds_text(one), _word(one.word))
        yield f"| {' | '.join(cells)} |"


def _notes(side: ComparedSide) -> Iterator[str]:
    if side.answers_why:
        yield f"- {escaped(answers_text(side))}"
    for one in side.answer_differences:
        expected, given = shortened(one.expected, one.given, _ANSWER_WIDTH)
        yield f"    - {code(one.item)} ({one.modality})<br>expected {code(expected)}<br>given {code(given)}"
    if side.more_answer_differences:
        yield f"    - and {side.more_answer_differences:,} more"
    for note in notes_on(side):
        yield f"- {escaped(note)}"


def _word(word: str, said: str = "") -> str:
    """With its mark. said: in its place."""
    return f"{_MARKS.get(word, '')} {said or word}".lstrip()
