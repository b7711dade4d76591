"""Candidate against baseline: ratios with bounds, by resampling blocks of time of each run.

A block keeps what belongs together (a burst, a slow second), so that resampling whole blocks keeps the dependence
(Davison and Hinkley, Bootstrap Methods, 8.2.3). The bound is the ratio plus or minus Student's t times the bootstrap's
standard error: with twenty blocks plain bootstrap percentiles are too narrow. One run of each side says nothing about
how much two starts of the same server differ; the verdict says so.

Each side brings its own generator. Two of the same seed draw the same blocks on both sides: where both runs had the
same schedule its ups and downs are then no part of the difference.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mmload.analyse.blocks import FEWEST_BLOCKS
from mmload.analyse.cpu import Interval
from mmload.analyse.distributions import t_quantile
from mmload.analyse.latency import nearest_rank
from mmload.judge.statistics import Tail

Values = NDArray[np.float64]
Generators = tuple[np.random.Generator, np.random.Generator]

RESAMPLES = 1000  # the standard error is then good to 2 %
_FEWEST_BURSTS = 10  # fewer of them beyond a percentile, and resampling does not see how it varies


class RatioSample:
    """A ratio and the ratios of its resamples; `freedom`: degrees of freedom of their standard error."""

    def __init__(self, value: float, resampled: Values, freedom: int) -> None:
        self.value = value
        self._error = float(resampled.std(ddof=1)) * math.sqrt((freedom + 1) / freedom)
        self._freedom = freedom

    def interval(self, confidence: float, factor: float = 1.0) -> Interval:
        """Bounds, each one-sided at `confidence`. `factor`: as if both runs were so many times as long."""
        half = t_quantile(confidence, self._freedom) * self._error / math.sqrt(factor)
        return Interval(self.value, self.value - half, self.value + half)


def ratio_of_rates(
    candidate: tuple[Values, Values], baseline: tuple[Values, Values], generators: Generators
) -> RatioSample | None:
    """(sum a / sum b) of the candidate over that of the baseline; each side: a and b in its blocks, as two arrays; with
    a column for each of several parts (blocks, parts), whose rates add up. None with too few blocks, or where a
    baseline's a or any b is 0, if only in a resample."""
    sides = (candidate, baseline)
    if min(len(a) for a, _ in sides) < FEWEST_BLOCKS:
        return None
    rates = []
    with np.errstate(divide="ignore", invalid="ignore"):
        for (a, b), rng in zip(sides, generators, strict=True):
            weights = np.vstack((np.ones(len(a)), _resamples(len(a), rng)))  # the first row: the blocks as they are
            rates.append((_by_part(weights, a) / _by_part(weights, b)).sum(axis=1))
        ratios = rates[0] / rates[1]
    if not np.isfinite(ratios).all():
        return None
    return RatioSample(float(ratios[0]), ratios[1:], _freedom([a for a, _ in sides]))


def ratio_of_percentiles(
    candidate: Sequence[Values], baseline: Sequence[Values], p: float, generators: Generators
) -> RatioSample | None:
    """The p-percentile of the candidate over the baseline's; each side: the values of each of its blocks. None with too
    few blocks, with fewer than 10 bursts of values beyond the percentile, or where a resampled one is infinite."""
    sides = (candidate, baseline)
    if min(map(len, sides)) < FEWEST_BLOCKS or any(_bursts_beyond(side, p) < _FEWEST_BURSTS for side in sides):
        return None
    values = [_percentile(np.sort(np.concatenate(side)), p) for side in sides]
    resampled = [_resampled_percentiles(side, p, rng) for side, rng in zip(sides, generators, strict=True)]
    if not all(np.isfinite(part).all() for part in resampled) or not all(map(math.isfinite, values)):
        return None
    return RatioSample(values[0] / values[1], resampled[0] / resampled[1], _freedom(sides))


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


def _bursts_beyond(blocks: Sequence[Values], p: float) -> int:
    values = np.concatenate(blocks)
    beyond = len(values) - nearest_rank(p, len(values)) if len(values) else 0
    return Tail(values, 1 - p).bursts(beyond).runs


def _percentile(ordered: Values, p: float) -> float:
    return float(ordered[nearest_rank(p, len(ordered)) - 1])


def _freedom(sides: Sequence[Sequence[object] | Values]) -> int:
    return min(len(side) for side in sides) - 1
