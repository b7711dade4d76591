"""One figure from several runs, and one difference from several runs of two sides.

Two starts of the same server differ by more than the blocks within a run say: what was decided at its start (where its
memory lies, on which core it runs, what else the host did) stays as it is until its end. So there are two estimates of
a mean's error: from within the runs, and from how the runs differ among each other, with few degrees of freedom (Law
and Kelton, Simulation Modeling and Analysis, 9.4: independent replications). The larger one counts. Where starts
differ, that is Student's t over the runs; where they do not, it costs some width (bench/coverage.py).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from mmload.analyse.blocks import mean_error
from mmload.analyse.cpu import Interval
from mmload.analyse.distributions import t_quantile
from mmload.analyse.reading import Reading


class Spread(msgspec.Struct, frozen=True):
    """The standard error of a mean by how runs differ, and its degrees of freedom."""

    error: float
    freedom: float

    def half_width(self, confidence: float, factor: float) -> float:
        """factor: as if there were so many times as many runs."""
        return t_quantile(confidence, (self.freedom + 1) * factor - 1) * self.error / math.sqrt(factor)


class Pooled(msgspec.Struct, frozen=True):
    """A mean over runs: its reading from within them, and how they differ, None with one run of each side. least: the
    least that it can be."""

    within: Reading
    between: Spread | None
    least: float = -math.inf

    @property
    def value(self) -> float:
        return self.within.value

    def interval(self, confidence: float, factor: float = 1.0) -> Interval:
        """Bounds, each one-sided at the confidence that the readings have. factor: as if there were so many times as
        much evidence of the same kind: chance errors fall with its square root."""
        half, shrink = self.between.half_width(confidence, factor) if self.between else 0.0, 1 / math.sqrt(factor)
        within = msgspec.structs.replace(
            self.within, below=max(half, self.within.below * shrink), above=max(half, self.within.above * shrink)
        )
        found = within.interval
        return Interval(found.value, max(self.least, found.low), found.high)


def of_blocks(value: float, blocks: NDArray[np.float64], confidence: float) -> Reading | None:
    """A figure >= 0 of one run with the error that the means of its blocks show; None with too few of them."""
    error = mean_error(blocks)
    if error is None:
        return None
    return Reading(value, min(value, error.below(confidence)), error.above(confidence))


def pool(readings: Sequence[Reading], weights: Sequence[float] = (), least: float = -math.inf) -> Pooled:
    """Of independent runs of one condition. weights: of each run, such as its length; without them all weigh alike.
    least: the least that the figure can be."""
    total = math.fsum(weights)
    shares = [weight / total for weight in weights] or [1 / len(readings)] * len(readings)
    parts = [reading.scaled(share) for reading, share in zip(readings, shares, strict=True)]
    within = Reading(
        math.fsum(part.value for part in parts),
        math.hypot(*(part.below for part in parts)),
        math.hypot(*(part.above for part in parts)),
        math.fsum(part.doubt_below for part in parts),
        math.fsum(part.doubt_above for part in parts),
    )
    return Pooled(within, _spread([reading.value for reading in readings], shares), least)


def difference(ours: Sequence[Reading], theirs: Sequence[Reading]) -> Pooled:
    """Ours less theirs: by pairs where there are as many of both, which are then in the order of their rounds; else of
    the two means. One run alone is taken to vary as those of the other side do."""
    if len(ours) == len(theirs):
        return pool([mine.less(its) for mine, its in zip(ours, theirs, strict=True)])
    sides = pool(ours), pool(theirs)
    return Pooled(sides[0].within.less(sides[1].within), _apart(sides, (len(ours), len(theirs))))


def exponential(logarithm: Interval) -> Interval:
    """A ratio from its logarithm."""
    with np.errstate(over="ignore"):
        return Interval(*(float(np.exp(part)) for part in msgspec.structs.astuple(logarithm)))


def _spread(values: Sequence[float], shares: Sequence[float]) -> Spread | None:
    if len(values) < 2:
        return None
    mean = math.fsum(share * value for share, value in zip(shares, values, strict=True))
    squares = math.fsum(share * (value - mean) ** 2 for share, value in zip(shares, values, strict=True))
    taken = math.fsum(share**2 for share in shares)
    return Spread(math.sqrt(squares * taken / (1 - taken)), len(values) - 1)


def _apart(sides: tuple[Pooled, Pooled], runs: tuple[int, int]) -> Spread | None:
    """Of the difference of two means, with Welch's degrees of freedom (1947)."""
    known = [side.between for side in sides if side.between]
    if len(known) == 1:
        alone = known[0].error * math.sqrt(max(runs))
        return Spread(math.hypot(known[0].error, alone), known[0].freedom)
    variances = [spread.error**2 for spread in known]
    scale = math.fsum(variance**2 / spread.freedom for variance, spread in zip(variances, known, strict=True))
    return Spread(math.hypot(*(spread.error for spread in known)), math.fsum(variances) ** 2 / scale if scale else 1.0)
