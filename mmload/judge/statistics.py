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

A start of the server that is slower as a whole is one long burst. Of several runs D is therefore at least the variance
over mean of their numbers of exceedances, times (t / z)^2 as they are few: Student's t and z at the confidence. And at
most the length of a run: requests can depend on each other no more than if each run were one request.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist

import msgspec
import numpy as np
from numpy.typing import NDArray

from mmload.analyse.distributions import beta_cdf, beta_quantile, binomial_cdf, t_quantile
from mmload.analyse.latency import nearest_rank

Values = NDArray[np.float64]
Positions = NDArray[np.int64]
_UNSEEN = 2  # with one, 5 to 9 % pass where half of the slow requests come alone and half in bursts of 20
_GAP_IN_SHARES = 0.2  # exceedances nearer than this part of their mean distance belong to one burst
_EVERY_COUNT_TO = 64  # beyond, thresholds are tried in steps of 3 %: bounds are wider by at most that
_STEP = 1.03


class Bounds(msgspec.Struct, frozen=True):
    """One-sided bounds, each at the confidence asked for; infinite where the evidence gives none."""

    low: float
    high: float


class Trust(msgspec.Struct, frozen=True):
    """confidence: of each bound. declared: design effect as far as the requests do not show it. factor: as if there
    were so many times as much evidence of the same kind."""

    confidence: float
    declared: float
    factor: float = 1.0


class Bursts(msgspec.Struct, frozen=True):
    """What makes a design effect. exceedances: how many, or of the others where these are fewer: where most requests
    fail, it is answers that come in bursts; count: of their bursts; longest: of these; square_sum: of their lengths.
    runs: of the server, in which they were looked for; dispersion: variance over mean of the number of exceedances in
    each of them, 0 with one; of_a_run: their mean length. flagged: how many exceed, few or many, where one proportion
    was asked for."""

    exceedances: int
    count: int
    longest: int
    square_sum: float
    runs: int = 1
    dispersion: float = 0.0
    of_a_run: float = math.inf
    flagged: int = 0

    def design_effect(self, trust: Trust) -> float:
        """At least 1, and with several runs at most the length of one."""
        effect = max(self.by_bursts(trust), self.by_runs(trust))
        return effect if self.runs == 1 else max(1.0, min(effect, self.of_a_run))

    def by_bursts(self, trust: Trust) -> float:
        longest = max(trust.declared, self.longest)
        seen = trust.factor
        return (seen * self.square_sum + _UNSEEN * longest**2) / (seen * self.exceedances + _UNSEEN * longest)

    def by_runs(self, trust: Trust) -> float:
        """0 with one run, and where the runs do not differ."""
        if not self.dispersion:
            return 0.0
        few = t_quantile(trust.confidence, self.runs * trust.factor - 1)
        return self.dispersion * (few / NormalDist().inv_cdf(trust.confidence)) ** 2


class Tail:
    """The values of one or several runs, each in time order, seen from their largest: `share` is the part of all of
    them that may lie above the percentile."""

    def __init__(self, runs: Sequence[Values], share: float) -> None:
        values = np.concatenate(runs)
        self.n = len(values)
        self.share = share
        self._lengths = [len(run) for run in runs]
        self._order = np.argsort(-values, kind="stable")
        self.descending: Values = values[self._order]
        self._bursts: dict[int, Bursts] = {}

    @property
    def beyond_percentile(self) -> int:
        """How many values are ranked above the percentile's own."""
        return self.n - nearest_rank(1 - self.share, self.n)

    @property
    def percentile(self) -> float:
        """The value that `share` of all lie above; there is one at least."""
        return float(self.descending[self.beyond_percentile])

    def bursts(self, k: int) -> Bursts:
        """Of the k largest values."""
        if k not in self._bursts:
            few = self._order[:k] if 2 * k <= self.n else self._order[k:]
            share = max(self.share, len(few) / max(1, self.n))
            self._bursts[k] = find_bursts(np.sort(few), share, self._lengths)
        return self._bursts[k]

    def beyond(self, limit: float) -> int:
        """How many values are no less than `limit`."""
        return int(np.searchsorted(-self.descending, -limit, side="right"))

    def percentile_bounds(self, trust: Trust) -> Bounds:
        """Bounds of the percentile above which `share` of all values lie."""
        below, above = reversed(_counts(math.ceil(self.n * self.share))), _counts(self.n)
        few = next((k for k in below if self._is_few(k, trust)), None)
        many = next((k for k in above if self._is_many(k, trust)), None)
        return Bounds(
            low=-math.inf if many is None else float(self.descending[many - 1]),
            high=math.inf if few is None or few >= self.n else float(self.descending[few]),
        )

    def _is_few(self, k: int, trust: Trust) -> bool:
        """Do k larger values show that the percentile is not above the next one?"""
        effect = self.bursts(k).design_effect(trust) / trust.factor
        return binomial_cdf(k / effect, self.n / effect, self.share) <= 1 - trust.confidence

    def _is_many(self, k: int, trust: Trust) -> bool:
        """Do k values as large show that the percentile is not below the least of them?"""
        if k == 0 or k < self.n * self.share:
            return False
        effect = self.bursts(k).design_effect(trust) / trust.factor
        return beta_cdf(self.share, k / effect, (self.n - k) / effect + 1) <= 1 - trust.confidence


def bursts_of(runs: Sequence[NDArray[np.bool_]]) -> Bursts:
    """Of the flags that are True, in one or several runs, each in time order; at least one flag."""
    flags, lengths = np.concatenate(runs), [len(run) for run in runs]
    flagged = int(flags.sum())
    rare = np.flatnonzero(flags if 2 * flagged <= len(flags) else ~flags)
    return msgspec.structs.replace(find_bursts(rare, len(rare) / sum(lengths), lengths), flagged=flagged)


def proportion_bounds(n: int, bursts: Bursts, trust: Trust) -> Bounds:
    """Clopper-Pearson bounds of the share of exceedances among n, at the effective sample size."""
    if n == 0:
        return Bounds(0.0, 1.0)
    effect = bursts.design_effect(trust) / trust.factor
    hits, misses = bursts.flagged / effect, (n - bursts.flagged) / effect
    return Bounds(
        beta_quantile(1 - trust.confidence, hits, misses + 1), beta_quantile(trust.confidence, hits + 1, misses)
    )


def find_bursts(positions: Positions, share: float, lengths: Sequence[int]) -> Bursts:
    """The bursts of exceedances at sorted `positions` in runs of these lengths, one behind the other, where a `share`
    of all is expected to exceed: two of one run that are nearer than a fifth of their mean distance are in one burst.
    So independent ones come out with a design effect of 1.4."""
    if not len(positions):
        return Bursts(0, 0, 0, 0.0, len(lengths))
    gap, edges = max(1, round(_GAP_IN_SHARES / share)), np.cumsum(lengths)
    is_start = (np.diff(positions) > gap) | (np.diff(np.searchsorted(edges, positions, side="right")) > 0)
    starts = np.concatenate(([0], np.flatnonzero(is_start) + 1, [len(positions)]))
    sizes = np.diff(starts)
    return Bursts(
        exceedances=len(positions),
        count=len(sizes),
        longest=int(sizes.max()),
        square_sum=float((sizes.astype(float) ** 2).sum()),
        runs=len(lengths),
        dispersion=_dispersion(positions, edges),
        of_a_run=sum(lengths) / len(lengths),
    )


def _dispersion(positions: Positions, edges: Positions) -> float:
    """Variance over mean of the number of positions below each edge and not below the one before; 0 with one edge."""
    lengths = np.diff(edges, prepend=0)
    if np.count_nonzero(lengths) < 2:
        return 0.0
    counts = np.diff(np.searchsorted(positions, edges), prepend=0)[lengths > 0]
    expected = len(positions) * lengths[lengths > 0] / edges[-1]
    return float(((counts - expected) ** 2 / expected).sum() / (len(counts) - 1))


def requests_needed(share: float, exceeding: int, confidence: float = 0.95, effect: float = 1.0) -> int:
    """How many requests, `exceeding` of them over a limit, show that less than `share` of all are, at this design
    effect."""

    def is_enough(n: int) -> bool:
        return binomial_cdf(exceeding / effect, n / effect, share) <= 1 - confidence

    few, enough = exceeding, exceeding + 1
    while not is_enough(enough):
        few, enough = enough, 2 * enough
    while enough - few > 1:
        middle = (few + enough) // 2
        few, enough = (few, middle) if is_enough(middle) else (middle, enough)
    return enough


def _counts(most: int) -> list[int]:
    """Numbers of exceedances to try, from 0 to at most `most`."""
    counts, k = [], 0
    while k <= most:
        counts.append(k)
        k = k + 1 if k < _EVERY_COUNT_TO else math.ceil(k * _STEP)
    return counts
