"""A run on one time axis: load, latency, CPU, memory and the server's own gauges in the same bins of time."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from mmload.analyse import latency
from mmload.analyse.cpu import ProcessSeries
from mmload.analyse.load import last_evidence_ns
from mmload.analyse.run_cpu import RunCpu
from mmload.analyse.server_pages import Values
from mmload.analyse.server_series import server_gauges
from mmload.analyse.time_bins import LEAST_COVERED, WANTED_BINS, Bins, Span, Times
from mmload.model.records import CUT_OFF, OUTCOMES, HostSample
from mmload.store.read import Run
from mmload.store.requests import ABSENT, RequestTable


class Timeline(msgspec.Struct, frozen=True, kw_only=True):
    """t_s: where each bin begins, in seconds since the measure window began (since the start, where there is none), so
    that no bin lies in warm-up and measure both. origin_ns: that moment, on the records' clock. phase: in which its
    middle lies, '' between two. most_due: how many requests were due in the bin that most were due in; below 100, every
    P99 is the longest of its bin.

    A run that did not come to its planned end has bins up to the last thing that was recorded, and rates in the last
    one over the part of it that there was, where that is half of it or more.

    series: an entry for each bin; NaN where nothing is known, infinite where no time was long enough; None in JSON.
    offered_rps (an open loop's), errors, response_p50_ms, response_p99_ms: of the requests due in the bin, the latter
    three without those that mmload did not wait for, as it was ended itself. achieved_rps: of the correct answers
    complete in it. in_flight: the most at once. running, queued, generation_tokens_per_s: means of the server's own
    gauges. cpu_pct.PROCESS: of a core. rss_bytes.PROCESS, shm_used_bytes: the most. host_busy_pct: of all cores of the
    server's host. gpu0.kernel_ran_pct, gpu0.power_w: means; gpu0.memory_used_bytes: the most. What was never sampled is
    left out; a single bin that the samples of a second missed stands where the one before it stood.
    """

    run_id: str
    bin_s: float
    origin_ns: int
    t_s: list[float]
    phase: list[str]
    most_due: int
    series: dict[str, Values]

    @property
    def edges_ns(self) -> Times:
        """Where each bin begins and the last one ends, on the records' clock."""
        starts_ns = self.origin_ns + np.round(np.array(self.t_s) * 1e9).astype(np.int64)
        return np.append(starts_ns, starts_ns[-1] + round(self.bin_s * 1e9))


def timeline(run: Run, bin_s: float | None = None, most_bins: int = WANTED_BINS) -> Timeline | None:
    """The run in bins of `bin_s`; by default of a second, longer where these would be more than `most_bins`. None where
    nothing was sent and no phase began. Raises FolderError on damage, UsageError when the bins would be more than
    MOST_BINS."""
    span = _span(run)
    if span is None:
        return None
    bins = Bins.over(span, _origin_ns(run, span.start_ns), bin_s, most_bins)
    was_due = run.requests.due_ns < span.end_ns
    return Timeline(
        run_id=run.run_id,
        bin_s=bins.step_ns / 1e9,
        origin_ns=bins.origin_ns,
        t_s=((bins.edges_ns[:-1] - bins.origin_ns) / 1e9).tolist(),
        phase=_phases(run, bins),
        most_due=int(bins.count(run.requests.due_ns[was_due]).max()),
        series={
            **_load(run, was_due, bins),
            **_server(run, bins),
            **_processes(run.once(RunCpu).series, bins),
            **_host(run.host, bins),
        },
    )


def _span(run: Run) -> Span | None:
    """From the first phase or request to the end of the last, or to where the run broke off; None without any."""
    phases, due_ns = run.manifest.phases, run.requests.due_ns
    starts_ns, ends_ns = [phase.start_ns for phase in phases], [phase.end_ns for phase in phases]
    if len(due_ns):
        starts_ns.append(int(due_ns.min()))
        ends_ns.append(max(int(_ended_ns(run.requests).max()), int(due_ns.max())) + 1)
    if not starts_ns:
        return None
    start_ns, end_ns = min(starts_ns), max(ends_ns)
    broke_off = run.manifest.status != "complete"
    if broke_off:
        end_ns = min(end_ns, last_evidence_ns(run))
    return Span(start_ns, end_ns, broke_off) if end_ns > start_ns else None


def _origin_ns(run: Run, start_ns: int) -> int:
    return next((phase.start_ns for phase in run.manifest.phases if phase.name == "measure"), start_ns)


def _ended_ns(requests: RequestTable) -> Times:
    """When each request had its answer or was given up; for one that nobody knows the end of, the last such time."""
    last_ns = int(max(requests.done_ns.max(initial=ABSENT), requests.due_ns.max(initial=ABSENT)))
    return np.where(requests.done_ns == ABSENT, last_ns, requests.done_ns)


def _phases(run: Run, bins: Bins) -> list[str]:
    phases = [""] * len(bins)
    middles_ns = bins.edges_ns[:-1] + bins.step_ns // 2
    for phase in run.manifest.phases:
        for place in np.flatnonzero((middles_ns >= phase.start_ns) & (middles_ns < phase.end_ns)):
            phases[place] = phase.name
    return phases


def _load(run: Run, was_due: NDArray[np.bool_], bins: Bins) -> dict[str, Values]:
    """was_due: the requests that came due before the run ended."""
    requests = run.requests
    answerable = was_due & ~_given_up(run)
    if not answerable.any():
        return {}
    due_ns, is_ok = requests.due_ns, requests.is_ok
    p50, p99 = _percentiles(latency.response_ms(requests)[answerable], bins.of(due_ns[answerable]), len(bins))
    is_open_loop = run.manifest.schedule_sha256 is not None
    return {
        **({"offered_rps": bins.rate(due_ns[was_due])} if is_open_loop else {}),
        "achieved_rps": bins.rate(requests.done_ns[is_ok]),
        "errors": bins.count(due_ns[answerable & ~is_ok]),
        "in_flight": _in_flight(requests.sent_ns, _ended_ns(requests), bins),
        "response_p50_ms": p50,
        "response_p99_ms": p99,
    }


def _given_up(run: Run) -> NDArray[np.bool_]:
    """Requests that mmload did not wait for, as it was ended itself: what would have become of them, nobody knows."""
    requests = run.requests
    if run.manifest.status != "partial":
        return np.zeros(len(requests), np.bool_)
    return np.asarray(requests.has_error(CUT_OFF) | (requests.outcome == OUTCOMES.index("dropped")), np.bool_)


def _percentiles(response_ms: Values, due: Times, bins: int) -> tuple[Values, Values]:
    """The nearest-rank p50 and p99 of each bin's requests; NaN in a bin without any."""
    ordered = response_ms[np.lexsort((response_ms, due))]
    counts = np.bincount(due, minlength=bins)
    before = np.cumsum(counts) - counts

    def at(percent: int) -> Values:
        rank = -(-counts * percent // 100)
        return np.where(counts > 0, ordered[np.minimum(before + np.maximum(rank, 1) - 1, len(ordered) - 1)], np.nan)

    return at(50), at(99)


def _in_flight(sent_ns: Times, ended_ns: Times, bins: Bins) -> Values:
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


def _server(run: Run, bins: Bins) -> dict[str, Values]:
    t_ns, gauges = server_gauges(run.server, int(bins.edges_ns[0]), int(bins.edges_ns[-1]))
    shown = ("running", "queued", "generation_tokens_per_s")
    return {name: bins.mean(t_ns, gauges[name]) for name in shown if name in gauges}


def _processes(processes: dict[str, ProcessSeries], bins: Bins) -> dict[str, Values]:
    cpu = {f"cpu_pct.{name}": 100 * _cores(one.t_ns, one.cpu_s, bins) for name, one in processes.items()}
    rss = {f"rss_bytes.{name}": bins.most(one.t_ns, one.rss_bytes.astype(float)) for name, one in processes.items()}
    return cpu | rss


def _cores(t_ns: Times, cpu_s: Values, bins: Bins) -> Values:
    """Cores in use in each bin by cumulative seconds of CPU; NaN in one that is not half covered by samples."""
    origin_ns = int(t_ns[0])  # keeps nanoseconds exact in float64
    covered_ns = np.clip(bins.edges_ns, origin_ns, t_ns[-1])
    spent_s = np.diff(np.interp((covered_ns - origin_ns).astype(float), (t_ns - origin_ns).astype(float), cpu_s))
    lengths_ns = np.diff(covered_ns)
    return np.where(lengths_ns >= LEAST_COVERED * bins.step_ns, 1e9 * spent_s / np.maximum(lengths_ns, 1), np.nan)


def _host(samples: Sequence[HostSample], bins: Bins) -> dict[str, Values]:
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


def _gpus(samples: Iterable[HostSample], bins: Bins) -> dict[str, Values]:
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
