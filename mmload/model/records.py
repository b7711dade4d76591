"""One struct for each kind of line in a run folder. Data only; docs/run-folder.md describes every field.

Every `*_ns` is absolute nanoseconds on the driver host's CLOCK_MONOTONIC (`time.monotonic_ns`); the manifest anchors
that clock to UTC. A newer mmload may write fields that an older one does not know: unknown fields are ignored.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from mmload.model.plan import Modality

Outcome = Literal[
    "ok", "http_error", "timeout", "connection_error", "truncated", "malformed", "wrong_output", "dropped"
]
RequestPhase = Literal["warmup", "measure", "profile", "identity"]
Role = Literal["tokenizer", "scheduler", "detokenizer", "generator", "other"]

# What no clock or kernel says is a damaged line, not a figure; whole numbers fit the columns that they are read into.
Nanoseconds = Annotated[int, msgspec.Meta(ge=-(2**63) + 1, le=2**63 - 1)]
Seconds = Annotated[float, msgspec.Meta(ge=0, le=1e20)]
Count = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
Bytes = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]

OUTCOMES: tuple[str, ...] = (
    "ok",
    "http_error",
    "timeout",
    "connection_error",
    "truncated",
    "malformed",
    "wrong_output",
    "dropped",
)

# The error of a request whose answer was still coming when the run was ended: not the server's doing.
CUT_OFF = "cut off: the run was ended before the answer was complete"


class RequestRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one scheduled request (a line of requests.jsonl).

    due_ns: when the schedule wanted it sent; in a closed loop, when its slot fell free.
    sent_ns: first byte handed to the socket; None if it was never sent.
    connect_ns: how long opening a new connection for it took (0 on a kept-alive one): part of the response time, but
        not of the generator's lag, which is sent_ns - due_ns - connect_ns.
    first_byte_ns, done_ns: when the kernel had the bytes, whenever they were read.
    first_token_ns: first non-empty content; None without streaming. token_ns: arrival of every token event.
    read_lag_ns: the longest that bytes of the answer waited to be read; None where the kernel does not say (TLS).
    bytes_up, bytes_down: bodies, without headers.
    prompt_tokens, completion_tokens, cached_tokens: where the server says, else None.
    output_sha256: hex, of the joined answer text in UTF-8.
    """

    id: str
    phase: RequestPhase
    item: str
    modality: Modality
    due_ns: int
    sent_ns: int | None
    connect_ns: int = 0
    first_byte_ns: int | None = None
    first_token_ns: int | None = None
    done_ns: int | None = None
    status: int | None = None
    outcome: Outcome
    error: str | None = None
    bytes_up: int = 0
    bytes_down: int = 0
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cached_tokens: int | None = None
    token_ns: list[int] = []
    read_lag_ns: int | None = None
    output_sha256: str | None = None
    worker: int = 0


class AnswerRecord(msgspec.Struct, frozen=True, kw_only=True):
    """What an identity request was answered (a line of answers.jsonl). id, item, modality: as in its RequestRecord.

    text: the joined answer, all that had come of one that broke off. cut: only its first 64 KiB in UTF-8 were kept; the
    digest in the request's record is of all of it.
    """

    id: str
    item: str
    modality: Modality
    text: str
    cut: bool = False


class ProcessSample(msgspec.Struct, frozen=True, kw_only=True):
    """One process at one instant (a line of processes.jsonl).

    A process is (pid, start_ticks): a restarted rank has another start. cpu_s: user + system seconds since its start,
    all threads; cpu_user_s, cpu_system_s: its two parts, None in older folders. uss_bytes, shm_bytes: None when not
    read in this sample (reading them is dear); shm_bytes is its share of the shared memory that it maps, /dev/shm and
    other: a page that n processes map counts 1/n for each. rank: None but for schedulers. fds: None where the kernel
    refuses to say.
    """

    t_ns: Nanoseconds
    pid: Count
    start_ticks: Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
    role: Role
    rank: int | None
    cpu_s: Seconds
    cpu_user_s: Seconds | None = None
    cpu_system_s: Seconds | None = None
    rss_bytes: Bytes
    uss_bytes: Bytes | None
    shm_bytes: Bytes | None = None
    threads: Count
    ctx_voluntary: int
    ctx_involuntary: int
    fds: Count | None
    name: str = ""


class GpuSample(msgspec.Struct, frozen=True, kw_only=True):
    """One GPU at one instant, by NVML; None: it does not say.

    kernel_ran_pct: share of NVML's last sample period (a sixth of a second to one) in which some kernel ran, however
    little of the GPU it filled. memory_used_bytes: of all processes; process_memory_bytes: of those that are sampled,
    by name (None: it holds some, NVML does not say how much).
    """

    index: int
    name: str
    kernel_ran_pct: float | None = None
    memory_used_bytes: int | None = None
    memory_total_bytes: int | None = None
    power_w: float | None = None
    process_memory_bytes: dict[str, int | None] = {}


class HostSample(msgspec.Struct, frozen=True, kw_only=True):
    """The whole host at one instant (a line of host.jsonl). cpu_busy_s: non-idle seconds of all cores since boot.
    gpu_trouble: why GPUs are not sampled, or no longer; said once, when it is found. host: the name of the agent's
    host; None: the driver's own."""

    t_ns: Nanoseconds
    cpu_busy_s: Seconds
    cores: Annotated[int, msgspec.Meta(ge=1)]
    load_1m: float
    memory_available_bytes: int
    memory_total_bytes: int
    net_bytes_sent: int
    net_bytes_received: int
    shm_used_bytes: Bytes | None = None
    gpus: list[GpuSample] = []
    gpu_trouble: str | None = None
    host: str | None = None


class GeneratorSample(msgspec.Struct, frozen=True, kw_only=True):
    """One worker's word about itself (a line of generator.jsonl, four a second).

    due, sent, done: requests so far, over all segments of the run. stall_ms: longest time since the last sample in
    which its event loop did not turn. cpu_s: cumulative, of the worker process. bytes_down: bytes of answers so far.
    """

    t_ns: Nanoseconds
    worker: int
    due: int
    sent: int
    done: int
    in_flight: int
    stall_ms: float
    cpu_s: Seconds
    bytes_down: int = 0


class ServerScrape(msgspec.Struct, frozen=True, kw_only=True):
    """One scrape of the server's /metrics, as it is when read back.

    t_ns: when the answer was there; took_ns: how long it took. metrics: 'name' or 'name{label="value",..}' as the
    server printed it -> value, finite ones only. error: why it failed, else None.
    """

    t_ns: int
    took_ns: int = 0
    metrics: dict[str, float] = {}
    error: str | None = None


class ScrapeLine(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The same as a line of server.jsonl. Names are long and seldom change: a line a minute has `metrics`, and those
    after it with the same names have the `values` alone, in the same order. names_ns: t_ns of the line that has the
    names. None stands for what is not finite.
    """

    t_ns: int
    took_ns: int = 0
    metrics: dict[str, float | None] = {}
    names_ns: int | None = None
    values: list[float | None] = []
    error: str | None = None
