"""Time in equal bins, and what times and values make of them."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mmload.analyse.server_pages import Values
from mmload.errors import UsageError

Times = NDArray[np.int64]

MOST_BINS = 100_000
WANTED_BINS = 300  # more than a terminal has cells
_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 43_200, 86_400)
LEAST_COVERED = 0.5  # of a bin, for a figure that is of less than all of it


class Span(NamedTuple):
    """What of a run there was. broke_off: it did not come to its planned end."""

    start_ns: int
    end_ns: int
    broke_off: bool = False


class Bins:
    """Equal bins whose edges lie at whole steps from the origin; edges_ns has one entry more. until_ns: where the run
    broke off, in the last of them; None where it did not."""

    def __init__(self, edges_ns: Times, origin_ns: int, until_ns: int | None = None) -> None:
        self.edges_ns = edges_ns
        self.origin_ns = origin_ns
        self.step_ns = int(edges_ns[1] - edges_ns[0])
        self._lengths_ns = np.diff(edges_ns if until_ns is None else np.minimum(edges_ns, until_ns))

    @classmethod
    def over(cls, span: Span, origin_ns: int, bin_s: float | None, most_bins: int = WANTED_BINS) -> Bins:
        """Bins of `bin_s`; by default of the shortest round length that makes no more than `most_bins` of them. Raises
        UsageError where they would be more than MOST_BINS."""
        start_ns, end_ns = span.start_ns, span.end_ns
        if bin_s is None:
            length_s = (end_ns - start_ns) / 1e9
            bin_s = next((step for step in _STEPS_S if length_s <= step * most_bins), math.ceil(length_s / most_bins))
        step_ns = round(bin_s * 1e9)
        first, end = (start_ns - origin_ns) // step_ns, -((origin_ns - end_ns) // step_ns)
        count = max(1, end - first)
        if count > MOST_BINS:
            raise UsageError(f"{count:,} bins of {bin_s:g} s are too many", "give a longer one: --bin 10s")
        edges_ns = origin_ns + step_ns * np.arange(first, first + count + 1)
        return cls(edges_ns, origin_ns, end_ns if span.broke_off else None)

    def __len__(self) -> int:
        return len(self.edges_ns) - 1

    def of(self, t_ns: Times) -> Times:
        """The bin of each time, which lies in one."""
        return np.asarray((t_ns - self.edges_ns[0]) // self.step_ns, np.int64)

    def count(self, t_ns: Times) -> Values:
        return np.histogram(t_ns, self.edges_ns)[0].astype(np.float64)

    def rate(self, t_ns: Times) -> Values:
        """Per second; NaN in a bin of which there is less than half."""
        is_enough = self._lengths_ns >= LEAST_COVERED * self.step_ns
        return np.where(is_enough, 1e9 * self.count(t_ns) / np.maximum(self._lengths_ns, 1), np.nan)

    def mean(self, t_ns: Times, values: Values) -> Values:
        """Of the samples that are known in each bin; NaN without any."""
        known = ~np.isnan(values)
        counts = np.histogram(t_ns[known], self.edges_ns)[0]
        sums = np.histogram(t_ns[known], self.edges_ns, weights=values[known])[0]
        return _bridged(np.where(counts > 0, sums / np.maximum(counts, 1), np.nan))

    def most(self, t_ns: Times, values: Values) -> Values:
        """The largest of the samples that are known in each bin; NaN without any."""
        return _bridged(self.largest(t_ns, values))

    def largest(self, t_ns: Times, values: Values) -> Values:
        within = ~np.isnan(values) & (t_ns >= self.edges_ns[0]) & (t_ns < self.edges_ns[-1])
        largest = np.full(len(self), -np.inf)
        np.maximum.at(largest, self.of(t_ns[within]), values[within])
        return np.where(np.isfinite(largest), largest, np.nan)


def _bridged(values: Values) -> Values:
    """A single bin that no sample fell into, between two that have one, stands where the one before it stood: samples
    a second apart miss a bin of a second now and then."""
    alone = np.isnan(values[1:-1]) & ~np.isnan(values[:-2]) & ~np.isnan(values[2:])
    return np.concatenate((values[:1], np.where(alone, values[:-2], values[1:-1]), values[-1:][: len(values) - 1]))
