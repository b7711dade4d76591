"""From bounds to a word, and from an open question to how much more evidence would close it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol

from mmload.judge.criteria import Criterion
from mmload.judge.figures import Figure
from mmload.model.result import VerdictWord

_MOST = 1000.0  # if a thousand times the evidence decides nothing, the figure stands at the limit
_NEVER = f"too near the limit: {_MOST:,.0f} times as much evidence would not decide it at the present figures"
_STEP = 1.25
_HARDLY_MORE = 1.01  # what the present figures ask for is found to a thousandth


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


class Load(Protocol):
    """What gave the evidence that there is (mmload.judge.evidence.Rounds)."""

    @property
    def runs(self) -> Sequence[object]: ...
    @property
    def requests(self) -> int: ...
    @property
    def length_s(self) -> float: ...


def more_evidence(criterion: Criterion, figure: Figure, load: Load) -> str:
    """How much more of the same load would decide an INCONCLUSIVE criterion, in words: at the least, and if the figures
    stayed as they are. Where these would never decide it, only that is said, unless it takes that much for any."""
    least, factor = _least(criterion, figure, load.requests), _deciding_factor(criterion, figure)
    if factor is None and (not least or least < (_MOST - 1) * load.requests):
        return _NEVER
    words = []
    if least and figure.least:
        time = _time(least / load.requests, load, figure, " of the same load")
        words.append(f"at least {least:,} more requests, none of them {figure.least.bad} ({time})")
    if factor is None:
        return "; ".join(words)
    more = math.ceil(load.requests * (factor - 1))
    to_fail = " to FAIL" if _projected(criterion, figure, factor) == "FAIL" else ""
    if not least:
        words.append(f"{more:,} more requests ({_time(factor - 1, load, figure, ' of the same load')}){to_fail}")
    elif to_fail or more > _HARDLY_MORE * least:
        words.append(f"at the present figures {more:,} more ({_time(factor - 1, load, figure)}){to_fail}")
    return "; ".join(words)


def never_reached(criterion: Criterion, figure: Figure) -> str | None:
    """Why the load could not show what the criterion asks for, whatever the server did; None when it could."""
    offered_rps = figure.offered_rps
    if offered_rps is None or criterion.op not in (">", ">=") or criterion.holds(offered_rps):
        return None
    return f"only {offered_rps:.4g} req/s were offered"


def _time(share: float, load: Load, figure: Figure, same_load: str = "") -> str:
    """What so many times as much of the load more takes, in words."""
    seconds, runs = f"{math.ceil(load.length_s * share):,} s{same_load}", len(load.runs)
    if runs == 1:
        return f"{seconds}, and a profile longer in proportion" if figure.profiled else seconds
    rounds = math.ceil(runs * share)
    return f"{seconds}: {rounds:,} more round{'s' if rounds > 1 else ''}"


def _least(criterion: Criterion, figure: Figure, requests: int) -> int | None:
    """How many more requests could at the least make it PASS; None where nobody can say."""
    if figure.least is None or criterion.op not in ("<", "<="):
        return None
    needed = figure.least.needed(criterion.limit)
    return None if needed is None or needed <= figure.n else -(-requests * (needed - figure.n) // figure.n)


def _projected(criterion: Criterion, figure: Figure, factor: float) -> VerdictWord:
    """The verdict on so many times as much evidence of the same kind."""
    assert figure.project
    bounds = figure.project(factor)
    return decide(criterion, bounds.low, bounds.high)


def _deciding_factor(criterion: Criterion, figure: Figure) -> float | None:
    """The least multiple of the present evidence that decides, to a thousandth; None where there is none."""
    few = enough = 1.0
    while figure.project and enough < _MOST:
        few, enough = enough, enough * _STEP
        if _projected(criterion, figure, enough) == "INCONCLUSIVE":
            continue
        while enough - few > few / 1000:
            middle = (few + enough) / 2
            is_decided = _projected(criterion, figure, middle) != "INCONCLUSIVE"
            few, enough = (few, middle) if is_decided else (middle, enough)
        return enough
    return None
