"""How a criterion and its figures read in plain text, the same in every format."""

from __future__ import annotations

from mmload.model.result import CriterionResult


def criterion_text(criterion: CriterionResult) -> str:
    """As it stands in the gate file: `qps_ratio > 0.95 vs rollback`."""
    baseline = f" vs {criterion.baseline}" if criterion.baseline else ""
    return f"{criterion.metric} {criterion.op} {criterion.limit:g}{baseline}"


def figure_text(criterion: CriterionResult) -> str:
    """The figure to four digits; 'no figure' where there is none."""
    return "no figure" if criterion.value is None else _number(criterion.value)


def bounds_text(criterion: CriterionResult) -> str:
    """`[81.2, 94.6]`, an open side as '..'; empty without bounds."""
    if criterion.low is None and criterion.high is None:
        return ""
    low, high = ("..." if bound is None else _number(bound) for bound in (criterion.low, criterion.high))
    return f"[{low}, {high}]"


def figures_text(criterion: CriterionResult) -> str:
    """Figure, bounds and number of observations in one phrase."""
    bounds = bounds_text(criterion)
    return f"{figure_text(criterion)}{' ' if bounds else ''}{bounds}, n {criterion.n:,}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"
