"""A timeline and a server's figures made up for drawing; every figure in them is different."""

from __future__ import annotations

import math

import numpy as np

from mmload.analyse.timeline import Timeline
from mmload.model.server import GaugeFigures, SchedulerCounters, ServerFigures, ServerLatency

SECONDS = range(-6, 34)
PHASES = ["", "identity", *["warmup"] * 4, *["measure"] * 22, *[""] * 2, *["profile"] * 10]


def timeline() -> Timeline:
    """40 s with a stall at 12 s, and a server that is not scraped at first."""
    second = np.array(SECONDS, float)
    wave = 100 + 9 * np.sin(second / 3)
    stall = np.where(abs(second - 12) < 2, 1.0, 0.0)
    return Timeline(
        run_id="20261120T031500Z-optimized-9f3c",
        bin_s=1.0,
        origin_ns=7_000_000_000_000,
        t_s=second.tolist(),
        phase=PHASES,
        most_due=109,
        series={
            "offered_rps": wave,
            "achieved_rps": wave * (1 - stall),
            "errors": stall * 3,
            "in_flight": 7 + 90 * stall,
            "response_p50_ms": np.where(second == 12, math.inf, 61 + 300 * stall),
            "response_p99_ms": np.where(abs(second - 12) < 1, math.inf, 142 + 2000 * stall),
            "running": np.where(second < -3, math.nan, 6 + stall),
            "queued": np.where(second < -3, math.nan, 84 * stall),
            "generation_tokens_per_s": np.where(second < -3, math.nan, 1594 * (1 - stall)),
            "cpu_pct.scheduler_TP1": 31.8 + 0 * second,
            "cpu_pct.scheduler_TP0": 34.2 + second / 10,
            "cpu_pct.tokenizer": 61.7 * (1 - stall),
            "rss_bytes.scheduler_TP0": 414e6 + second * 1e6,
            "rss_bytes.tokenizer": 318e6 + 0 * second,
            "host_busy_pct": 71 + 0 * second,
            "shm_used_bytes": 19.6e6 + 1e6 * stall,
            "gpu0.kernel_ran_pct": 88 - 80 * stall,
            "gpu0.memory_used_bytes": 71e9 + 0 * second,
        },
    )


def server() -> ServerFigures:
    def latency(n: int, scale: float, client_ms: float | None = None) -> ServerLatency:
        return ServerLatency(
            n=n,
            mean_ms=59.83 * scale,
            p50_ms=(40.0 * scale, 60.0 * scale),
            p90_ms=(80.0 * scale, 100.0 * scale),
            p99_ms=(8000.0 * scale, None),
            client_ms=client_ms,
            client_n=n - 1,
        )

    return ServerFigures(
        scrapes=19,
        failed=2,
        longest_gap_s=2.01,
        restarts=0,
        gauges={
            "running": GaugeFigures(mean=6.13, max=14.0),
            "queued": GaugeFigures(mean=0.37, max=9.0),
            "token_usage": GaugeFigures(mean=0.0123, max=0.0291),
            "cache_hit_rate": GaugeFigures(mean=0.031, max=0.047),
            "generation_tokens_per_s": GaugeFigures(mean=1573.2, max=1811.4),
        },
        rates={"requests": 99.57, "aborted_requests": 0.21, "prompt_tokens": 8100.0},
        latencies={
            "e2e": latency(1989, 1.0, 61.24),
            "ttft": latency(1990, 0.4, 25.11),
            "itl": latency(29_841, 0.03, 2.15),
            "queue": latency(1991, 0.02),
            "stage prefill_forward": latency(1992, 0.3),
        },
        schedulers={
            "scheduler_TP0": SchedulerCounters(
                length_s=18.2,
                cpu_pct=34.05,
                idle_pct=58.31,
                stages={"idle": 0.583, "run_batch": 0.291, "recv_requests": 0.071, "other": 0.055},
            ),
            "scheduler_TP1": SchedulerCounters(length_s=18.1, cpu_pct=31.77, idle_pct=0.02, stages={"run_batch": 1.0}),
        },
    )
