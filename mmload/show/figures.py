"""How a verdict's parts read in plain text, the same in every format."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from mmload.model.campaign import MAIN_SCENE
from mmload.model.result import CriterionResult, JudgedRuns, Verdict
from mmload.show.terminal_figures import MISSING, figures

# Which words of a criterion are the reason for a gate's word; INVALID and PASS are about all of them.
_DECIDING = {"FAIL": ("FAIL",), "INCONCLUSIVE": ("INCONCLUSIVE", "SKIPPED")}


class SceneResults(NamedTuple):
    """What was judged on one scene."""

    name: str
    runs: JudgedRuns
    criteria: list[CriterionResult]


def by_scene(verdict: Verdict) -> list[SceneResults]:
    """The scenes of a verdict, each with its runs and criteria in the order of the gate file."""
    alone = JudgedRuns(
        candidate=[verdict.candidate], baselines={name: [run] for name, run in verdict.baselines.items()}
    )
    runs = verdict.scenes or {MAIN_SCENE: alone}
    names = dict.fromkeys([*runs, *(criterion.on for criterion in verdict.criteria)])
    none = JudgedRuns(candidate=[])
    return [SceneResults(name, runs.get(name, none), [c for c in verdict.criteria if c.on == name]) for name in names]


def runs_text(runs: Sequence[str]) -> str:
    """The first of several rounds, and how many more there are."""
    more = f" and {len(runs) - 1} more" if len(runs) > 1 else ""
    return f"{runs[0]}{more}" if runs else "no run"


def overall_text(verdict: Verdict) -> str:
    """Why the verdict is what it is: the criteria that decide it, how many there are of each word, what else counts."""
    required = [criterion for criterion in verdict.criteria if criterion.required]
    words = Counter(criterion.verdict for criterion in required)
    tally = ", ".join(f"{number} {word}" for word, number in words.items()) or "none"
    deciding = dict.fromkeys(c.metric for c in required if c.verdict in _DECIDING.get(verdict.verdict, ()))
    said = f"{', '.join(deciding)} (required criteria: {tally})" if deciding else f"required criteria: {tally}"
    if verdict.look > verdict.looks:
        said += f"; {looks_text(verdict)}"
    return f"{said}; runs that differ were compared by force" if verdict.forced else said


def confidence_text(verdict: Verdict) -> str:
    """At what confidence the bounds are: the gate's, or another that all criteria with bounds share."""
    common = _common_confidence(verdict)
    if common is None:
        return f"bounds at {_percent(verdict.confidence)} unless a line says otherwise"
    return f"bounds at {_percent(common)}"


def looks_text(verdict: Verdict) -> str:
    """Which look at the candidate this is; empty where it is the only one."""
    return f"look {verdict.look} of {verdict.looks} planned" if max(verdict.look, verdict.looks) > 1 else ""


def criterion_text(criterion: CriterionResult) -> str:
    """As the gate file says it, the margin beside the limit: `qps_ratio > 1 - 0.05 vs rollback`."""
    baseline = f" vs {criterion.baseline}" if criterion.baseline else ""
    return f"{limit_text(criterion)}{baseline}{_baseline_scene(criterion)}"


def limit_text(criterion: CriterionResult) -> str:
    """The same without the baseline."""
    sign = "+" if criterion.op in {"<", "<="} else "-"
    margin = f" {sign} {criterion.margin:g}" if criterion.margin else ""
    return f"{criterion.metric} {criterion.op} {criterion.limit:g}{margin}"


def figure_and_bounds(criterion: CriterionResult, infinity: str = "∞") -> tuple[str, str]:
    """('142', '131 to 188'), with the same decimals. An end that nothing bounds is infinite, and so is a figure that
    has a bound and no value. The bounds read 'exact' where the figure was counted, 'no bounds' where neither end has
    one, and are empty without a figure."""
    value, low, high = criterion.value, criterion.low, criterion.high
    if value is low is high is None and not criterion.infinite:
        return MISSING, ""
    if low == value == high and value is not None and criterion.confidence is None:
        return f"{value:g}", "exact"
    lowest = math.inf if "low" in criterion.infinite else -math.inf
    ends = (math.inf if value is None else value, lowest if low is None else low, math.inf if high is None else high)
    moved = criterion.limit + criterion.margin * (1 if criterion.op in {"<", "<="} else -1)
    shown, least, greatest = figures(ends, infinity, most=4, limit=moved)
    return shown, "no bounds" if ends[1:] == (-math.inf, math.inf) else f"{least} to {greatest}"


def figures_text(criterion: CriterionResult) -> str:
    """Figure, bounds and number of observations in one phrase."""
    figure, bounds = figure_and_bounds(criterion)
    said = f"{figure} ({bounds})" if bounds else "no figure"
    return f"{said}, n {criterion.n:,}"


def first_needing(criteria: Iterable[CriterionResult]) -> dict[str, CriterionResult]:
    """What is needed -> the first of the criteria that need it."""
    first: dict[str, CriterionResult] = {}
    for criterion in criteria:
        if criterion.needed:
            first.setdefault(criterion.needed, criterion)
    return first


def remarks(criterion: CriterionResult, verdict: Verdict) -> list[str]:
    """What else sets a criterion apart: that it decides nothing, that its bounds are others than the gate's."""
    said = [] if criterion.required else ["shown only"]
    own = criterion.confidence
    if own is not None and own != verdict.confidence and _common_confidence(verdict) is None:
        said.append(f"bounds at {_percent(own)}")
    return said


def _common_confidence(verdict: Verdict) -> float | None:
    told = {criterion.confidence for criterion in verdict.criteria if criterion.confidence is not None}
    return None if len(told) > 1 else next(iter(told), verdict.confidence)


def _percent(share: float) -> str:
    return f"{100 * share:.4g} %"


def _baseline_scene(criterion: CriterionResult) -> str:
    return f" on {criterion.baseline_on}" if criterion.baseline_on else ""
