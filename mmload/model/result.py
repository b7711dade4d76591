"""What is said of a stored run: the summary computed from it, and a gate's verdict. Data only."""

from __future__ import annotations

from typing import Literal

import msgspec

from mmload.model.campaign import MAIN_SCENE
from mmload.model.manifest import RunKind, Stall, Status
from mmload.model.plan import SCHEMA, Modality
from mmload.model.server import ServerFigures

VerdictWord = Literal["PASS", "FAIL", "INCONCLUSIVE", "INVALID", "SKIPPED"]
Op = Literal["<", "<=", ">", ">=", "=="]


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


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """Measured requests that failed alike. error: what the server, the kernel or mmload said, on one line of at most
    300 characters, `#` for what differs between them (ids, numbers, addresses); empty where nothing was said. first_s,
    last_s: when the first and the last were due, seconds since the measure window began. example: the first's id."""

    outcome: str
    error: str
    requests: int
    first_s: float
    last_s: float
    example: str


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """summary.json: everything computed from the records of one run (measure window unless said otherwise).

    offered_rate_rps: scheduled requests over the window. achieved_rate_rps: correct answers whose done_ns lies in the
    window, over its length. outcomes: of the requests due in the window. error_rate: share of them that are not ok.
    failures: the most frequent kinds of these; more_failures: how many kinds there are besides.
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
    failures: list[Failure] = []
    more_failures: int = 0
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


class AnswerDifference(msgspec.Struct, frozen=True, kw_only=True):
    """An item that the baseline (expected) and the candidate (given) answered differently, with the runs that did.
    Texts in brackets say why there is no answer to show."""

    item: str
    modality: Modality
    expected: str
    given: str
    expected_run: str
    given_run: str


class CriterionResult(msgspec.Struct, frozen=True, kw_only=True):
    """One criterion judged. on: the scene of the runs; baseline_on: that of the baseline's, None where it is the same.
    low, high: one-sided bounds at `confidence`, None where nothing bounds it; confidence is None where the figure was
    counted, not estimated. infinite: which of value, low and high are null because they are infinitely large (JSON has
    no infinity): a P99 with too many requests without an answer, an upper bound that there is none of. margin: by how
    much the limit was moved in the lenient direction before it was held against them. evidence: files and how computed.

    needed: how much more evidence would decide it at the present figures, in words; None when decided.
    differences: the first answers that are not the baseline's; more_differences: how many more there are.
    """

    metric: str
    op: Op
    limit: float
    margin: float = 0.0
    baseline: str | None
    on: str = MAIN_SCENE
    baseline_on: str | None = None
    required: bool
    confidence: float | None = None
    value: float | None
    low: float | None
    high: float | None
    infinite: list[Literal["value", "low", "high"]] = []
    n: int
    verdict: VerdictWord
    evidence: str
    needed: str | None = None
    differences: list[AnswerDifference] = []
    more_differences: int = 0


class JudgedRuns(msgspec.Struct, frozen=True, kw_only=True):
    """The runs that were judged on one scene, in the order of their rounds. load: what they had, in words: workload,
    offered load, TP, engine and version, model."""

    candidate: list[str]
    baselines: dict[str, list[str]] = {}
    load: str = ""


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """verdict.json, the same as `mmload gate --json`.

    candidate, baselines: the newest run of each on the main scene; scenes: all runs by scene. campaign: the one that
    they were made in, None where they were not made together. confidence: of the gate; a bound's own is that of its
    criterion. look: which look at this candidate it is, of `looks` that the gate had planned. forced: what differs
    between runs that were compared all the same. warnings: what else a reader must know. gate_sha256: of the text of
    the gate's file.
    """

    schema: int = SCHEMA
    verdict: VerdictWord
    gate: str
    gate_sha256: str = ""
    candidate: str
    baselines: dict[str, str]
    campaign: str | None = None
    scenes: dict[str, JudgedRuns] = {}
    confidence: float
    looks: int = 1
    look: int = 1
    criteria: list[CriterionResult]
    forced: list[str] = []
    warnings: list[str] = []
