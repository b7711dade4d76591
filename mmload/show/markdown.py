"""A verdict as Markdown: for a merge request, a release note, or $GITHUB_STEP_SUMMARY."""

from __future__ import annotations

from collections.abc import Iterator

from mmload.model.result import AnswerDifference, CriterionResult, Verdict, VerdictWord
from mmload.show.answer_texts import shortened
from mmload.show.figures import (
    SceneResults,
    by_scene,
    confidence_text,
    criterion_text,
    figure_and_bounds,
    first_needing,
    looks_text,
    remarks,
)
from mmload.show.markdown_text import code, escaped

_MARKS: dict[VerdictWord, str] = {
    "PASS": "✅",
    "FAIL": "❌",
    "INCONCLUSIVE": "❔",
    "INVALID": "⚠️",
    "SKIPPED": "⏭️",
}
_ANSWER_WIDTH = 160


def to_markdown(verdict: Verdict) -> str:
    """A heading with the verdict, what takes from its weight, and for each scene its runs, the table of its criteria,
    and what is still needed or differs."""
    facts = (f"campaign {code(verdict.campaign)}" if verdict.campaign else "", looks_text(verdict))
    scenes = by_scene(verdict)
    blocks = [
        [f"## mmload gate {escaped(verdict.gate)}: {_word(verdict.verdict)}"],
        [", ".join(filter(None, (confidence_text(verdict), *facts)))],
        [f"- ⚠️ {said}" for said in (*_forced(verdict), *map(escaped, verdict.warnings))],
    ]
    for scene in scenes:
        blocks += [[f"### {escaped(scene.name)}"] if len(scenes) > 1 else [], *_scene(scene, verdict)]
    return "\n\n".join("\n".join(block) for block in blocks if block) + "\n"


def _forced(verdict: Verdict) -> Iterator[str]:
    return (f"**compared by force**: {escaped(difference)}" for difference in verdict.forced)


def _scene(scene: SceneResults, verdict: Verdict) -> Iterator[list[str]]:
    runs = {"candidate": scene.runs.candidate}
    runs |= {f"baseline {name}": made for name, made in scene.runs.baselines.items()}
    load = [f"- load: {escaped(scene.runs.load)}"] if scene.runs.load else []
    yield [*load, *(f"- {escaped(side)}: {', '.join(map(code, made)) or 'no run'}" for side, made in runs.items())]
    if scene.criteria:
        yield [
            "| criterion | figure | bounds | n | verdict | evidence |",
            "|:--|--:|:--|--:|:--|:--|",
            *(_row(criterion, verdict) for criterion in scene.criteria),
        ]
        yield [*_needed(scene), *(note for criterion in scene.criteria for note in _differences(criterion))]


def _row(criterion: CriterionResult, verdict: Verdict) -> str:
    figure, bounds = figure_and_bounds(criterion)
    apart = "".join(f" ({remark})" for remark in remarks(criterion, verdict))
    cells = (
        f"{code(criterion_text(criterion))}{apart}".replace("|", "\\|"),
        escaped(figure),
        _together(escaped(bounds)),
        f"{criterion.n:,}",
        _word(criterion.verdict),
        escaped(criterion.evidence),
    )
    return f"| {' | '.join(cells)} |"


def _needed(scene: SceneResults) -> Iterator[str]:
    """What would decide the open criteria, each need once."""
    for needed in first_needing(scene.criteria):
        asking = (code(criterion_text(criterion)) for criterion in scene.criteria if criterion.needed == needed)
        yield f"- {', '.join(asking)}: {escaped(needed)}"


def _differences(criterion: CriterionResult) -> Iterator[str]:
    if criterion.differences:
        yield f"- {code(criterion_text(criterion))}: answers that differ"
        yield from map(_difference, criterion.differences)
    if criterion.more_differences:
        yield f"    - and {criterion.more_differences:,} more"


def _difference(difference: AnswerDifference) -> str:
    expected, given = shortened(difference.expected, difference.given, _ANSWER_WIDTH)
    return (
        f"    - {code(difference.item)} ({difference.modality})<br>"
        f"expected {code(expected)} in {code(difference.expected_run)}<br>"
        f"given {code(given)} in {code(difference.given_run)}"
    )


def _word(verdict: VerdictWord) -> str:
    return _together(f"{_MARKS[verdict]} {verdict}")


def _together(text: str) -> str:
    """Not broken over lines in a narrow cell."""
    return text.replace(" ", "\N{NO-BREAK SPACE}")
