"""What a driver and an `mmload agent` say to each other, in JSON over HTTP, each request with its bearer token.

driver                                          agent
  | GET  hello --------------------------------> |  its protocol: another one is refused in words
  | GET  clock, some ten times ----------------> |  what its clock says; again every few seconds
  | POST find ---------------------------------> |  the server's processes
  | POST sample -------------------------------> |
  | <- Begun, then a line for each record -------|  and a Status every second; ends with the connection
  | POST profile ------------------------------> |
  | <- Begun, Settled, a FileLine a change ------|  Alive in between
  | POST stop, with the session's name --------> |
  | <- Done -------------------------------------|
  | POST stamp --------------------------------> |
  | <- Begun, Alive -----------------------------|  while stacks are taken with their times
  | POST stop, with the session's name --------> |
  | <- a FileLine each, Done --------------------|
  | POST dump ---------------------------------> |  the stacks of all threads, now
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from mmload.discover import ServerProcess
from mmload.errors import ServerError
from mmload.model.manifest import ProfileInfo, StampedInfo
from mmload.model.plan import ProfileMode
from mmload.model.records import HostSample, ProcessSample
from mmload.observe.observer import KernelWord

PROTOCOL = 2
PROTOCOL_HEADER = "X-Mmload-Protocol"
STATUS_INTERVAL_S = 1.0  # each stream has a line at least this often, so that a silent one is known to be broken
SILENCE_S = 10.0  # after which it is

_FILE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_Pid = Annotated[int, Meta(ge=1, le=2**22)]  # linux/threads.h: PID_MAX_LIMIT
_Name = Annotated[str, Meta(pattern=r"^[0-9a-f]{16}$")]


class Sought(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which processes: `pids`, else what listens on `port` and all below it."""

    port: Annotated[int, Meta(ge=1, le=65535)] | None = None
    pids: Annotated[list[_Pid], Meta(max_length=256)] = []


class ProcessId(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pid: _Pid
    start_ticks: Annotated[int, Meta(ge=0)]


class SampleRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """processes: those of the sought that are meant. dump takes it too."""

    sought: Sought
    processes: Annotated[list[ProcessId], Meta(max_length=256)]


class StampRequest(SampleRequest, frozen=True, kw_only=True, forbid_unknown_fields=True):
    rate_hz: Annotated[int, Meta(ge=1, le=1000)]
    duration_s: Annotated[float, Meta(gt=0, le=86_400)]


class ProfileRequest(StampRequest, frozen=True, kw_only=True, forbid_unknown_fields=True):
    mode: ProfileMode


class StopRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    session: _Name


class Hello(msgspec.Struct, frozen=True, kw_only=True):
    """host: what it is (host.host_facts). clock: processes with the same one read the same CLOCK_MONOTONIC
    (clocks.clock_id)."""

    protocol: int
    version: str = ""
    host: dict[str, object] = {}
    clock: str = ""


class ClockReading(msgspec.Struct, frozen=True):
    monotonic_ns: int


class Found(msgspec.Struct, frozen=True):
    processes: list[ServerProcess]
    states: dict[str, KernelWord] = {}


class Dumps(msgspec.Struct, frozen=True):
    """Process name -> its stacks in words; a sentence for each that could not be dumped."""

    texts: dict[str, str]
    problems: list[str] = []


class Refusal(msgspec.Struct, frozen=True):
    """The body of every answer that is not 200."""

    error: str
    hint: str = ""


class Begun(msgspec.Struct, frozen=True, tag="begun"):
    session: str


class ProcessLine(msgspec.Struct, frozen=True, tag="process"):
    sample: ProcessSample


class HostLine(msgspec.Struct, frozen=True, tag="host"):
    sample: HostSample


class Status(msgspec.Struct, frozen=True, kw_only=True, tag="status"):
    """Once a second of sampling. found: the sought processes now; trouble: why they can't be told. cpu_s: what the
    sampling has cost."""

    found: list[ServerProcess]
    trouble: str | None
    lost: list[ServerProcess]
    cpu_pct: dict[str, float]
    cpu_s: float


class Settled(msgspec.Struct, frozen=True, tag="settled"):
    """Every py-spy samples or has given up."""

    sampling: bool


class FileLine(msgspec.Struct, frozen=True, kw_only=True, tag="file"):
    """The whole content of a file of the run folder, each time that it has changed."""

    folder: Literal["stacks", "logs"]
    name: str
    text: str


class Done(msgspec.Struct, frozen=True, kw_only=True, tag="done"):
    """The end of a stream, after everything that it brought. info: of a profile; stamped: of stacks with their times.
    failure: why it was not the driver's word that ended it."""

    info: ProfileInfo | None = None
    stamped: StampedInfo | None = None
    warnings: list[str] = []
    failure: str | None = None


class Alive(msgspec.Struct, frozen=True, tag="alive"):
    pass


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """The last line of a stream that went wrong at the agent's side."""

    error: str


def file_name(name: str) -> str:
    """`name`, where it names a file in a folder and nothing else. Raises ServerError: an agent that says otherwise is
    none."""
    if not _FILE_NAME.fullmatch(name):
        raise ServerError(f"the agent names a file {name!r}, which is none of a run folder")
    return name


Line = Begun | ProcessLine | HostLine | Status | Settled | FileLine | Done | Alive | Failed
