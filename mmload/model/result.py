"""What is said about a run: its manifest, the summary computed from it, and a gate's verdict. Data only."""

from __future__ import annotations

from typing import Literal

import msgspec

from mmload.model.plan import SCHEMA

Status = Literal["running", "complete", "partial", "failed"]
VerdictWord = Literal["PASS", "FAIL", "INCONCLUSIVE", "INVALID", "SKIPPED"]
Op = Literal["<", "<=", ">", ">=", "=="]


class RankInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One scheduler rank as found at the start. variant: the rank's own word, None where it announces none."""

    rank: int
    pid: int
    start_ticks: int
    variant: str | None = None


class WorkerInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A load-generating process that joined the run. clock_error_ms: how well it knows the driver's clock."""

    worker: int
    host: str
    pid: int
    clock_error_ms: float


class Phase(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    start_ns: int
    end_ns: int


class Clock(msgspec.Struct, frozen=True, kw_only=True):
    """The same instant on CLOCK_MONOTONIC and in UTC, so that the records' clock can be dated."""

    monotonic_ns: int
    utc_ns: int


class ProfileFile(msgspec.Struct, frozen=True, kw_only=True):
    """What one profiler brought home for one process. error: why it is poor or absent, None when good."""

    process: str
    pid: int
    samples: int
    errors: int
    error: str | None = None


class ProfileInfo(msgspec.Struct, frozen=True, kw_only=True):
    """mode 'none' when no profile was asked for or none was permitted. samples, errors: over all processes."""

    mode: str = "none"
    rate_hz: int = 0
    samples: int = 0
    errors: int = 0
    files: list[ProfileFile] = []


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """manifest.json. validity: 'valid' or the reasons why the figures can't be trusted."""

    schema: int = SCHEMA
    run_id: str
    status: Status = "running"
    validity: Literal["valid"] | list[str] = "valid"
    variant: str
    workload: str
    seed: int
    schedule_sha256: str | None
    payloads_sha256: str
    engine: str
    engine_version: str | None = None
    model: str | None = None
    tp: int | None = None
    flags: dict[str, object] = {}
    idle_policy: Literal["sleep", "poll", "unknown"] = "unknown"
    ranks: list[RankInfo] = []
    workers: list[WorkerInfo] = []
    phases: list[Phase] = []
    clock: Clock
    profile: ProfileInfo = ProfileInfo()
    host: dict[str, object] = {}
    versions: dict[str, str] = {}
    git: str | None = None
    warnings: list[str] = []
    error: str | None = None


class Quantiles(msgspec.Struct, frozen=True, kw_only=True):
    """Exact percentiles in milliseconds over n requests; None where the percentile is infinite or n is 0."""

    n: int
    mean: float | None
    p50: float | None
    p90: float | None
    p95: float | None
    p99: float | None
    max: float | None


class ProcessCpu(msgspec.Struct, frozen=True, kw_only=True):
    """CPU of one process in the measure window, in percent of one core.

    work_pct: total without the idle poll and the wait for the device (None without a profile); low and high: its 95 %
    interval. phases: share of on-CPU stack samples by phase. stack_samples: how many the shares rest on.
    """

    total_pct: float
    total_low: float | None = None
    total_high: float | None = None
    work_pct: float | None = None
    work_low: float | None = None
    work_high: float | None = None
    rss_max_bytes: int = 0
    samples: int = 0
    stack_samples: int = 0
    phases: dict[str, float] = {}
    hottest: list[tuple[str, float]] = []


class GeneratorHealth(msgspec.Struct, frozen=True, kw_only=True):
    """What the generator did, so that a reader can tell its faults from the server's. Lag is sent behind due, lag_share
    its mean over the mean response time of correct answers; read lag
    is how long bytes of an answer waited to be read (None where the kernel does not say). busiest_pct: share of one
    core of the worker that took most.

    undelivered: scheduled requests that it dropped or left without a record.
    """

    scheduled: int
    sent: int
    undelivered: int = 0
    lag_mean_ms: float | None = None
    lag_share: float | None = None
    lag_p50_ms: float | None
    lag_p99_ms: float | None
    lag_max_ms: float | None
    read_lag_p99_ms: float | None = None
    longest_stall_ms: float | None
    cpu_pct: float | None
    busiest_pct: float | None = None
    cpu_s_per_1000_requests: float | None


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """summary.json: everything computed from the records of one run (measure window unless said otherwise).

    offered_rate_rps: scheduled requests over the window. achieved_rate_rps: correct answers whose done_ns lies in the
    window, over its length. outcomes: of the requests due in the window. error_rate: share of them that are not ok.
    response_ms: due -> done, not-ok counts as infinite. service_ms: sent -> done. ttft_ms: due -> first token.
    itl_ms: between tokens. tpot_ms: (done - first token) / (tokens - 1). cpu: by process name, e.g. scheduler_TP0.
    reuse: share of the requests that the workload asks to repeat an earlier one. cache_hit_share: share of the requests
    of which the server found more than half of the prompt in its cache; cached_token_share: of all prompt tokens; None
    where it does not say. handoff: the server's own counters per request and rank, where it exports them.
    identity: item -> output_sha256 of the serial identity phase.
    """

    schema: int = SCHEMA
    run_dir: str
    run_id: str
    status: Status
    validity: Literal["valid"] | list[str]
    variant: str
    engine: str
    tp: int | None
    workload: str
    duration_s: float
    offered_rate_rps: float | None
    achieved_rate_rps: float
    achieved_low: float | None = None
    achieved_high: float | None = None
    requests: int
    outcomes: dict[str, int]
    error_rate: float | None
    response_ms: Quantiles
    service_ms: Quantiles
    ttft_ms: Quantiles
    itl_ms: Quantiles
    tpot_ms: Quantiles
    tokens_per_s: float | None
    cached_token_share: float | None
    cache_hit_share: float | None = None
    reuse: float = 0.0
    modalities: dict[str, int]
    cpu: dict[str, ProcessCpu]
    generator: GeneratorHealth
    handoff: dict[str, float] = {}
    identity: dict[str, str] = {}
    warnings: list[str] = []
    gate: str | None = None


class CriterionResult(msgspec.Struct, frozen=True, kw_only=True):
    """One criterion judged. low, high: one-sided bounds at the gate's confidence. evidence: file and how computed.

    needed: how much more evidence would decide it at the present figures, in words; None when decided.
    """

    metric: str
    op: Op
    limit: float
    baseline: str | None
    required: bool
    value: float | None
    low: float | None
    high: float | None
    n: int
    verdict: VerdictWord
    evidence: str
    needed: str | None = None


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """verdict.json, the same as `mmload gate --json`."""

    schema: int = SCHEMA
    verdict: VerdictWord
    gate: str
    candidate: str
    baselines: dict[str, str]
    confidence: float
    criteria: list[CriterionResult]
