"""Growth of memory: a line that a few odd samples can't tilt."""

from __future__ import annotations

import math
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from mmload.analyse.cpu import Interval, ProcessSeries
from mmload.analyse.load import Window

_BLOCKS = 30
_FEWEST_BLOCKS = 10


def rss_growth_mb_per_h(series: ProcessSeries, window: Window, level: float) -> Interval | None:
    """Growth of resident memory over the second half of the window, in 10^6 bytes an hour, by Theil-Sen over block
    means; bounds one-sided at `level` (Sen 1968). None with fewer than 10 blocks of samples.

    The first half is left out because every server grows while it warms up; blocks because neighbouring samples say
    the same thing, which a trend test takes for a trend.
    """
    middle_ns = (window.start_ns + window.end_ns) // 2
    inside = series.within(window) & (series.t_ns >= middle_ns)
    hours = (series.t_ns[inside] - middle_ns) / 3.6e12
    megabytes = series.rss_bytes[inside] / 1e6
    if len(hours) < _FEWEST_BLOCKS:
        return None
    blocks = np.array_split(np.arange(len(hours)), min(_BLOCKS, len(hours)))
    return _theil_sen(
        np.array([hours[block].mean() for block in blocks]),
        np.array([megabytes[block].mean() for block in blocks]),
        level,
    )


def _theil_sen(x: NDArray[np.float64], y: NDArray[np.float64], level: float) -> Interval:
    first, second = np.triu_indices(len(x), 1)
    slopes = np.sort((y[second] - y[first]) / (x[second] - x[first]))
    n, pairs = len(x), len(slopes)
    half = NormalDist().inv_cdf(level) * math.sqrt(n * (n - 1) * (2 * n + 5) / 18) / 2
    low = max(0, math.floor(pairs / 2 - half) - 1)
    high = min(pairs - 1, math.ceil(pairs / 2 + half))
    return Interval(float(np.median(slopes)), float(slopes[low]), float(slopes[high]))
