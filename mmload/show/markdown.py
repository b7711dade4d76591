"""A verdict as a Markdown table: for a merge request, a release note, or $GITHUB_STEP_SUMMARY."""

from __future__ import annotations

import re

from mmload.model.result import CriterionResult, Verdict, VerdictWord
from mmload.show.figures import bounds_text, criterion_text, figure_text

_MARKS: dict[VerdictWord, str] = {
    "PASS": "✅",
    "FAIL": "❌",
    "INCONCLUSIVE": "❔",
    "INVALID": "⚠️",
    "SKIPPED": "⏭️",
}
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~])")


def to_markdown(verdict: Verdict) -> str:
    """A heading with the verdict, what was judged, the table of criteria, and what is still needed."""
    bounds = f"bounds at {100 * verdict.confidence:g} %"
    lines = [
        f"## mmload gate {_escaped(verdict.gate)}: {_word(verdict.verdict)}",
        "",
        f"- candidate: `{verdict.candidate}`",
        *(f"- baseline {_escaped(name)}: `{run}`" for name, run in verdict.baselines.items()),
        "",
        f"| criterion | figure | {bounds} | n | verdict |",
        "|:--|--:|:--|--:|:--|",
        *(_row(criterion) for criterion in verdict.criteria),
    ]
    notes = [note for criterion in verdict.criteria if (note := _note(criterion))]
    return "\n".join([*lines, *(["", *notes] if notes else [])]) + "\n"


def _row(criterion: CriterionResult) -> str:
    optional = "" if criterion.required else " (not required)"
    cells = (
        f"`{criterion_text(criterion)}`{optional}",
        figure_text(criterion),
        _escaped(bounds_text(criterion)),
        f"{criterion.n:,}",
        _word(criterion.verdict),
    )
    return f"| {' | '.join(cells)} |"


def _note(criterion: CriterionResult) -> str:
    """Why a criterion did not simply pass or fail by its figure."""
    if criterion.verdict == "PASS":
        return ""
    about = criterion.needed or criterion.evidence
    return f"- `{criterion_text(criterion)}`: {_escaped(about)}"


def _word(verdict: VerdictWord) -> str:
    return f"{_MARKS[verdict]} {verdict}"


def _escaped(text: str) -> str:
    """Text that Markdown shows as it is, on one line: a server's error text may hold anything."""
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))
