"""What one run says of a figure: how far off it may be by chance, and by what more evidence would not mend."""

from __future__ import annotations

import math
from collections.abc import Iterable

import msgspec

from mmload.analyse.cpu import Interval


class Reading(msgspec.Struct, frozen=True):
    """below, above: how far off the value may be by chance, at the confidence asked for; they fall with more evidence.
    doubt_below, doubt_above: what is systematic, and stays."""

    value: float
    below: float
    above: float
    doubt_below: float = 0.0
    doubt_above: float = 0.0

    @property
    def interval(self) -> Interval:
        return Interval(
            self.value, self.value - self.below - self.doubt_below, self.value + self.above + self.doubt_above
        )

    @property
    def rest(self) -> Reading:
        """Of a share: 1 less it."""
        return Reading(1 - self.value, self.above, self.below, self.doubt_above, self.doubt_below)

    def scaled(self, factor: float) -> Reading:
        """Times a known factor >= 0."""
        return Reading(*(factor * part for part in msgspec.structs.astuple(self)))

    def times(self, other: Reading) -> Reading:
        """The product of two independent figures >= 0. What is chance adds in quadrature (Zou and Donner 2008,
        'Construction of confidence limits about effect measures'), what is systematic as it is."""
        return Reading(
            self.value * other.value,
            math.hypot(other.value * self.below, self.value * other.below),
            math.hypot(other.value * self.above, self.value * other.above),
            other.value * self.doubt_below + self.value * other.doubt_below,
            other.value * self.doubt_above + self.value * other.doubt_above,
        )

    def less(self, other: Reading) -> Reading:
        """The difference of two independent figures; errors of one kind add in quadrature."""
        return Reading(
            self.value - other.value,
            math.hypot(self.below, other.above),
            math.hypot(self.above, other.below),
            math.hypot(self.doubt_below, other.doubt_above),
            math.hypot(self.doubt_above, other.doubt_below),
        )

    @property
    def logarithm(self) -> Reading:
        """Of a value above 0; without lower bound where it may be 0."""
        low, high = self.value - self.below, self.value + self.above
        return Reading(
            math.log(self.value),
            _log_ratio(self.value, low),
            _log_ratio(high, self.value),
            _log_ratio(low, low - self.doubt_below),
            _log_ratio(high + self.doubt_above, high),
        )


def by_chance(interval: Interval) -> Reading:
    """Of an interval in which nothing is systematic."""
    return Reading(interval.value, interval.value - interval.low, interval.high - interval.value)


def added(readings: Iterable[Reading]) -> Reading:
    """The sum, errors and all: processes have their load in common, and what is systematic errs one way in each."""
    rows = [msgspec.structs.astuple(reading) for reading in readings]
    return Reading(*(math.fsum(column) for column in zip(*rows, strict=True)))


def _log_ratio(above: float, below: float) -> float:
    return math.log(above / below) if below > 0 else math.inf
