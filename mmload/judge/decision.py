"""From bounds to a word, and from an open question to how much more evidence would close it."""

from __future__ import annotations

import math

from mmload.judge.criteria import Criterion
from mmload.judge.figures import Figure
from mmload.model.result import VerdictWord

_MOST = 1000.0  # if a thousand times the evidence decides nothing, the figure stands at the limit
_STEP = 1.25


def decide(criterion: Criterion, low: float, high: float) -> VerdictWord:
    """PASS when every value between the bounds is inside the limit, FAIL when none is, else INCONCLUSIVE."""
    if criterion.op == "==":
        if low == high == criterion.limit:
            return "PASS"
        return "INCONCLUSIVE" if low <= criterion.limit <= high else "FAIL"
    inside = [criterion.holds(low), criterion.holds(high)]
    if all(inside):
        return "PASS"
    return "INCONCLUSIVE" if any(inside) else "FAIL"


def more_evidence(criterion: Criterion, figure: Figure, requests: int, length_s: float) -> str:
    """How much more of the same load would decide an INCONCLUSIVE criterion if the figures stayed as they are, in
    words; `requests` in `length_s` seconds gave what there is."""
    factor = _deciding_factor(criterion, figure)
    if factor is None:
        return f"too near the limit: {_MOST:,.0f} times as much evidence would not decide it at the present figures"
    more, profile = factor - 1, ", and a profile longer in proportion" if figure.profiled else ""
    return f"{math.ceil(requests * more):,} more requests ({math.ceil(length_s * more):,} s of the same load{profile})"


def never_reached(criterion: Criterion, figure: Figure) -> str | None:
    """Why the load could not show what the criterion asks for, whatever the server did; None when it could."""
    offered_rps = figure.offered_rps
    if offered_rps is None or criterion.op not in (">", ">=") or criterion.holds(offered_rps):
        return None
    return f"only {offered_rps:.4g} req/s were offered"


def _deciding_factor(criterion: Criterion, figure: Figure) -> float | None:
    """The least multiple of the present evidence that decides, to a thousandth; None where there is none."""

    def is_decided(factor: float) -> bool:
        assert figure.project
        bounds = figure.project(factor)
        return decide(criterion, bounds.low, bounds.high) != "INCONCLUSIVE"

    few = enough = 1.0
    while figure.project and enough < _MOST:
        few, enough = enough, enough * _STEP
        if not is_decided(enough):
            continue
        while enough - few > few / 1000:
            middle = (few + enough) / 2
            few, enough = (few, middle) if is_decided(middle) else (middle, enough)
        return enough
    return None
