"""What a person sees while a run goes. Data only: the session fills it four times a second, show/ draws it."""

from __future__ import annotations

import msgspec


class LiveView(msgspec.Struct, frozen=True, kw_only=True):
    """The run at one instant.

    stage: what is going on: 'payloads', 'server', 'workers', 'identity', 'warmup', 'measure', 'drain', 'profile',
        'sealing'.
    stage_length_s: None where nobody knows beforehand. left_s: of the whole run, None likewise.
    offered_rps, achieved_rps: over the last 5 seconds. scheduled: requests due so far.
    response_ms: p50, p90, p99 over the records so far of the stage
    being measured (None before the first). outcomes: of all requests so far. cpu_pct: process name -> percent of one
    core over the last second. lag_p99_ms, stall_ms: the generator's own, so far. notices: what a person should know
    or do now: where to look, who is waited for.
    """

    stage: str
    stage_elapsed_s: float = 0.0
    stage_length_s: float | None = None
    left_s: float | None = None
    offered_rps: float = 0.0
    achieved_rps: float = 0.0
    scheduled: int = 0
    sent: int = 0
    done: int = 0
    in_flight: int = 0
    response_ms: tuple[float | None, float | None, float | None] = (None, None, None)
    outcomes: dict[str, int] = {}
    cpu_pct: dict[str, float] = {}
    lag_p99_ms: float | None = None
    stall_ms: float = 0.0
    warnings: list[str] = []
    notices: list[str] = []
