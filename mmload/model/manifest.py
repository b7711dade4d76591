"""What is said about a run while it goes: its manifest. Data only."""

from __future__ import annotations

from typing import Literal

import msgspec

from mmload.model.plan import SCHEMA
from mmload.model.records import Nanoseconds, Seconds

Status = Literal["running", "complete", "partial", "failed"]
RunKind = Literal["run", "profile"]


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


class StampedFile(msgspec.Struct, frozen=True, kw_only=True):
    """The stacks with their times of one process, from start_ns to end_ns. changes: how often a thread came to another
    stack. clock_error_ms: the most that all times can be wrong by together. error: why there are none, None where there
    are; then the times are None."""

    process: str
    pid: int
    start_ns: Nanoseconds | None = None
    end_ns: Nanoseconds | None = None
    changes: int = 0
    errors: int = 0
    cpu_s: Seconds = 0.0
    clock_error_ms: float | None = None
    error: str | None = None


class StampedInfo(msgspec.Struct, frozen=True, kw_only=True):
    """What was taken of stacks with their times, after the profile."""

    rate_hz: int
    files: list[StampedFile] = []


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


class Membership(msgspec.Struct, frozen=True, kw_only=True):
    """Which run of which campaign this is: its scene, its round (from 0) and its place in the campaign's order."""

    campaign: str
    scene: str
    round: int
    place: int


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """manifest.json. kind: 'profile' where no load was sent. member: None where the run was made alone. validity:
    'valid' or the reasons why the figures can't be trusted. looking: None where the run ended before. agent: None
    where the server's processes are looked at on the driver's own host. stamped: None where no stacks were taken with
    their times."""

    schema: int = SCHEMA
    kind: RunKind = "run"
    run_id: str
    member: Membership | None = None
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
    stamped: StampedInfo | None = None
    looking: LookingCost | None = None
    stalls: list[Stall] = []
    host: dict[str, object] = {}
    versions: dict[str, str] = {}
    git: str | None = None
    warnings: list[str] = []
    error: str | None = None
