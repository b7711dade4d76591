"""What a server says of itself in the measure window, computed from the scrapes of its /metrics. Data only."""

from __future__ import annotations

import msgspec

Edges = tuple[float, float | None]


class GaugeFigures(msgspec.Struct, frozen=True, kw_only=True):
    """A gauge over the scrapes of the window. A server sets its gauges when it likes: SGLang at each prefill and at
    every fortieth decoding step, so that what came and went between two scrapes is in neither."""

    mean: float
    max: float


class ServerLatency(msgspec.Struct, frozen=True, kw_only=True):
    """A histogram by its growth from the first to the last scrape of the window.

    n: what it counted. mean_ms: exact. p50_ms, p90_ms, p99_ms: the edges of the bucket that the percentile lies in, so
    all that a histogram knows of it; the upper one None in the last bucket, which has no end. client_ms, client_n: the
    mean of what the client measured of the same thing meanwhile, over its correct answers; None where it has none.
    """

    n: int
    mean_ms: float
    p50_ms: Edges
    p90_ms: Edges
    p99_ms: Edges
    client_ms: float | None = None
    client_n: int = 0


class SchedulerCounters(msgspec.Struct, frozen=True, kw_only=True):
    """What a scheduler of SGLang counts of itself, over the stretch of `length_s` between two of its own reports in the
    window.

    cpu_pct: CPU of all its threads, in percent of a core. idle_pct: of the time, how much it had nothing to do. stages:
    of the time, the share that its loop spent in each; they add up to 1.
    """

    length_s: float
    cpu_pct: float
    idle_pct: float
    stages: dict[str, float]


class ServerFigures(msgspec.Struct, frozen=True, kw_only=True):
    """scrapes: good ones in the window; failed: others. longest_gap_s: between two good ones. restarts: how often its
    counters fell. gauges: running, queued, generation_tokens_per_s, token_usage (of the fullest DP group) and
    cache_hit_rate. rates: what it counted per second: requests, aborted_requests, prompt_tokens, cached_tokens and
    generation_tokens. latencies: ttft, e2e, itl, queue, and `stage NAME` of SGLang's per-stage latencies. schedulers:
    by process name. What the server does not export is left out."""

    scrapes: int
    failed: int
    longest_gap_s: float
    restarts: int
    gauges: dict[str, GaugeFigures]
    rates: dict[str, float]
    latencies: dict[str, ServerLatency]
    schedulers: dict[str, SchedulerCounters]
