"""Block means: a window is cut into blocks long enough to be nearly independent, and their spread gives the interval.

Neighbouring requests and samples resemble each other, so that a standard error from single ones is far too small.
Over blocks of a second and more little of that is left (Law and Kelton, Simulation Modeling and Analysis, 9.5.3); what
is left, as far as neighbouring blocks show it, widens the interval, and so does skewness: slow spells lie to one side.
No interval knows of a slow spell that a short window happened not to see (bench/coverage.py: spells of 5 s in a window
of 40 s).
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mmload.analyse.distributions import binomial_cdf, t_quantile

BLOCK_S = 1.0
MOST_BLOCKS = 20  # more blocks buy hardly any precision and cost independence
FEWEST_BLOCKS = 5  # below, Student's t is wider than any limit worth having and leans on normality alone
_MOST_CORRELATION = 0.95

TWO_SIDED_95 = 0.975  # the level at which two one-sided bounds make a two-sided 95 % interval


def block_edges_ns(start_ns: int, end_ns: int) -> NDArray[np.int64]:
    """The edges of equal blocks of at least BLOCK_S, at most MOST_BLOCKS of them; int64 nanoseconds.

    A window too short for FEWEST_BLOCKS has no blocks (an empty array).
    """
    count = min(MOST_BLOCKS, int((end_ns - start_ns) / 1e9 / BLOCK_S + 1e-9))
    if count < FEWEST_BLOCKS:
        return np.empty(0, np.int64)
    return np.linspace(start_ns, end_ns, count + 1).round().astype(np.int64)


class MeanError(NamedTuple):
    """The standard error of a mean of blocks, its degrees of freedom, and the skewness of the blocks."""

    error: float
    freedom: float
    skewness: float

    def below(self, level: float) -> float:
        """How far below the mean a bound lies that is one-sided at `level`."""
        return self._half_width(level, -self.skewness)

    def above(self, level: float) -> float:
        return self._half_width(level, self.skewness)

    def _half_width(self, level: float, skewness: float) -> float:
        """Student's t, and on the side of the longer tail what Johnson (1978) adds to it."""
        t = t_quantile(level, self.freedom)
        skewed = max(0.0, skewness) * (1 + 2 * t**2) / (6 * math.sqrt(self.freedom + 1))
        return (t + skewed) * self.error


def mean_error(blocks: NDArray[np.float64]) -> MeanError | None:
    """None with fewer than FEWEST_BLOCKS blocks."""
    if len(blocks) < FEWEST_BLOCKS:
        return None
    independent = independent_blocks(blocks)
    error = float(blocks.std(ddof=1)) / math.sqrt(independent)
    return MeanError(error, max(1.0, independent - 1), _skewness(blocks))


def mean_bounds(blocks: NDArray[np.float64], level: float) -> tuple[float, float] | None:
    """Lower and upper bound of the mean, each one-sided at `level`; None with fewer than FEWEST_BLOCKS blocks."""
    found, mean = mean_error(blocks), float(blocks.mean()) if len(blocks) else math.nan
    return (mean - found.below(level), mean + found.above(level)) if found else None


def median_bounds(blocks: NDArray[np.float64], level: float) -> tuple[float, float] | None:
    """Lower and upper bound of the median, each one-sided at `level`, whatever the shape of the blocks: order
    statistics (the sign test's). Of few blocks they are the least and the largest, which of five reach no more than
    96.9 %. None with fewer than FEWEST_BLOCKS."""
    n = len(blocks)
    if n < FEWEST_BLOCKS:
        return None
    outside = max((k for k in range(n // 2) if binomial_cdf(k, n, 0.5) <= 1 - level), default=0)
    ordered = np.sort(blocks)
    return float(ordered[outside]), float(ordered[n - 1 - outside])


def independent_blocks(blocks: NDArray[np.float64]) -> float:
    """How many independent blocks say as much as these, by the correlation of neighbours."""
    correlation = _correlation(blocks)
    return len(blocks) * (1 - correlation) / (1 + correlation)


def _skewness(blocks: NDArray[np.float64]) -> float:
    spread = float(blocks.std())
    return float((((blocks - blocks.mean()) / spread) ** 3).mean()) if spread else 0.0


def _correlation(blocks: NDArray[np.float64]) -> float:
    """Of neighbouring blocks, as in a first-order autoregression, with Kendall's correction for its bias (1954);
    0 where it is negative."""
    off = blocks - blocks.mean()
    spread = float(off @ off)
    if not spread:
        return 0.0
    raw = float(off[1:] @ off[:-1]) / spread
    return min(max(0.0, raw + (1 + 3 * raw) / len(blocks)), _MOST_CORRELATION)
