"""A load-generating process that joins a run over the network: `python -m mmload.drive.remote HOST PORT`.

It makes the payloads and the schedule of the run itself, from the plan, and sends its share of the one schedule. What
is said between it and the driver's master stands in joining.py.
"""

from __future__ import annotations

from mmload.drive.worker import LoadEnvironment  # first: Locust patches the standard library for gevent

# isort: split
import argparse
import contextlib
import math
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import gevent
import gevent.event
import msgspec
from locust import runners

from mmload import __version__
from mmload.clocks import SAME_CLOCK, OtherClock, boot_of, clock_id
from mmload.drive import joining
from mmload.drive.job import Failed, Job
from mmload.drive.joining import Assignment, Hello, body, headers_sha256, is_loopback, send
from mmload.drive.master_link import MasterLink, tell
from mmload.drive.scratch import make_scratch
from mmload.errors import EXIT_RUN_INVALID, FolderError, MmloadError, ServerError, UsageError
from mmload.plan.access import request_headers
from mmload.plan.prepared import Digests, pool_folder, schedule_files

_MASTER_SILENCE_S = 10  # without a heartbeat for so long the driver is gone
_ROUND_TRIPS = 20
_BETWEEN_TRIPS_S = 0.01
_BETWEEN_READINGS_S = 1.0
_LAST_WORDS_S = 0.2  # ZeroMQ sends in a thread of its own
_MOST_TRIES = 300  # Locust recurses once for each


class RemoteWorker:
    """One process from its first word to its last. `over` holds the exit code once the run is over."""

    def __init__(self, host: str, port: int, number: int | None, prepared: Path | None) -> None:
        self._address = f"{host}:{port}"
        self._number = number
        self._prepared = prepared
        self._environment = LoadEnvironment()
        self._clock = OtherClock()
        self._link: MasterLink | None = None
        self._worker: int | None = None
        self.over: gevent.event.AsyncResult[int] = gevent.event.AsyncResult()
        tell(f"looking for a run at {self._address}")
        try:
            self._runner = self._environment.create_worker_runner(host, port)
        except ConnectionError:
            raise ServerError(
                f"nobody answers at {self._address}",
                "start the driver there: mmload run --expect-workers N; --wait says how long to look for it",
            ) from None
        self._runner.greenlet.spawn(self._watch_runner)

    def run(self) -> int:
        """Join the run and serve it; returns the exit code."""
        for kind, take in (
            (joining.ASSIGNMENT, self._take_assignment),
            (joining.REFUSAL, self._take_refusal),
            (joining.PONG, self._take_pong),
        ):
            self._runner.register_message(kind, take, concurrent=True)
        hello = Hello(
            version=__version__, host=socket.gethostname(), pid=os.getpid(), clock=clock_id(), number=self._number
        )
        send(self._runner, joining.HELLO, hello)
        code: int = self.over.get()
        gevent.sleep(_LAST_WORDS_S)
        return code

    def end_early(self, signal_number: int) -> None:
        """Hand over what there is, say why, and end."""
        if self._environment.worker is not None:
            self._environment.worker.flush()
        if self._worker is not None:
            self._say_failed(f"ended by signal {signal_number} on {socket.gethostname()}", EXIT_RUN_INVALID)
        self.over.set(128 + signal_number)

    def clean_up(self) -> None:
        if self._prepared is not None and self._number is None:
            shutil.rmtree(self._prepared, ignore_errors=True)

    def _take_assignment(self, msg: Any, **_: object) -> None:
        assignment = msgspec.json.decode(body(msg), type=Assignment)
        self._worker = assignment.worker
        tell(f"worker {assignment.worker} of {assignment.workers} in run {assignment.run_id}")
        try:
            self._begin(assignment)
        except MmloadError as error:
            sentence = f"{error}; {error.hint}" if error.hint else str(error)
            self._say_failed(f"on {socket.gethostname()}: {sentence}", error.exit_code)
            tell(str(error))
            self.over.set(error.exit_code)

    def _begin(self, assignment: Assignment) -> None:
        if headers_sha256(assignment.plan.access) != assignment.headers_sha256:
            raise UsageError(
                f"what ${assignment.plan.access.token_variable} holds is not what it holds at the driver",
                "set the same bearer token on both hosts",
            )
        if is_loopback(assignment.endpoint.url) and boot_of(assignment.clock) != boot_of(clock_id()):
            raise UsageError(
                f"{assignment.endpoint.url} is the driver's own host, not this one",
                "let the driver attach to a server that both reach, by --url",
            )
        same_clock = assignment.clock == clock_id()
        if not same_clock:
            self._read_driver_clock()
        if self._prepared is None:
            self._prepared = make_scratch()
            self._prepare(assignment, self._prepared)
        self._link = MasterLink(self._runner, (lambda: SAME_CLOCK) if same_clock else self._clock.read)
        self._environment.employ(self._job(assignment, self._prepared), self._link)
        if self._number is None:
            shutil.rmtree(self._prepared)
        send(self._runner, joining.PREPARED, b"%d" % assignment.worker)

    def _prepare(self, assignment: Assignment, folder: Path) -> None:
        """In a process of its own: threads that encode side by side would be greenlets here, and block the loop."""
        tell(f"preparing {assignment.plan.workload_name}")
        begun_s = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-m", "mmload.drive.prepare", str(folder)],
            input=msgspec.json.encode(assignment.plan),
            capture_output=True,
            check=False,
        )
        if done.returncode != 0:
            kind = FolderError if done.returncode == FolderError.exit_code else UsageError
            raise kind(f"cannot prepare the load: {done.stderr.decode(errors='replace').strip()}")
        digests = msgspec.json.decode(done.stdout, type=Digests)
        _refuse_other(digests, assignment.digests)
        tell(f"ready after {time.monotonic() - begun_s:.1f} s")

    def _job(self, assignment: Assignment, folder: Path) -> Job:
        headers = request_headers(assignment.plan.access)
        return Job(
            worker=assignment.worker,
            workers=assignment.workers,
            plan=assignment.plan,
            endpoint=msgspec.structs.replace(assignment.endpoint, headers=headers),
            pool=str(pool_folder(folder)),
            schedules=schedule_files(folder),
            run_folder="",
            run_tag=assignment.run_id[-4:],
        )

    def _read_driver_clock(self) -> None:
        for _ in range(_ROUND_TRIPS):
            self._ping()
            gevent.sleep(_BETWEEN_TRIPS_S)
        with gevent.Timeout(_MASTER_SILENCE_S, ServerError("the driver does not say what its clock reads")):
            while not self._clock.is_read:
                gevent.sleep(_BETWEEN_TRIPS_S)
        self._runner.greenlet.spawn(self._keep_reading_clock)

    def _keep_reading_clock(self) -> None:
        while True:
            gevent.sleep(_BETWEEN_READINGS_S)
            self._ping()

    def _ping(self) -> None:
        send(self._runner, joining.PING, b"%d" % time.monotonic_ns())

    def _take_pong(self, msg: Any, **_: object) -> None:
        received_ns = time.monotonic_ns()
        sent_ns, driver_ns = map(int, body(msg).split())
        self._clock.take(sent_ns, driver_ns, received_ns)

    def _take_refusal(self, msg: Any, **_: object) -> None:
        tell(body(msg).decode())
        self.over.set(UsageError.exit_code)

    def _watch_runner(self) -> None:
        """Locust's runner ends when the master says quit, or when nothing has come from it for long."""
        try:
            gevent.event.Event().wait()
        finally:
            heard_s = self._runner.last_heartbeat_timestamp or time.time()
            gone = time.time() - heard_s > _MASTER_SILENCE_S - 1
            if self._link is not None:
                self._link.end()
            if gone:
                tell("the driver is gone")
            if not self.over.ready():
                self.over.set(EXIT_RUN_INVALID if gone else 0)

    def _say_failed(self, error: str, exit_code: int) -> None:
        assert self._worker is not None
        send(self._runner, joining.EVENT, Failed(self._worker, error, exit_code))


def _refuse_other(mine: Digests, drivers: Digests) -> None:
    for what in ("schedule", "payloads"):
        if getattr(mine, f"{what}_sha256") != getattr(drivers, f"{what}_sha256"):
            raise UsageError(
                f"this host makes another {what} from the same plan",
                "give both hosts the same versions of mmload, numpy, Pillow and av, and the same files of your own",
            )


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("--wait-s", type=float, default=300.0)
    parser.add_argument("--number", type=int)
    parser.add_argument("--prepared", type=Path)
    options = parser.parse_args()
    runners.MASTER_HEARTBEAT_TIMEOUT = _MASTER_SILENCE_S
    runners.CONNECT_TIMEOUT = max(1.0, options.wait_s / _MOST_TRIES)
    runners.CONNECT_RETRY_COUNT = math.ceil(options.wait_s / runners.CONNECT_TIMEOUT) - 1
    joined: list[RemoteWorker] = []

    def end(signal_number: int) -> None:
        if not joined:
            os._exit(128 + signal_number)
        joined[0].end_early(signal_number)

    for number in (signal.SIGINT, signal.SIGTERM):
        gevent.signal_handler(number, partial(end, number))
    try:
        joined.append(RemoteWorker(options.host, options.port, options.number, options.prepared))
        return joined[0].run()
    except MmloadError as error:
        tell(f"error: {error}")
        if error.hint:
            tell(f"hint: {error.hint}")
        return error.exit_code
    finally:
        with contextlib.suppress(IndexError):
            joined[0].clean_up()


if __name__ == "__main__":
    sys.exit(main())
