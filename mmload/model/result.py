"""What is said about a run: its manifest, the summary computed from it, and a gate's verdict. Data only."""

from __future__ import annotations

from typing import Literal

import msgspec

from mmload.model.plan import SCHEMA
from mmload.model.records import Nanoseconds, Seconds
from mmload.model.server import ServerFigures

Status = Literal["running", "complete", "partial", "failed"]
RunKind = Literal["run", "profile"]
VerdictWord = Literal["PASS", "FAIL", "INCONCLUSIVE", "INVALID", "SKIPPED"]
Op = Literal["<", "<=", ">", ">=", "=="]


class RankInfo(msgspec.Struct, frozen=True, kw_only=True):
    """One scheduler rank as found at the start. rank: within its tensor-parallel group; name: among all, as that of its
    samples and stacks. variant: the rank's own word, None where it announces none."""

    rank: int
    pid: int
    start_ticks: int
    variant: str | None = None
    name: str = ""


class WorkerInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A load-generating process that joined the run. clock_error_ms: how well it knows the driver's clock."""

    worker: int
    host: str
    pid: int
    clock_error_ms: float


class Phase(msgspec.Struct, frozen=True, kw_only=True):
    name: str
    start_ns: Nanoseconds
    end_ns: Nanoseconds


class Clock(msgspec.Struct, frozen=True, kw_only=True):
    """The same instant on CLOCK_MONOTONIC and in UTC, so that the records' clock can be dated."""

    monotonic_ns: int
    utc_ns: int


class ProfileSegment(msgspec.Struct, frozen=True, kw_only=True):
    """One run of py-spy. start_ns: when it began to sample, None if it never did; end_ns: when it was ended, or was
    found to have ended. cpu_s: what it burnt itself. error: why it brought nothing, None when it did."""

    start_ns: int | None
    end_ns: int
    samples: int
    errors: int
    cpu_s: Seconds
    error: str | None = None


class AgentInfo(msgspec.Struct, frozen=True, kw_only=True):
    """Who sampled and profiled the server's processes on another host. version: of its mmload. about: what that host
    is, as Manifest.host says of the driver's.

    clock_offset_ns: the driver's CLOCK_MONOTONIC less that of the agent's host, as last read; every time in the folder
    is on the driver's. clock_error_ms: half the shortest round trip in which it was read, so the most that it can be
    wrong by. clock_drift_ms: how much the offset changed from the first reading to the last.
    """

    url: str
    host: str
    version: str
    clock_offset_ns: int
    clock_error_ms: float
    clock_drift_ms: float = 0.0
    about: dict[str, object] = {}


class ProfileFile(msgspec.Struct, frozen=True, kw_only=True):
    """What one profiler brought home for one process. samples: those in its file. asked: as many as its rate asks for
    of the main thread (in the idle mode all the time, else while that ran); other threads add to them. None in the gil
    mode, where nobody knows. error: why it is poor or absent, None when good."""

    process: str
    pid: int
    samples: int
    errors: int
    error: str | None = None
    asked: int | None = None
    segments: list[ProfileSegment] = []


class ProfileInfo(msgspec.Struct, frozen=True, kw_only=True):
    """mode 'none' when no profile was asked for or none was permitted. samples, errors: over all processes."""

    mode: str = "none"
    rate_hz: int = 0
    samples: int = 0
    errors: int = 0
    files: list[ProfileFile] = []


class LookingCost(msgspec.Struct, frozen=True, kw_only=True):
    """CPU seconds that looking took over `span_s`, which is warm-up and measure (of a profile without load: all of it).

    driver_cpu_s: mmload's own process, with its samplers and its display. sampling_cpu_s: of that, or of an agent's,
    what sampling the server's processes took. scraping_cpu_s: of the driver's, what scraping its metrics took."""

    span_s: float
    driver_cpu_s: float
    sampling_cpu_s: float
    scraping_cpu_s: float


class Stall(msgspec.Struct, frozen=True, kw_only=True):
    """A time in which the server stood still. start_ns: the last sign of life before; end_ns: the first after it, None
    where it lasted to the end of the run. seen: what it was noticed by. sentence: who waits for whom, and dumps: the
    folder of the stacks that say so, below that of the run; empty where none were taken."""

    start_ns: int
    end_ns: int | None = None
    seen: str
    sentence: str = ""
    dumps: str = ""


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """manifest.json. kind: 'profile' where no load was sent. validity: 'valid' or the reasons why the figures can't be
    trusted. looking: None where the run ended before. agent: None where the server's processes are looked at on the
    driver's own host."""

    schema: int = SCHEMA
    kind: RunKind = "run"
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
    agent: AgentInfo | None = None
    phases: list[Phase] = []
    clock: Clock
    profile: ProfileInfo = ProfileInfo()
    looking: LookingCost | None = None
    stalls: list[Stall] = []
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


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """A figure with its 95 % interval; low and high None where the window is too short for one."""

    value: float
    low: float | None = None
    high: float | None = None


class PhaseCpu(msgspec.Struct, frozen=True, kw_only=True):
    """One phase of a process. share: of its CPU in the profile window, with its 95 % interval, from `samples` stack
    samples. ms_per_request: CPU milliseconds in the measure window per correct answer; None for idle-poll and
    device-wait, which no request causes, and where nothing was answered."""

    share: float
    low: float
    high: float
    samples: int
    ms_per_request: Estimate | None = None


class Looking(msgspec.Struct, frozen=True, kw_only=True):
    """What looking cost, and what the profiler did to what it looked at.

    *_pct: percent of one core: the driver's (sampling and scraping included) in warm-up and measure, py-spy's by the
    process it watched in the profile window. None, or absent, where nobody knows.
    load (requests sent per second), rate (correct answers per second), service_p50 (median service time), cpu_total and
    cpu_per_request (by process): each that of the profile window over that of the measured one; None, or absent, where
    one of them has too little.
    slowed: what the profiler slowed, in sentences. no_evidence: process -> why its stacks are not of the measured load.
    """

    sampling_pct: float | None = None
    scraping_pct: float | None = None
    driver_pct: float | None = None
    py_spy_pct: dict[str, float] = {}
    load: Estimate | None = None
    rate: Estimate | None = None
    service_p50: Estimate | None = None
    cpu_total: dict[str, Estimate] = {}
    cpu_per_request: dict[str, Estimate] = {}
    slowed: list[str] = []
    no_evidence: dict[str, str] = {}


class ProcessCpu(msgspec.Struct, frozen=True, kw_only=True):
    """CPU of one process in the measure window, in percent of one core.

    user_pct, system_pct: the two parts of the total, None in older folders. work_pct: total without the idle poll and
    the wait for the device (None without a profile); low and high: its 95 % interval. native_pct: what threads without
    Python stacks burnt. phases: share of the CPU by phase; by_phase: the same with intervals and per request.
    stack_samples: how many the shares rest on; profile_trouble: why they are no evidence, None when they are.
    hottest: functions and their own share; other: those of what no phase rule knows.
    """

    total_pct: float
    total_low: float | None = None
    total_high: float | None = None
    user_pct: float | None = None
    system_pct: float | None = None
    work_pct: float | None = None
    work_low: float | None = None
    work_high: float | None = None
    native_pct: float | None = None
    rss_max_bytes: int = 0
    samples: int = 0
    stack_samples: int = 0
    profile_trouble: str | None = None
    phases: dict[str, float] = {}
    by_phase: dict[str, PhaseCpu] = {}
    hottest: list[tuple[str, float]] = []
    other: list[tuple[str, float]] = []


class ProcessMemory(msgspec.Struct, frozen=True, kw_only=True):
    """What one process held in the measure window. uss_bytes, shm_bytes: as last read, None where they never were
    (every 30 s; ProcessSample says what they are). fds_max: None where the kernel refuses to say.
    growth_mb_per_h: of the RSS over the second half of the window, None where that is shorter than five minutes."""

    rss_max_bytes: int
    rss_end_bytes: int
    uss_bytes: int | None = None
    shm_bytes: int | None = None
    fds_max: int | None = None
    threads_max: int
    growth_mb_per_h: Estimate | None = None


class ShmUse(msgspec.Struct, frozen=True, kw_only=True):
    """What the whole host held in /dev/shm over the measure window."""

    start_bytes: int
    max_bytes: int
    end_bytes: int


class GpuUse(msgspec.Struct, frozen=True, kw_only=True):
    """One GPU over the measure window, by NVML. kernel_ran_pct: share of the time in which some kernel ran, the mean of
    its samples: it says nothing of how much of the GPU a kernel filled. process_memory_bytes: the most that each of the
    server's processes held (None: it holds some, NVML does not say how much). None elsewhere: NVML does not say."""

    index: int
    name: str
    samples: int
    kernel_ran_pct: float | None = None
    memory_max_bytes: int | None = None
    memory_total_bytes: int | None = None
    power_mean_w: float | None = None
    power_max_w: float | None = None
    process_memory_bytes: dict[str, int | None] = {}


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
    where it does not say. identity: item -> output_sha256 of the serial identity phase.

    phase_cpu_ms_per_request: CPU milliseconds per correct answer from the stack samples, over the tokenizer and all
    ranks: 'build' (materialise and hash) and 'handoff' (with receive, pickle and broadcast). handoff: the server's own
    counters per request and rank; where it exports none, build_cpu_ms_per_request and handoff_cpu_ms_per_request from
    the stack samples. handoff_source: which of the two, None with neither.
    memory: by process name. shm: of the host, None where it has no /dev/shm or was not sampled. gpu_trouble: why there
    are no figures of GPUs, or of some. findings: what stands out, in sentences with the figures that show it, and
    advice. stalls: when the server stood still. server: what its /metrics say, None where nobody asked.
    """

    schema: int = SCHEMA
    kind: RunKind = "run"
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
    memory: dict[str, ProcessMemory] = {}
    shm: ShmUse | None = None
    gpus: list[GpuUse] = []
    gpu_trouble: str | None = None
    generator: GeneratorHealth
    phase_cpu_ms_per_request: dict[str, Estimate] = {}
    handoff: dict[str, float] = {}
    handoff_source: Literal["counters", "samples"] | None = None
    identity: dict[str, str] = {}
    findings: list[str] = []
    stalls: list[Stall] = []
    looking: Looking = Looking()
    server: ServerFigures | None = None
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
