"""CPU and memory of each process in the measure window, from cumulative readings: a sample rate can't bias them."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable

import msgspec
import numpy as np
from numpy.typing import NDArray

from mmload.analyse.blocks import TWO_SIDED_95, block_edges_ns, mean_bounds
from mmload.analyse.load import Window
from mmload.model.records import HostSample, ProcessSample, Role

_LEAST_COVERED_S = 1.0  # the kernel counts in ticks of 10 ms: 1 % of a core over a second


class Interval(msgspec.Struct, frozen=True):
    """A figure with its bounds."""

    value: float
    low: float
    high: float


class ProcessSeries(msgspec.Struct, frozen=True, kw_only=True):
    """One process through the run: arrays of the same length, by time. cpu_s is cumulative, across restarts too."""

    name: str
    role: Role
    rank: int | None
    t_ns: NDArray[np.int64]
    cpu_s: NDArray[np.float64]
    rss_bytes: NDArray[np.int64]

    def within(self, window: Window) -> NDArray[np.bool_]:
        return (self.t_ns >= window.start_ns) & (self.t_ns <= window.end_ns)


def process_series(samples: Iterable[ProcessSample]) -> dict[str, ProcessSeries]:
    """Process name -> its series, by name."""
    by_name: defaultdict[str, list[ProcessSample]] = defaultdict(list)
    for sample in sorted(samples, key=lambda sample: (sample.t_ns, sample.pid)):
        by_name[sample.name or _fallback_name(sample)].append(sample)
    return {name: _series(name, by_name[name]) for name in sorted(by_name)}


def block_total_pct(series: ProcessSeries, window: Window) -> NDArray[np.float64]:
    """Percent of one core in each block of the covered window; empty where that is too short for blocks."""
    start_ns, end_ns = _covered(series, window)
    edges = block_edges_ns(start_ns, end_ns)
    if not len(edges):
        return np.empty(0)
    return 100 * np.diff(_cpu_s_at(series, edges)) / (np.diff(edges) / 1e9)


def total_pct(series: ProcessSeries, window: Window) -> float | None:
    """Percent of one core over the part of the window in which the process was sampled; None under a second."""
    start_ns, end_ns = _covered(series, window)
    if (end_ns - start_ns) / 1e9 < _LEAST_COVERED_S:
        return None
    first, last = _cpu_s_at(series, np.array([start_ns, end_ns]))
    return float(100 * (last - first) / ((end_ns - start_ns) / 1e9))


def total_interval(series: ProcessSeries, window: Window, level: float = TWO_SIDED_95) -> Interval | None:
    """Total CPU with bounds from block means, each one-sided at `level`; None where there are no blocks."""
    total = total_pct(series, window)
    bounds = mean_bounds(block_total_pct(series, window), level)
    return Interval(total, max(0.0, bounds[0]), bounds[1]) if total is not None and bounds else None


def work_interval(total: Interval, share: Interval) -> Interval:
    """Total CPU times the share of work in it, two independent measurements: the bounds of each, as its distance from
    its figure, add in quadrature (Zou and Donner 2008, 'Construction of confidence limits about effect measures')."""
    value = total.value * share.value
    below = math.hypot(share.value * (total.value - total.low), total.value * (share.value - share.low))
    above = math.hypot(share.value * (total.high - total.value), total.value * (share.high - share.value))
    return Interval(value, max(0.0, value - below), min(total.high, value + above))


def coverage(series: ProcessSeries, window: Window) -> float:
    """The share of the window between the first and the last sample of the process."""
    start_ns, end_ns = _covered(series, window)
    return max(0, end_ns - start_ns) / (window.end_ns - window.start_ns)


def rss_max_bytes(series: ProcessSeries, window: Window) -> int:
    return int(series.rss_bytes[series.within(window)].max(initial=0))


def host_busy_share(samples: Iterable[HostSample], window: Window) -> float | None:
    """Share of all cores that was busy in the window; None where nobody looked twice."""
    seen = sorted((s for s in samples if window.start_ns <= s.t_ns <= window.end_ns), key=lambda sample: sample.t_ns)
    if len(seen) < 2:
        return None
    elapsed_s = (seen[-1].t_ns - seen[0].t_ns) / 1e9
    return (seen[-1].cpu_busy_s - seen[0].cpu_busy_s) / (elapsed_s * seen[-1].cores) if elapsed_s > 0 else None


def _series(name: str, samples: list[ProcessSample]) -> ProcessSeries:
    used_s: dict[tuple[int, int], float] = {}  # a process that was started again counts on from its predecessor
    cumulative, spent_s = [], 0.0
    for sample in samples:
        key = (sample.pid, sample.start_ticks)
        spent_s += sample.cpu_s - used_s.get(key, sample.cpu_s)
        used_s[key] = sample.cpu_s
        cumulative.append(spent_s)
    return ProcessSeries(
        name=name,
        role=samples[0].role,
        rank=samples[0].rank,
        t_ns=np.array([sample.t_ns for sample in samples], np.int64),
        cpu_s=np.array(cumulative),
        rss_bytes=np.array([sample.rss_bytes for sample in samples], np.int64),
    )


def _fallback_name(sample: ProcessSample) -> str:
    return sample.role if sample.rank is None else f"{sample.role}_TP{sample.rank}"


def _covered(series: ProcessSeries, window: Window) -> tuple[int, int]:
    return max(window.start_ns, int(series.t_ns[0])), min(window.end_ns, int(series.t_ns[-1]))


def _cpu_s_at(series: ProcessSeries, t_ns: NDArray[np.int64]) -> NDArray[np.float64]:
    origin_ns = int(series.t_ns[0])  # keeps nanoseconds exact in float64
    at = np.interp((t_ns - origin_ns).astype(float), (series.t_ns - origin_ns).astype(float), series.cpu_s)
    return np.asarray(at, np.float64)
