"""What a worker is told, and the lines of JSON on the pipes between it and the driver.

driver                                   worker
  | -- job (a file named on its command line) -> |
  | <- Ready                                     |
  | -- Identity | Open | Closed --------------> |   one segment at a time
  | <- GeneratorSample, four a second            |
  | <- Drained(segment)                          |   every request of it has its record
  | -- Stop(reason) --------------------------> |   the rest is dropped, what is in flight cut off
  | -- closes the pipe                           |   the worker ends
"""

from __future__ import annotations

from urllib.parse import urlsplit

import msgspec

from mmload.model.plan import Plan
from mmload.model.records import GeneratorSample


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """Where and how requests are sent: `url` is the server's base, `path` comes after it. adds_text: each event of
    /generate adds to the text before."""

    url: str
    path: str
    timeout_s: float
    headers: dict[str, str] = {}
    adds_text: bool = False

    def head(self, *, stream: bool) -> str:
        """A request's head but for the two lines that differ each time, without the empty line that ends it."""
        parts = urlsplit(self.url)
        fixed = {
            "Host": parts.netloc,
            "Content-Type": "application/json",
            "Accept": "text/event-stream" if stream else "application/json",
            **self.headers,
        }
        lines = [f"POST {parts.path.rstrip('/')}{self.path} HTTP/1.1"]
        return "\r\n".join(lines + [f"{name}: {value}" for name, value in fixed.items()])


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a worker needs. pool, schedules: paths of what the driver has prepared (schedules by segment).
    run_folder: where it writes its records; empty where a master does that.

    in_flight_limit: a request that finds so many in flight is dropped, and says so.
    """

    worker: int
    workers: int
    plan: Plan
    endpoint: Endpoint
    pool: str
    schedules: dict[str, str]
    run_folder: str
    run_tag: str
    in_flight_limit: int = 20_000


class Identity(msgspec.Struct, frozen=True, tag="identity"):
    """Send each identity item once, one at a time."""

    segment: str = "identity"


class Open(msgspec.Struct, frozen=True, kw_only=True, tag="open"):
    """Send this worker's share of a schedule, whose offsets count from `start_ns`."""

    segment: str
    start_ns: int


class Closed(msgspec.Struct, frozen=True, kw_only=True, tag="closed"):
    """Keep `concurrency` requests in flight from `start_ns` on, through the phases.

    phases: (name, length_s) in order. requests: end the last phase after so many instead (over all workers).
    """

    segment: str
    start_ns: int
    concurrency: int
    phases: list[tuple[str, float]]
    requests: int | None = None


class Stop(msgspec.Struct, frozen=True, tag="stop"):
    """End the segment at once: what is in flight is cut off, what is still to come is recorded as dropped."""

    reason: str


class Over(msgspec.Struct, frozen=True, tag="over"):
    """To a master: the run is over, let the workers go. A pipe that ends without it is a driver that was killed."""


Segment = Identity | Open | Closed
Command = Segment | Stop | Over


class Listening(msgspec.Struct, frozen=True, kw_only=True, tag="listening"):
    """The master waits for workers. web_url: Locust's page, if it was asked for."""

    host: str
    port: int
    web_url: str | None


class Joined(msgspec.Struct, frozen=True, kw_only=True, tag="joined"):
    """A process is worker number `worker` from now on."""

    worker: int
    host: str
    pid: int


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """clock_error_ns: how well the worker knows the driver's clock."""

    worker: int
    clock_error_ns: int = 0


class Drained(msgspec.Struct, frozen=True, tag="drained"):
    """clock_drift_ns: by how much the worker's clock ran away from the driver's since it was read for this segment."""

    worker: int
    segment: str
    clock_drift_ns: int = 0


class Sample(msgspec.Struct, frozen=True, tag="sample"):
    sample: GeneratorSample


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """The worker can't go on; exit_code is that of the error in mmload.errors."""

    worker: int
    error: str
    exit_code: int


class Lost(msgspec.Struct, frozen=True, tag="lost"):
    """A joined worker is gone; what it did not say is not known."""

    worker: int
    reason: str


class StopAsked(msgspec.Struct, frozen=True, tag="stop_asked"):
    """Somebody wants the run to end."""

    reason: str


Event = Listening | Joined | Ready | Drained | Sample | Failed | Lost | StopAsked

command_decoder = msgspec.json.Decoder(Command)
event_decoder = msgspec.json.Decoder(Event)


def share(total: int, worker: int, workers: int) -> int:
    """How many of `total` fall to one of `workers`, dealt round robin."""
    return (total - worker + workers - 1) // workers
