"""Candidate against baseline: ratios with bounds, by resampling blocks of time of each run.

A block keeps what belongs together (a burst, a slow second), so that resampling whole blocks keeps the dependence
(Davison and Hinkley, Bootstrap Methods, 8.2.3). The logarithm of the ratio has Student's t times the bootstrap's
relative standard error as bounds: with twenty blocks plain bootstrap percentiles are too narrow. Over several pairs of
runs the logarithms are averaged (mmload.judge.pooling).

Each run brings its own generator. Two of the same seed draw the same blocks on both sides: where both runs had the same
schedule its ups and downs are then no part of the difference.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from mmload.analyse.blocks import FEWEST_BLOCKS, independent_blocks
from mmload.analyse.cpu import Interval
from mmload.analyse.distributions import t_quantile
from mmload.analyse.latency import nearest_rank
from mmload.analyse.reading import Reading
from mmload.judge.pooling import Pooled, difference, exponential, pool
from mmload.judge.statistics import Tail, Trust

Values = NDArray[np.float64]

RESAMPLES = 1000  # the standard error is then good to 2 %
_FEWEST_BURSTS = 10  # fewer of them beyond a percentile, and resampling does not see how it varies


class Resampled(msgspec.Struct, frozen=True):
    """One run's figure, and what it is in each of its resamples, which are drawn from its blocks. blocks: how many;
    independent: how many of such would say as much. bursts: of values beyond it, where it is a percentile; a rate
    always rests on enough."""

    value: float
    resamples: Values
    blocks: int
    independent: float
    bursts: int = _FEWEST_BURSTS


class RatioSample:
    """The ratio of a candidate's figure to a baseline's, over one or several runs of each (`ratio_of`)."""

    def __init__(self, candidate: Sequence[Resampled], baseline: Sequence[Resampled]) -> None:
        self._candidate, self._baseline = candidate, baseline

    def interval(self, confidence: float, factor: float = 1.0) -> Interval:
        """Bounds, each one-sided at `confidence`. factor: as if there were so many times as much evidence."""
        if not any(run.value for run in self._candidate):
            return Interval(0.0, 0.0, 0.0)
        return exponential(self._pooled(confidence).interval(confidence, factor))

    def _pooled(self, confidence: float) -> Pooled:
        if len(self._candidate) == len(self._baseline):
            pairs = zip(self._candidate, self._baseline, strict=True)
            return pool([_logarithm(_quotient(ours, theirs), confidence) for ours, theirs in pairs])
        sides = ([_logarithm(run, confidence) for run in side] for side in (self._candidate, self._baseline))
        return difference(*sides)


def ratio_of(candidate: Sequence[Resampled | None], baseline: Sequence[Resampled | None]) -> RatioSample | None:
    """Of as many runs on both sides, which are then in the order of their rounds, each pair is compared by itself. None
    where a figure is missing, may be infinite, or is a baseline's and may be 0; where only some of the candidate's are
    0; and with fewer than 10 bursts beyond a percentile on one side."""
    ours, theirs = ([run for run in side if run] for side in (candidate, baseline))
    if len(ours) < len(candidate) or len(theirs) < len(baseline):
        return None
    if any(sum(run.bursts for run in side) < _FEWEST_BURSTS for side in (ours, theirs)):
        return None
    known = all(_is_finite(run) for run in (*ours, *theirs)) and all(run.resamples.min() > 0 for run in theirs)
    if not known or (any(not run.value for run in ours) and any(run.value for run in ours)):
        return None
    return RatioSample(ours, theirs)


def ratio_of_tails(candidate: Tail, baseline: Tail, trust: Trust) -> Interval:
    """The ratio of two percentiles, the upper bound of one over the lower of the other: wider than need be, but it
    takes few bursts and knows of infinite times. The baseline's percentile is finite."""
    ours, theirs = (tail.percentile_bounds(trust) for tail in (candidate, baseline))
    low = ours.low / theirs.high if math.isfinite(theirs.high) else 0.0
    high = ours.high / theirs.low if theirs.low > 0 else math.inf
    return Interval(candidate.percentile / baseline.percentile, max(0.0, low), high)


def reading_of(figure: Resampled, confidence: float) -> Reading:
    """The figure itself, which is never below 0."""
    half = _half_width(figure, confidence)
    return Reading(figure.value, min(figure.value, half), half)


def resampled_rate(a: Values, b: Values, rng: np.random.Generator) -> Resampled | None:
    """sum a / sum b over a run's blocks: two arrays, maybe with a column for each of several parts (blocks, parts),
    whose rates add up. None with too few blocks."""
    if len(a) < FEWEST_BLOCKS:
        return None
    weights = np.vstack((np.ones(len(a)), _resamples(len(a), rng)))  # the first row: the blocks as they are
    with np.errstate(divide="ignore", invalid="ignore"):
        each = _by_part(weights, a) / _by_part(weights, b)
        beside = (a.reshape(len(a), -1) - each[0] * b.reshape(len(a), -1)).sum(axis=1)
    return Resampled(float(each[0].sum()), each[1:].sum(axis=1), len(a), independent_blocks(beside))


def resampled_percentile(blocks: Sequence[Values], p: float, rng: np.random.Generator) -> Resampled | None:
    """The p-percentile of the values of a run, by block. None with too few blocks."""
    if len(blocks) < FEWEST_BLOCKS or not any(map(len, blocks)):
        return None
    tail = Tail([np.concatenate(blocks)], 1 - p)
    value, beyond = tail.percentile, tail.beyond_percentile
    over = np.array([np.count_nonzero(block > value) for block in blocks], float)
    resamples = _resampled_percentiles(blocks, p, rng)
    return Resampled(value, resamples, len(blocks), independent_blocks(over), tail.bursts(beyond).count)


def _is_finite(run: Resampled) -> bool:
    return math.isfinite(run.value) and bool(np.isfinite(run.resamples).all())


def _quotient(ours: Resampled, theirs: Resampled) -> Resampled:
    return Resampled(
        ours.value / theirs.value,
        ours.resamples / theirs.resamples,
        min(ours.blocks, theirs.blocks),
        2 / (1 / ours.independent + 1 / theirs.independent),
    )


def _logarithm(figure: Resampled, confidence: float) -> Reading:
    half = _half_width(figure, confidence) / figure.value
    return Reading(math.log(figure.value), half, half)


def _half_width(figure: Resampled, confidence: float) -> float:
    as_independent = figure.blocks / (figure.blocks - 1) * figure.blocks / figure.independent
    error = float(figure.resamples.std(ddof=1)) * math.sqrt(as_independent)
    return t_quantile(confidence, max(1.0, figure.independent - 1)) * error


def _by_part(weights: Values, blocks: Values) -> Values:
    """The sum over weighted blocks, (rows of weights, parts)."""
    return weights @ blocks.reshape(len(blocks), -1)


def _resamples(blocks: int, rng: np.random.Generator) -> Values:
    """How often each block was drawn, RESAMPLES times: an array (RESAMPLES, blocks)."""
    return rng.multinomial(blocks, np.full(blocks, 1 / blocks), RESAMPLES).astype(float)


def _resampled_percentiles(blocks: Sequence[Values], p: float, rng: np.random.Generator) -> Values:
    values = np.concatenate(blocks)
    sizes = np.array([len(block) for block in blocks])
    order = np.argsort(-values, kind="stable")
    owner = np.repeat(np.arange(len(blocks)), sizes)[order]
    places = [np.flatnonzero(owner == block) for block in range(len(blocks))]  # of its values, from the largest
    weights = _resamples(len(blocks), rng)
    totals = (weights @ sizes).astype(int)
    beyond = np.array([total - nearest_rank(p, int(total)) for total in totals])
    return values[order[_first_past(beyond, weights, places)]]


def _first_past(beyond: NDArray[np.int64], weights: Values, places: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    """In each resample the first place at which more than `beyond` values lie, each as often as its block was drawn."""
    low, high = np.zeros(len(weights), np.int64), np.full(len(weights), sum(map(len, places)) - 1)
    while (low < high).any():
        middle = (low + high) // 2
        counts = np.column_stack([np.searchsorted(block, middle, side="right") for block in places])
        past = (weights * counts).sum(axis=1) > beyond
        low, high = np.where(past, low, middle + 1), np.where(past, middle, high)
    return low
