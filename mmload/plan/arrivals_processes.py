"""When requests arrive: pure arithmetic in two steps.

A *process* gives sorted points of [0, 1), one for each request: how far the window's expected requests have come when
that request arrives. A *rate profile* (legs of constant or linearly changing rate) turns them into times: with
L(t) the integral of the rate from 0 to t, a point u arrives at L^-1(u L(T)), the time change that makes any process of
rate 1 one of the given rate (Cinlar, Introduction to Stochastic Processes, 4.7).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]
Nanoseconds = NDArray[np.int64]


class Leg(NamedTuple):
    """A stretch of time in which the rate goes linearly from `from_rps` to `to_rps`."""

    duration_s: float
    from_rps: float
    to_rps: float

    @property
    def expected_requests(self) -> float:
        return self.duration_s * (self.from_rps + self.to_rps) / 2


def flat(rate_rps: float, duration_s: float) -> tuple[Leg, ...]:
    return (Leg(duration_s, rate_rps, rate_rps),)


def steps(rates_rps: Sequence[float], step_s: float) -> tuple[Leg, ...]:
    """Each rate in turn, for `step_s` seconds each."""
    return tuple(Leg(step_s, rate, rate) for rate in rates_rps)


def expected_requests(legs: Sequence[Leg]) -> float:
    """L(T): the area under the rate profile."""
    return sum(leg.expected_requests for leg in legs)


def poisson(count: int, rng: np.random.Generator) -> Points:
    """A Poisson process conditioned on its number: given N(1) = n, the arrivals are distributed as the order
    statistics of n independent uniforms (Ross, Introduction to Probability Models, theorem 5.2)."""
    return np.sort(rng.random(count))


def constant(count: int) -> Points:
    """u_k = k / n: gaps without variation."""
    return np.arange(count) / max(count, 1)


def gamma(count: int, cv: float, rng: np.random.Generator) -> Points:
    """Gaps g_1 .. g_n+1 ~ Gamma(shape 1 / cv^2), conditioned on filling the window: u_k = (g_1 + .. + g_k) / sum(g).

    `cv` > 0 is the gaps' coefficient of variation: under 1 steadier than Poisson, over 1 burstier; at 1 the law is
    that of `poisson`.
    """
    filled = np.cumsum(rng.standard_gamma(1 / cv**2, count + 1))
    points: Points = np.minimum(filled[:-1] / filled[-1], np.nextafter(1, 0))
    return points


def at_rate(points: Points, legs: Sequence[Leg]) -> Nanoseconds:
    """Points of [0, 1) placed by the rate profile: sorted offsets in nanoseconds inside the legs' total duration.

    Within a leg of rate a + b t the time at which x requests were expected solves a t + b t^2 / 2 = x; written as
    t = 2 x / (a + sqrt(a^2 + 2 b x)) it holds for b = 0 and a = 0 alike. Rates are taken relative to the highest: only
    their shape matters here, and the square of a tiny one would be lost.
    """
    duration, *ends = np.array(legs, dtype=np.float64).reshape(-1, 3).T
    rate, rate_end = np.array(ends) / (np.max(ends) or 1.0)
    starts_s = np.concatenate([[0.0], np.cumsum(duration)])
    expected = np.concatenate([[0.0], np.cumsum(duration * (rate + rate_end) / 2)])
    target = points * expected[-1]
    leg = np.minimum(np.searchsorted(expected, target, side="right") - 1, len(duration) - 1)
    x = target - expected[leg]
    slope = (rate_end - rate) / duration
    denominator = rate[leg] + np.sqrt(np.maximum(rate[leg] ** 2 + 2 * slope[leg] * x, 0))
    into_leg_s = np.divide(2 * x, denominator, out=np.zeros_like(x), where=denominator > 0)
    offsets = ((starts_s[leg] + np.minimum(into_leg_s, duration[leg])) * 1e9).astype(np.int64)
    within: Nanoseconds = np.minimum(np.maximum.accumulate(offsets), round(starts_s[-1] * 1e9) - 1)
    return within
