"""What a run is going to do, fixed before anything starts. Data only."""

from __future__ import annotations

from typing import Literal

import msgspec

Modality = Literal["text", "image", "images", "video", "audio", "mixed"]
ArrivalProcess = Literal["poisson", "constant", "gamma", "trace"]
ProfileMode = Literal["active", "idle", "native", "gil"]

SCHEMA = 1
IDENTITY_ITEMS = 8  # of a plan that says nothing else


class OpenLoop(msgspec.Struct, frozen=True, kw_only=True, tag="open", forbid_unknown_fields=True):
    """Requests are sent when the schedule says so, whatever the server does.

    rate_rps: the mean over the measured window. steps_rps: the window is cut into equal parts with these rates.
    ramp_rps: the rate goes linearly from the first to the second over the window. cv: coefficient of variation of the
    gaps (gamma only; Poisson has 1, constant 0). trace: the file whose times are replayed in the measured window
    (arrival 'trace'), trace_sha256 its content. Warm-up and profile window are flat: at the rate that the window
    begins with, and at its mean.
    """

    rate_rps: float
    arrival: ArrivalProcess = "poisson"
    cv: float | None = None
    steps_rps: tuple[float, ...] = ()
    ramp_rps: tuple[float, float] | None = None
    trace: str | None = None
    trace_sha256: str | None = None


class ClosedLoop(msgspec.Struct, frozen=True, kw_only=True, tag="closed", forbid_unknown_fields=True):
    """A fixed number of requests in flight: the next is due when a slot falls free."""

    concurrency: int


class NoLoad(msgspec.Struct, frozen=True, kw_only=True, tag="none", forbid_unknown_fields=True):
    """Nothing is sent: `mmload profile` looks at what processes do by themselves, or under somebody else's load."""


class ProfilePlan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The profile window, which follows the measured one. `rate_hz`: stack samples per second and process. stamped_s:
    how long stacks are taken with their times after that, under the same load; 0: not at all."""

    enabled: bool = True
    duration_s: float = 10.0
    stamped_s: float = 0.0
    rate_hz: int = 100
    mode: ProfileMode = "active"

    @property
    def window_s(self) -> float:
        """How long profilers are at work in all; 0 where none is wanted."""
        return self.duration_s + self.stamped_s if self.enabled else 0.0


class GeneratorLimits(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Past any of these the generator, not the server, shaped the figures: the run is INVALID.

    lag_p99_ms: 99th percentile of sending behind due. lag_share: mean lag over mean
    response time. read_lag_p99_ms: the same of reading what had come. busiest_pct:
    share of one core that the busiest worker took. stall_ms: the longest time in which a worker's event loop did
    not turn. undelivered: share of the scheduled requests that were never sent.
    """

    lag_p99_ms: float = 10.0
    lag_share: float = 0.2
    read_lag_p99_ms: float = 10.0
    busiest_pct: float = 95.0
    stall_ms: float = 250.0
    undelivered: float = 0.001


class Meeting(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Workers meet at a Locust master on this host. expected: how many of the plan's workers join from elsewhere by
    `mmload worker`. host: the interface they come to (`*`: any). port: 0 takes a free one. web: whether Locust's own
    web page is open on 127.0.0.1 meanwhile."""

    expected: int = 0
    host: str = "127.0.0.1"
    port: int = 0
    web: bool = False


class Access(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the server is talked to. headers: added to every request. token_variable: the environment variable that
    holds the bearer token. ca_file: PEM certificates to trust instead of the system's."""

    headers: dict[str, str] = {}
    token_variable: str = "MMLOAD_TOKEN"  # noqa: S105 (the name of a variable, not a secret)
    ca_file: str | None = None
    verify: bool = True


class AgentPlan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The `mmload agent` of the server's host. token_variable: the environment variable that holds its bearer token.
    ca_file: PEM certificates to trust instead of the system's."""

    url: str
    token_variable: str = "MMLOAD_AGENT_TOKEN"  # noqa: S105 (the name of a variable, not a secret)
    ca_file: str | None = None


class Plan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Enough to repeat a run exactly (`mmload run --plan plan.json`).

    `engine` is None when attached to a running server (`url`). `variant` None means: whatever the attached server
    announces. `workload` is the resolved content of its file, a `plan.workload.Workload` in plain form, so that a
    later change of the file does not change the plan. `extra_body`:
    fields added to every request's JSON. `requests` overrides `duration_s` (open loop: the window is
    requests / rate long; closed loop: the window ends with that many). `meeting`: None where all `workers` are
    children of the driver.
    """

    schema: int = SCHEMA
    variant: str | None
    workload_name: str
    workload: dict[str, object]
    load: OpenLoop | ClosedLoop | NoLoad
    duration_s: float = 40.0
    warmup_s: float = 5.0
    requests: int | None = None
    identity_items: int = IDENTITY_ITEMS
    extra_body: dict[str, object] = {}
    seed: int = 0
    timeout_s: float = 30.0
    engine: str | None = "standin"
    url: str | None = None
    access: Access = Access()
    tp: int = 2
    model: str | None = None
    port: int | None = None
    engine_args: tuple[str, ...] = ()
    pids: tuple[int, ...] = ()
    agent: AgentPlan | None = None
    profile: ProfilePlan = ProfilePlan()
    limits: GeneratorLimits = GeneratorLimits()
    workers: int = 1
    meeting: Meeting | None = None
    gate: str | None = None
