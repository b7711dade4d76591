"""Bounds that hold for requests that come in bursts: percentiles and error rates by the exact binomial.

"P99 < L" says that fewer than 1 % of all requests take L or longer; k of n requests did. Were they independent, the
chance of so few at exactly 1 % would be the binomial P(K <= k), and the claim is shown when that is at most 5 %: 299
requests with none over the limit, 473 with one, 1,049 with five. But slow requests come in bursts, and then this test
passes a server that stands exactly at the limit in 30 to 55 % of trials (bench/coverage.py). Counting n / D and k / D
instead repairs it. With bursts of s requests D is the variance of their number over that of single ones, E s^2 / E s
(compound Poisson); here

    D = (sum s^2 + 2 u^2) / (sum s + 2 u)     s: lengths of the observed bursts; u: the longest, at least the declared d

that is, two more bursts are always taken to have gone unseen. Without any burst D = d, and 298.1 d requests show a P99;
with more evidence the bursts speak for themselves. (To declare D below ten bursts and to estimate it from ten on is
not enough: it passes up to a third of such servers where bursts have gaps, or some slow requests come alone.)
"""

from __future__ import annotations

import math

import msgspec
import numpy as np
from numpy.typing import NDArray

from mmload.analyse.distributions import beta_cdf, beta_quantile, binomial_cdf

Values = NDArray[np.float64]
_UNSEEN = 2  # with one, 5 to 9 % pass where half of the slow requests come alone and half in bursts of 20
_GAP_IN_SHARES = 0.2  # exceedances nearer than this part of their mean distance belong to one burst
_EVERY_COUNT_TO = 64  # beyond, thresholds are tried in steps of 3 %: bounds are wider by at most that
_STEP = 1.03


class Bounds(msgspec.Struct, frozen=True):
    """One-sided bounds, each at the confidence asked for; infinite where the evidence gives none."""

    low: float
    high: float


class Bursts(msgspec.Struct, frozen=True):
    """What makes a design effect: the number of exceedances, of their runs, the longest of these, and the sum of the
    squares of their lengths."""

    exceedances: int
    runs: int
    longest: int
    square_sum: float

    def design_effect(self, declared: float, factor: float = 1.0) -> float:
        longest = max(declared, self.longest)
        return (factor * self.square_sum + _UNSEEN * longest**2) / (factor * self.exceedances + _UNSEEN * longest)


class Tail:
    """Values in time order, seen from their largest: `share` is the part of them that may lie above the percentile."""

    def __init__(self, values: Values, share: float) -> None:
        self.n = len(values)
        self.share = share
        self._order = np.argsort(-values, kind="stable")
        self.descending: Values = values[self._order]
        self._bursts: dict[int, Bursts] = {}

    def bursts(self, k: int) -> Bursts:
        """Of the k largest values."""
        if k not in self._bursts:
            self._bursts[k] = find_bursts(np.sort(self._order[:k]), max(self.share, k / max(1, self.n)))
        return self._bursts[k]

    def percentile_bounds(self, confidence: float, declared: float, factor: float = 1.0) -> Bounds:
        """Bounds of the percentile above which `share` of all values lie. `factor`: as if there were so many times as
        much evidence of the same kind."""
        below, above = reversed(_counts(math.ceil(self.n * self.share))), _counts(self.n)
        few = next((k for k in below if self._is_few(k, confidence, declared, factor)), None)
        many = next((k for k in above if self._is_many(k, confidence, declared, factor)), None)
        return Bounds(
            low=-math.inf if many is None else float(self.descending[many - 1]),
            high=math.inf if few is None or few >= self.n else float(self.descending[few]),
        )

    def _is_few(self, k: int, confidence: float, declared: float, factor: float) -> bool:
        """Do k larger values show that the percentile is not above the next one?"""
        effect = self.bursts(k).design_effect(declared, factor) / factor
        return binomial_cdf(k / effect, self.n / effect, self.share) <= 1 - confidence

    def _is_many(self, k: int, confidence: float, declared: float, factor: float) -> bool:
        """Do k values as large show that the percentile is not below the least of them?"""
        if k == 0 or k < self.n * self.share:
            return False
        effect = self.bursts(k).design_effect(declared, factor) / factor
        return beta_cdf(self.share, k / effect, (self.n - k) / effect + 1) <= 1 - confidence


def proportion_bounds(flags: NDArray[np.bool_], confidence: float, declared: float, factor: float = 1.0) -> Bounds:
    """Clopper-Pearson bounds of the share of True among flags in time order, at the effective sample size."""
    n, positions = len(flags), np.flatnonzero(flags)
    if n == 0:
        return Bounds(0.0, 1.0)
    effect = find_bursts(positions, len(positions) / n).design_effect(declared, factor) / factor
    hits, misses = len(positions) / effect, (n - len(positions)) / effect
    return Bounds(beta_quantile(1 - confidence, hits, misses + 1), beta_quantile(confidence, hits + 1, misses))


def find_bursts(positions: NDArray[np.int64], share: float) -> Bursts:
    """The runs of exceedances at sorted `positions`, which are expected to be a `share` of all: two that are nearer
    than a fifth of their mean distance are in one run. So independent ones come out with a design effect of 1.4."""
    if not len(positions):
        return Bursts(0, 0, 0, 0.0)
    gap = max(1, round(_GAP_IN_SHARES / share))
    starts = np.flatnonzero(np.diff(positions) > gap) + 1
    lengths = np.diff(np.concatenate(([0], starts, [len(positions)])))
    return Bursts(len(positions), len(lengths), int(lengths.max()), float((lengths.astype(float) ** 2).sum()))


def requests_needed(share: float, exceeding: int, confidence: float = 0.95) -> int:
    """How many independent requests, `exceeding` of them over a limit, show that less than `share` of all are."""
    few, enough = exceeding, exceeding + 1
    while binomial_cdf(exceeding, enough, share) > 1 - confidence:
        few, enough = enough, 2 * enough
    while enough - few > 1:
        middle = (few + enough) // 2
        if binomial_cdf(exceeding, middle, share) > 1 - confidence:
            few = middle
        else:
            enough = middle
    return enough


def _counts(most: int) -> list[int]:
    """Numbers of exceedances to try, from 0 to at most `most`."""
    counts, k = [], 0
    while k <= most:
        counts.append(k)
        k = k + 1 if k < _EVERY_COUNT_TO else math.ceil(k * _STEP)
    return counts
