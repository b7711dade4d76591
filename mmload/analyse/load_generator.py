"""What the load generator did: how late it sent, how long its loops stood still, what it cost."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise
from statistics import median

import numpy as np
from numpy.typing import NDArray

from mmload.analyse.latency import percentile
from mmload.analyse.load import Window
from mmload.model.plan import GeneratorLimits
from mmload.model.records import OUTCOMES, GeneratorSample
from mmload.model.result import GeneratorHealth
from mmload.store.requests import ABSENT, RequestTable

_PACE_NS = 250_000_000  # at which workers report
_VISIBLE = 0.05  # share of the P99 response time
_BENEATH_NOTICE_MS = 1.0  # of mean lag: a server that answers faster than this is no server of models


def generator_health(
    measured: RequestTable,
    missing: int,
    samples: Iterable[GeneratorSample],
    window: Window,
    ended_by: str | None = None,
) -> GeneratorHealth:
    """Health in the measure window. missing: scheduled requests that have no record; they count as undelivered.
    ended_by: what ended the run early; requests dropped for that reason do not."""
    lags_ms = np.sort(_lags_ms(measured))
    dropped = measured.outcome == OUTCOMES.index("dropped")
    workers = _by_worker(samples, window)
    cpu_s = [series[-1].cpu_s - series[0].cpu_s for series in workers if len(series) > 1]
    spans_s = [(series[-1].t_ns - series[0].t_ns) / 1e9 for series in workers if len(series) > 1]
    lag_ms = float(lags_ms.mean()) if len(lags_ms) else None
    shares_pct = [100 * cpu / span for cpu, span in zip(cpu_s, spans_s, strict=True)]
    done = sum(series[-1].done - series[0].done for series in workers)
    stalls_ms = [_longest_stall_ms(series, window if ended_by is None else None) for series in workers]
    if ended_by is None and {*np.unique(measured.worker).tolist()} - {series[0].worker for series in workers}:
        stalls_ms = []  # nobody can tell of the one that sent requests and said nothing
    return GeneratorHealth(
        scheduled=len(measured) + missing,
        sent=len(lags_ms),
        undelivered=missing + int((dropped & ~measured.has_error(ended_by)).sum()),
        lag_mean_ms=lag_ms,
        lag_share=_share_of_response(lag_ms, measured),
        lag_p50_ms=percentile(lags_ms, 0.50),
        lag_p99_ms=percentile(lags_ms, 0.99),
        lag_max_ms=percentile(lags_ms, 1.0),
        read_lag_p99_ms=percentile(np.sort(_read_lags_ms(measured)), 0.99),
        longest_stall_ms=max(stalls_ms, default=None),
        cpu_pct=sum(shares_pct) if shares_pct else None,
        busiest_pct=max(shares_pct, default=None),
        cpu_s_per_1000_requests=1000 * sum(cpu_s) / done if done > 0 else None,
    )


def generator_faults(health: GeneratorHealth, limits: GeneratorLimits) -> list[str]:
    """Where the generator, not the server, shaped the figures: one sentence for each limit passed, with the figure."""
    faults = []
    if health.lag_p99_ms is not None and health.lag_p99_ms > limits.lag_p99_ms:
        faults.append(
            f"requests were sent late: lag p99 {health.lag_p99_ms:.1f} ms, the limit is {limits.lag_p99_ms:g} ms"
        )
    elif (health.lag_share or 0) > limits.lag_share and (health.lag_mean_ms or 0) > _BENEATH_NOTICE_MS:
        faults.append(
            f"{health.lag_share:.0%} of the response time was the generator's own lag, the limit is "
            f"{limits.lag_share:.0%}: use more --workers, or fewer requests"
        )
    if health.read_lag_p99_ms is not None and health.read_lag_p99_ms > limits.read_lag_p99_ms:
        faults.append(
            f"answers were read late: p99 {health.read_lag_p99_ms:.1f} ms after they came, "
            f"the limit is {limits.read_lag_p99_ms:g} ms"
        )
    if health.busiest_pct is not None and health.busiest_pct > limits.busiest_pct:
        faults.append(
            f"the generator was at its own limit: a worker took {health.busiest_pct:.0f} % of a core, the limit is "
            f"{limits.busiest_pct:g} %: use more --workers"
        )
    if health.longest_stall_ms is None:
        faults.append("no word from the generator in the measure window: nobody can tell whether it stood still")
    elif health.longest_stall_ms > limits.stall_ms:
        faults.append(
            f"the generator stood still for {health.longest_stall_ms:.0f} ms, the limit is {limits.stall_ms:g} ms"
        )
    if health.undelivered > limits.undelivered * health.scheduled:
        share = health.undelivered / health.scheduled
        faults.append(
            f"{health.undelivered:,} of {health.scheduled:,} scheduled requests were not delivered ({share:.2%}), "
            f"the limit is {limits.undelivered:.2%}"
        )
    return faults


def generator_warnings(health: GeneratorHealth, response_p99_ms: float | None) -> list[str]:
    """Where the generator is within its limits and yet can be seen in the figures."""
    if response_p99_ms is None or health.lag_p99_ms is None or health.lag_p99_ms <= _VISIBLE * response_p99_ms:
        return []
    share = health.lag_p99_ms / response_p99_ms
    late = f"requests were sent {health.lag_p99_ms:.1f} ms late (p99), {share:.0%} of the P99 response time"
    return [f"{late}: the server is better than it looks by as much"]


def _share_of_response(lag_ms: float | None, measured: RequestTable) -> float | None:
    """The mean lag over the mean response time of correct answers; None without any."""
    ok = measured.is_ok
    if lag_ms is None or not ok.any():
        return None
    return lag_ms / max(1e-6, float((measured.done_ns[ok] - measured.due_ns[ok]).mean()) / 1e6)


def _read_lags_ms(measured: RequestTable) -> NDArray[np.float64]:
    """Of each request whose answer the kernel stamped."""
    return np.asarray(measured.read_lag_ns[measured.read_lag_ns != ABSENT] / 1e6, np.float64)


def _lags_ms(measured: RequestTable) -> NDArray[np.float64]:
    """Of each request that was sent."""
    sent = measured.sent_ns != ABSENT
    lags_ns = measured.sent_ns[sent] - measured.due_ns[sent] - measured.connect_ns[sent]
    return np.asarray(lags_ns / 1e6, np.float64)


def _by_worker(samples: Iterable[GeneratorSample], window: Window) -> list[list[GeneratorSample]]:
    workers: defaultdict[int, list[GeneratorSample]] = defaultdict(list)
    for sample in sorted(samples, key=lambda sample: (sample.t_ns, sample.worker)):
        if window.start_ns <= sample.t_ns <= window.end_ns:
            workers[sample.worker].append(sample)
    return [workers[worker] for worker in sorted(workers)]


def _longest_stall_ms(series: Sequence[GeneratorSample], heard: Window | None) -> float:
    """What the worker reports, or its silence beyond its usual pace: a stopped process can't report until it runs.
    heard: the time over all of which it was to report; None where the run was ended early, and workers maybe before."""
    times_ns = [sample.t_ns for sample in series]
    pace_ns = median(after - before for before, after in pairwise(times_ns)) if len(times_ns) > 1 else _PACE_NS
    if heard is not None:
        times_ns = [heard.start_ns, *times_ns, heard.end_ns]
    silence_ns = max((after - before - pace_ns for before, after in pairwise(times_ns)), default=0)
    return max(silence_ns / 1e6, *(sample.stall_ms for sample in series))
