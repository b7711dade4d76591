"""CPU and memory of each process in the measure window, from cumulative readings: a sample rate can't bias them."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable
from typing import NamedTuple

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


class Held(NamedTuple):
    """What is read of a process's memory every half minute; None where the kernel did not say."""

    t_ns: int
    uss_bytes: int | None
    shm_bytes: int | None


class ProcessSeries(msgspec.Struct, frozen=True, kw_only=True):
    """One process through the run: arrays of the same length, by time. cpu_s and system_s, the part of it that the
    kernel spent (NaN in older folders), are cumulative, across restarts too. fds: -1 where unknown. held: by time."""

    name: str
    role: Role
    rank: int | None
    t_ns: NDArray[np.int64]
    cpu_s: NDArray[np.float64]
    system_s: NDArray[np.float64]
    rss_bytes: NDArray[np.int64]
    threads: NDArray[np.int32]
    fds: NDArray[np.int32]
    held: list[Held]

    def within(self, window: Window) -> NDArray[np.bool_]:
        return (self.t_ns >= window.start_ns) & (self.t_ns <= window.end_ns)


def process_series(samples: Iterable[ProcessSample]) -> dict[str, ProcessSeries]:
    """Process name -> its series, by name."""
    by_name: dict[str, _Readings] = {}
    for sample in samples:
        name = sample.name or _fallback_name(sample)
        if name not in by_name:
            by_name[name] = _Readings(sample.role, sample.rank)
        by_name[name].take(sample)
    return {name: by_name[name].series(name) for name in sorted(by_name)}


def block_total_pct(series: ProcessSeries, window: Window) -> NDArray[np.float64]:
    """Percent of one core in each block of the covered window; empty where that is too short for blocks."""
    start_ns, end_ns = _covered(series, window)
    edges = block_edges_ns(start_ns, end_ns)
    if not len(edges):
        return np.empty(0)
    return 100 * np.diff(_at(series, series.cpu_s, edges)) / (np.diff(edges) / 1e9)


def total_pct(series: ProcessSeries, window: Window) -> float | None:
    """Percent of one core over the part of the window in which the process was sampled; None under a second."""
    return _pct(series, series.cpu_s, window)


def system_pct(series: ProcessSeries, window: Window) -> float | None:
    """The part of the total that the kernel spent for the process; None where the total is unknown or nobody asked."""
    system = _pct(series, series.system_s, window)
    return None if system is None or math.isnan(system) else system


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


class _Readings:
    """The samples of one process as columns: a day of them would not do as objects."""

    def __init__(self, role: Role, rank: int | None) -> None:
        self._role, self._rank = role, rank
        self._whole = {name: array("q") for name in ("t_ns", "pid", "start_ticks", "rss_bytes")}
        self._threads, self._fds = array("i"), array("i")
        self._cpu_s, self._system_s = array("d"), array("d")
        self._held: list[Held] = []

    def take(self, sample: ProcessSample) -> None:
        for name, values in self._whole.items():
            values.append(getattr(sample, name))
        self._threads.append(sample.threads)
        self._fds.append(-1 if sample.fds is None else sample.fds)
        self._cpu_s.append(sample.cpu_s)
        self._system_s.append(math.nan if sample.cpu_system_s is None else sample.cpu_system_s)
        if sample.uss_bytes is not None or sample.shm_bytes is not None:
            self._held.append(Held(sample.t_ns, sample.uss_bytes, sample.shm_bytes))

    def series(self, name: str) -> ProcessSeries:
        """By time; a process that was started again counts on from its predecessor."""
        columns = {key: np.asarray(values) for key, values in self._whole.items()}
        order = np.lexsort((columns["pid"], columns["t_ns"]))
        columns = {key: values[order] for key, values in columns.items()}
        starts, owner = np.unique(np.stack((columns["pid"], columns["start_ticks"])), axis=1, return_inverse=True)
        owned = [np.flatnonzero(owner.ravel() == start) for start in range(starts.shape[1])]
        return ProcessSeries(
            name=name,
            role=self._role,
            rank=self._rank,
            t_ns=columns["t_ns"],
            cpu_s=_counted_on(np.asarray(self._cpu_s)[order], owned),
            system_s=_counted_on(np.asarray(self._system_s)[order], owned),
            rss_bytes=columns["rss_bytes"],
            threads=np.asarray(self._threads)[order],
            fds=np.asarray(self._fds)[order],
            held=sorted(self._held, key=lambda held: held.t_ns),
        )


def _counted_on(cumulative: NDArray[np.float64], owned: Iterable[NDArray[np.int64]]) -> NDArray[np.float64]:
    """One count over several that each began anew; owned: the places of each."""
    spent = np.zeros(len(cumulative))
    for own in owned:
        spent[own[1:]] = np.diff(cumulative[own])
    return np.cumsum(spent)


def _fallback_name(sample: ProcessSample) -> str:
    return sample.role if sample.rank is None else f"{sample.role}_TP{sample.rank}"


def _covered(series: ProcessSeries, window: Window) -> tuple[int, int]:
    return max(window.start_ns, int(series.t_ns[0])), min(window.end_ns, int(series.t_ns[-1]))


def _pct(series: ProcessSeries, cumulative_s: NDArray[np.float64], window: Window) -> float | None:
    start_ns, end_ns = _covered(series, window)
    if (end_ns - start_ns) / 1e9 < _LEAST_COVERED_S:
        return None
    first, last = _at(series, cumulative_s, np.array([start_ns, end_ns]))
    return float(100 * (last - first) / ((end_ns - start_ns) / 1e9))


def _at(series: ProcessSeries, cumulative_s: NDArray[np.float64], t_ns: NDArray[np.int64]) -> NDArray[np.float64]:
    origin_ns = int(series.t_ns[0])  # keeps nanoseconds exact in float64
    at = np.interp((t_ns - origin_ns).astype(float), (series.t_ns - origin_ns).astype(float), cumulative_s)
    return np.asarray(at, np.float64)
