"""The figures that a comparison shows: of one side, and as improvements against the baseline.

All improvements of one side are held together at 95 %: with m of them, each has bounds that are one-sided at
1 - 0.05 / 2m (Bonferroni). So a variant compared with itself shows any difference in at most one of twenty comparisons,
however many figures a comparison has.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from mmload.analyse.cpu import Interval
from mmload.judge.evidence import Rounds
from mmload.judge.figures import Figure, Terms
from mmload.judge.metrics import METRICS
from mmload.model.comparison import Difference, DifferenceWord, Level, LevelSource

CONFIDENCE = 0.95
_DESIGN_EFFECT = 40.0  # until a run shows its own: bursts of 20 in the mean, as the release gate takes them
_ERRORS_ALONE = 1.0  # errors are taken as independent of each other, until runs show that they are not
_USEFUL = 0.05  # a difference that a comparison should be able to see
_MOST_ROUNDS = 100  # nobody makes more of them for one answer

Improvement = Callable[[Interval], Interval]


def _by_less(ratio: Interval) -> Interval:
    return Interval(1 - ratio.value, 1 - ratio.high, 1 - ratio.low)


def _by_more(ratio: Interval) -> Interval:
    return Interval(ratio.value - 1, ratio.low - 1, ratio.high - 1)


def _as_it_is(saved: Interval) -> Interval:
    return saved


class _Compared(NamedTuple):
    """A figure, the metric that compares it, and how an improvement comes from that."""

    figure: str
    metric: str
    improvement: Improvement


_COMPARED = (
    _Compared("cpu_ms_per_request", "cpu_per_request_ratio", _by_less),
    _Compared("response_p50_ms", "response_p50_ratio", _by_less),
    _Compared("response_p99_ms", "response_p99_ratio", _by_less),
    _Compared("qps", "qps_ratio", _by_more),
    _Compared("cpu_work_pct", "cpu_work_ratio", _by_less),
    _Compared("cpu_total_pct", "cpu_total_ratio", _by_less),
    _Compared("build_cpu", "build_cpu_saved", _as_it_is),
    _Compared("handoff_cpu", "handoff_cpu_saved", _as_it_is),
)
# The figures of one side, and the metric that each is.
_LEVELS = {
    "cpu_ms_per_request": "cpu_ms_per_request",
    "response_p50_ms": "response_p50_ms",
    "response_p99_ms": "response_p99_ms",
    "qps": "qps",
    "cpu_work_pct": "cpu_work_pct",
    "cpu_total_pct": "cpu_total_pct",
    "build_cpu": "build_cpu_ms_per_request",
    "handoff_cpu": "handoff_cpu_ms_per_request",
    "error_rate": "error_rate",
}
_COUNTED = {"build_cpu", "handoff_cpu"}  # by the server, where it does
_ONE_SIDED = 1 - (1 - CONFIDENCE) / (2 * (len(_COMPARED) + 1))  # the error rate is compared too
FIGURE_CONFIDENCE = 2 * _ONE_SIDED - 1


def levels_of(rounds: Rounds) -> dict[str, Level]:
    """The figures of one side, each with its own 95 % interval."""
    confidence = 1 - (1 - CONFIDENCE) / 2
    effects = dict.fromkeys(_LEVELS, _DESIGN_EFFECT) | {"error_rate": _ERRORS_ALONE}
    return {
        name: _level(name, _of_one(metric, rounds, Terms(confidence, effects[name])))
        for name, metric in _LEVELS.items()
    }


def differences_of(ours: Rounds, theirs: Rounds) -> list[Difference]:
    """Of every figure, ours against theirs; the runs of both in the order of their pairs."""
    return [*(_difference(compared, ours, theirs) for compared in _COMPARED), _difference_of_errors(ours, theirs)]


def answers_against(ours: Rounds, theirs: Rounds) -> Figure:
    """1 where every item was answered alike, 0 where not, no value where nobody knows."""
    return _of_two("outputs_identical", ours, theirs)


def _level(name: str, figure: Figure) -> Level:
    low, high = _finite(figure.low), _finite(figure.high)
    source: LevelSource | None = None
    if name in _COUNTED and figure.value is not None:
        source = "samples" if figure.profiled else "counters"
    return Level(value=figure.value, low=low, high=high, n=figure.n, why=figure.obstacle, source=source)


def _difference(compared: _Compared, ours: Rounds, theirs: Rounds) -> Difference:
    figure = _of_two(compared.metric, ours, theirs)
    if figure.low == math.inf:  # too many got no answer: infinitely longer than the baseline's
        return _judged(compared.figure, compared.improvement(Interval(math.inf, math.inf, math.inf)), figure)
    if figure.value is None:
        why = figure.obstacle or figure.skipped or "infinite on one side"
        return _not_known(compared.figure, why, figure.evidence)
    difference = _judged(compared.figure, compared.improvement(Interval(figure.value, figure.low, figure.high)), figure)
    if difference.word != "no difference seen" or (project := figure.project) is None:
        return difference
    needed = _needed(lambda rounds: compared.improvement(project(rounds / len(ours.runs))), len(ours.runs))
    return msgspec.structs.replace(difference, needed=needed)


def _difference_of_errors(ours: Rounds, theirs: Rounds) -> Difference:
    """Of the two rates themselves; a difference is seen where their bounds, each as wide as any other's, don't meet."""
    mine, its = (_of_one("error_rate", side, Terms(_ONE_SIDED, _ERRORS_ALONE)) for side in (ours, theirs))
    if mine.value is None or its.value is None:
        return _not_known("error_rate", mine.obstacle or its.obstacle or "no request", mine.evidence)
    return _judged("error_rate", Interval(its.value - mine.value, its.low - mine.high, its.high - mine.low), mine)


def _judged(name: str, improvement: Interval, figure: Figure) -> Difference:
    word: DifferenceWord = (
        "better" if improvement.low > 0 else "worse" if improvement.high < 0 else "no difference seen"
    )
    return Difference(
        figure=name,
        improvement=_finite(improvement.value),
        low=_finite(improvement.low),
        high=_finite(improvement.high),
        word=word,
        n=figure.n,
        evidence=figure.evidence,
    )


def _not_known(name: str, why: str, evidence: str) -> Difference:
    return Difference(figure=name, improvement=None, low=None, high=None, word="not known", why=why, evidence=evidence)


def _needed(with_rounds: Callable[[float], Interval], rounds: int) -> str | None:
    """How many more rounds would show a difference of 5 %, or else narrow the bounds by half; None where it would be
    seen already. with_rounds: the bounds as so many rounds would give them."""

    def width(more: int) -> float:
        bounds = with_rounds(rounds + more)
        return bounds.high - bounds.low

    def fewest(widest: float) -> int | None:
        """The fewest additional rounds that narrow the bounds so far, by bisection: every round narrows them."""
        few, enough = 0, _MOST_ROUNDS
        while enough - few > 1:
            middle = (few + enough) // 2
            few, enough = (few, middle) if width(middle) <= widest else (middle, enough)
        return enough if width(enough) <= widest else None

    if width(0) <= 2 * _USEFUL:
        return None
    for widest, gain in (
        (2 * _USEFUL, f"would show a difference of {100 * _USEFUL:g} %"),
        (width(0) / 2, "would halve the interval"),
    ):
        if (more := fewest(widest)) is not None:
            return f"{more} more round{'s' * (more > 1)} {gain}"
    return f"not even {_MOST_ROUNDS} more rounds would halve the interval"


def _of_one(metric: str, rounds: Rounds, terms: Terms) -> Figure:
    of_one = METRICS[metric].of_one
    assert of_one is not None
    return of_one(rounds, terms)


def _of_two(metric: str, ours: Rounds, theirs: Rounds) -> Figure:
    of_two = METRICS[metric].of_two
    assert of_two is not None
    return of_two(ours, theirs, Terms(_ONE_SIDED, _DESIGN_EFFECT))


def _finite(bound: float) -> float | None:
    return bound if math.isfinite(bound) else None
