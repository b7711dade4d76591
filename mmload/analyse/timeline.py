"""A run on one time axis: load, latency, CPU, memory and the server's own gauges in the same bins of time."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from mmload.analyse import latency
from mmload.analyse.cpu import ProcessSeries
from mmload.analyse.run_cpu import RunCpu
from mmload.analyse.server_pages import Values
from mmload.analyse.server_series import server_gauges
from mmload.errors import UsageError
from mmload.model.records import HostSample
from mmload.store.read import Run
from mmload.store.requests import ABSENT, RequestTable

Times = NDArray[np.int64]

MOST_BINS = 100_000
_WANTED_BINS = 300
_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 43_200, 86_400)
_LEAST_COVERED = 0.5  # of a bin, for a share of CPU in it


class Timeline(msgspec.Struct, frozen=True, kw_only=True):
    """t_s: where each bin begins, in seconds since the measure window began (since the start, where there is none), so
    that no bin lies in warm-up and measure both. phase: in which its middle lies, '' between two.

    series: an entry for each bin; NaN where nothing is known, infinite where no time was long enough; None in JSON.
    offered_rps, errors, response_p50_ms, response_p99_ms: of the requests due in the bin. achieved_rps: of the correct
    answers complete in it. in_flight: the most at once. running, queued, generation_tokens_per_s: means of the server's
    own gauges. cpu_pct.PROCESS: of a core. rss_bytes.PROCESS, shm_used_bytes: the most. host_busy_pct: of all cores of
    the server's host. gpu0.kernel_ran_pct, gpu0.power_w: means; gpu0.memory_used_bytes: the most. What was never
    sampled is left out; a single bin that the samples of a second missed stands where the one before it stood.
    """

    run_id: str
    bin_s: float
    t_s: list[float]
    phase: list[str]
    series: dict[str, Values]


def timeline(run: Run, bin_s: float | None = None, most_bins: int = _WANTED_BINS) -> Timeline | None:
    """The run in bins of `bin_s`; by default of a second, longer where these would be more than `most_bins`. None where
    nothing was sent and no phase began. Raises FolderError on damage, UsageError when the bins would be more than
    MOST_BINS."""
    spans_ns = [(phase.start_ns, phase.end_ns) for phase in run.manifest.phases]
    ended_ns = _ended_ns(run.requests)
    if len(run.requests):
        last_ns = max(int(ended_ns.max()), int(run.requests.due_ns.max()))
        spans_ns.append((int(run.requests.due_ns.min()), last_ns + 1))
    if not spans_ns:
        return None
    start_ns, end_ns = min(spans_ns)[0], max(end_ns for _, end_ns in spans_ns)
    bins = _Bins.over(start_ns, end_ns, _origin_ns(run, spans_ns), bin_s, most_bins)
    return Timeline(
        run_id=run.run_id,
        bin_s=bins.step_ns / 1e9,
        t_s=((bins.edges_ns[:-1] - bins.origin_ns) / 1e9).tolist(),
        phase=_phases(run, bins),
        series={
            **_load(run.requests, ended_ns, bins),
            **_server(run, bins),
            **_processes(run.once(RunCpu).series, bins),
            **_host(run.host, bins),
        },
    )


class _Bins:
    """Equal bins whose edges lie at whole steps from the origin; edges_ns has one entry more."""

    def __init__(self, edges_ns: Times, origin_ns: int) -> None:
        self.edges_ns = edges_ns
        self.origin_ns = origin_ns
        self.step_ns = int(edges_ns[1] - edges_ns[0])

    @classmethod
    def over(
        cls, start_ns: int, end_ns: int, origin_ns: int, bin_s: float | None, most_bins: int = _WANTED_BINS
    ) -> _Bins:
        if bin_s is None:
            length_s = (end_ns - start_ns) / 1e9
            bin_s = next((step for step in _STEPS_S if length_s <= step * most_bins), math.ceil(length_s / most_bins))
        step_ns = round(bin_s * 1e9)
        first, end = (start_ns - origin_ns) // step_ns, -((origin_ns - end_ns) // step_ns)
        count = max(1, end - first)
        if count > MOST_BINS:
            raise UsageError(f"{count:,} bins of {bin_s:g} s are too many", "give a longer one: --bin 10s")
        return cls(origin_ns + step_ns * np.arange(first, first + count + 1), origin_ns)

    def __len__(self) -> int:
        return len(self.edges_ns) - 1

    def of(self, t_ns: Times) -> Times:
        """The bin of each time, which lies in one."""
        return np.asarray((t_ns - self.edges_ns[0]) // self.step_ns, np.int64)

    def count(self, t_ns: Times) -> Values:
        return np.histogram(t_ns, self.edges_ns)[0].astype(np.float64)

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


def _origin_ns(run: Run, spans_ns: Sequence[tuple[int, int]]) -> int:
    starts_ns = [phase.start_ns for phase in run.manifest.phases if phase.name == "measure"]
    return starts_ns[0] if starts_ns else min(spans_ns)[0]


def _ended_ns(requests: RequestTable) -> Times:
    """When each request had its answer or was given up; for one that nobody knows the end of, the last such time."""
    last_ns = int(max(requests.done_ns.max(initial=ABSENT), requests.due_ns.max(initial=ABSENT)))
    return np.where(requests.done_ns == ABSENT, last_ns, requests.done_ns)


def _phases(run: Run, bins: _Bins) -> list[str]:
    phases = [""] * len(bins)
    middles_ns = bins.edges_ns[:-1] + bins.step_ns // 2
    for phase in run.manifest.phases:
        for place in np.flatnonzero((middles_ns >= phase.start_ns) & (middles_ns < phase.end_ns)):
            phases[place] = phase.name
    return phases


def _load(requests: RequestTable, ended_ns: Times, bins: _Bins) -> dict[str, Values]:
    if not len(requests):
        return {}
    due = bins.of(requests.due_ns)
    p50, p99 = _percentiles(latency.response_ms(requests), due, len(bins))
    answered_ns = requests.done_ns[requests.is_ok]
    return {
        "offered_rps": bins.count(requests.due_ns) / (bins.step_ns / 1e9),
        "achieved_rps": bins.count(answered_ns) / (bins.step_ns / 1e9),
        "errors": bins.count(requests.due_ns[~requests.is_ok]),
        "in_flight": _in_flight(requests.sent_ns, ended_ns, bins),
        "response_p50_ms": p50,
        "response_p99_ms": p99,
    }


def _percentiles(response_ms: Values, due: Times, bins: int) -> tuple[Values, Values]:
    """The nearest-rank p50 and p99 of each bin's requests; NaN in a bin without any."""
    ordered = response_ms[np.lexsort((response_ms, due))]
    counts = np.bincount(due, minlength=bins)
    before = np.cumsum(counts) - counts

    def at(percent: int) -> Values:
        rank = -(-counts * percent // 100)
        return np.where(counts > 0, ordered[np.minimum(before + np.maximum(rank, 1) - 1, len(ordered) - 1)], np.nan)

    return at(50), at(99)


def _in_flight(sent_ns: Times, ended_ns: Times, bins: _Bins) -> Values:
    """The most at once in each bin, those that were in flight when it began among them."""
    sent = sent_ns != ABSENT
    times_ns = np.concatenate((ended_ns[sent], sent_ns[sent]))
    changes = np.repeat((-1, 1), sent.sum())
    order = np.argsort(times_ns)
    times_ns, level = times_ns[order], np.cumsum(changes[order])
    settled = np.diff(times_ns, append=times_ns[-1:] + 1) > 0  # what begins or ends at the same time does so at once
    times_ns, level = times_ns[settled], level[settled]
    at_start = np.concatenate(((0,), level))[np.searchsorted(times_ns, bins.edges_ns[:-1], side="right")]
    return np.fmax(bins.largest(times_ns, level.astype(np.float64)), at_start)


def _server(run: Run, bins: _Bins) -> dict[str, Values]:
    t_ns, gauges = server_gauges(run.server, int(bins.edges_ns[0]), int(bins.edges_ns[-1]))
    shown = ("running", "queued", "generation_tokens_per_s")
    return {name: bins.mean(t_ns, gauges[name]) for name in shown if name in gauges}


def _processes(processes: dict[str, ProcessSeries], bins: _Bins) -> dict[str, Values]:
    cpu = {f"cpu_pct.{name}": 100 * _cores(one.t_ns, one.cpu_s, bins) for name, one in processes.items()}
    rss = {f"rss_bytes.{name}": bins.most(one.t_ns, one.rss_bytes.astype(float)) for name, one in processes.items()}
    return cpu | rss


def _cores(t_ns: Times, cpu_s: Values, bins: _Bins) -> Values:
    """Cores in use in each bin by cumulative seconds of CPU; NaN in one that is not half covered by samples."""
    origin_ns = int(t_ns[0])  # keeps nanoseconds exact in float64
    covered_ns = np.clip(bins.edges_ns, origin_ns, t_ns[-1])
    spent_s = np.diff(np.interp((covered_ns - origin_ns).astype(float), (t_ns - origin_ns).astype(float), cpu_s))
    lengths_ns = np.diff(covered_ns)
    return np.where(lengths_ns >= _LEAST_COVERED * bins.step_ns, 1e9 * spent_s / np.maximum(lengths_ns, 1), np.nan)


def _host(samples: Sequence[HostSample], bins: _Bins) -> dict[str, Values]:
    samples = sorted(samples, key=lambda sample: sample.t_ns)
    if not samples:
        return {}
    t_ns = np.array([sample.t_ns for sample in samples], np.int64)
    busy_s = np.array([sample.cpu_busy_s for sample in samples])
    found = {"host_busy_pct": 100 * _cores(t_ns, busy_s, bins) / samples[0].cores}
    held = np.array([math.nan if sample.shm_used_bytes is None else sample.shm_used_bytes for sample in samples])
    if not np.isnan(held).all():
        found["shm_used_bytes"] = bins.most(t_ns, held)
    return found | _gpus(samples, bins)


def _gpus(samples: Iterable[HostSample], bins: _Bins) -> dict[str, Values]:
    seen: dict[int, list[tuple[float, ...]]] = {}
    for sample in samples:
        for gpu in sample.gpus:
            values = (gpu.kernel_ran_pct, gpu.memory_used_bytes, gpu.power_w)
            seen.setdefault(gpu.index, []).append((sample.t_ns, *(math.nan if v is None else v for v in values)))
    found = {}
    for index, rows in sorted(seen.items()):
        t, ran, memory, power = np.array(rows).T
        t_ns = t.astype(np.int64)
        found[f"gpu{index}.kernel_ran_pct"] = bins.mean(t_ns, ran)
        found[f"gpu{index}.memory_used_bytes"] = bins.most(t_ns, memory)
        found[f"gpu{index}.power_w"] = bins.mean(t_ns, power)
    return found
