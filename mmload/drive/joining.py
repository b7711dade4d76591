"""How processes of other hosts join a run, in messages of Locust's own master/worker protocol.

worker (remote.py)                                  master (master.py, a child of the driver)
  | -- client_ready, <- ack (Locust's) ------------- |
  | -- Hello ---------------------------------------> |
  | <- Assignment: a number, the plan, digests ------- |
  | -- ping, <- pong, some twenty times -------------- |   what the driver's clock says
  |    payloads and schedules, made from the plan      |
  | -- prepared ------------------------------------> |   every worker: the same digests as the driver's
  | <- spawn (Locust's): its user begins ------------- |
  | -- events, records, answers; <- commands (job.py) - |
  | <- quit (Locust's) -------------------------------- |
"""

from __future__ import annotations

import hashlib
from ipaddress import ip_address
from typing import Any, Protocol
from urllib.parse import urlsplit

import msgspec

from mmload.drive.job import Endpoint
from mmload.model.plan import Access, Plan
from mmload.plan.access import request_headers
from mmload.plan.prepared import Digests

HELLO, ASSIGNMENT, REFUSAL = "mmload-hello", "mmload-assignment", "mmload-refusal"
PING, PONG = "mmload-ping", "mmload-pong"
PREPARED, COMMAND, EVENT = "mmload-prepared", "mmload-command", "mmload-event"
RECORDS, ANSWERS = "mmload-records", "mmload-answers"


class Hello(msgspec.Struct, frozen=True, kw_only=True):
    """number: what the driver gave a process that it started itself; None from elsewhere. clock: see `clock_id`."""

    version: str
    host: str
    pid: int
    clock: str
    number: int | None = None


class Assignment(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that a joined worker needs. endpoint: without headers, which each host makes from its own
    environment, so that no secret travels; headers_sha256 tells whether they are the driver's."""

    worker: int
    workers: int
    run_id: str
    plan: Plan
    endpoint: Endpoint
    digests: Digests
    headers_sha256: str
    clock: str


class Orders(msgspec.Struct, frozen=True, kw_only=True):
    """What the driver wants of its master; the plan says where it listens. local: how many of the workers are the
    driver's own children."""

    run_id: str
    plan: Plan
    endpoint: Endpoint
    digests: Digests
    run_folder: str
    local: int


def headers_sha256(access: Access) -> str:
    """Of what this host's environment adds to every request."""
    return hashlib.sha256(msgspec.json.encode(sorted(request_headers(access).items()))).hexdigest()


def is_loopback(url: str) -> bool:
    """Whether a URL means another server on each host."""
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Runner(Protocol):
    """Locust's, of either side."""

    def send_message(self, msg_type: str, data: dict[str, Any] | None = None, client_id: str | None = None) -> None: ...


def send(runner: Runner, kind: str, body: bytes | msgspec.Struct, to: str | None = None) -> None:
    """Send bytes, or a struct as JSON. to: one worker's id in Locust; None from a worker."""
    data = body if isinstance(body, bytes) else msgspec.json.encode(body)
    runner.send_message(kind, {"body": data}, to)


def body(message: Any) -> bytes:
    """What `send` was given, in a message as Locust hands it over."""
    return bytes(message.data["body"])
