"""A load-generating process: `python -m mmload.drive.worker JOB.json`, spoken to over its pipes (see job.py).

Locust's environment, user and request events are the engine's frame, so that its statistics know every request; when a
request is sent and what its record says is decided here.
"""

from __future__ import annotations

from locust import User, task  # first: it patches the standard library for gevent
from locust.env import Environment
from locust.exception import StopUser

# isort: split
import contextlib
import gc
import os
import resource
import signal
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import gevent
import gevent.event
import msgspec
from gevent.queue import Queue

from mmload.drive.clock import precise_clock
from mmload.drive.connection import Connections
from mmload.drive.dispatch import ClosedLoop, Gauge, Sender, Stopped, send_open, send_serially
from mmload.drive.exchange import Due, Exchanger
from mmload.drive.job import (
    Closed,
    Command,
    Drained,
    Failed,
    Identity,
    Job,
    Open,
    Over,
    Ready,
    Sample,
    Segment,
    Stop,
    share,
)
from mmload.drive.link import Link, PipeLink
from mmload.drive.requests import Requests
from mmload.errors import EXIT_RUN_INVALID, FolderError
from mmload.model.records import AnswerRecord, GeneratorSample, RequestRecord
from mmload.plan.access import tls_context
from mmload.store.layout import RunLayout

_SAMPLE_S = 0.25
_HEARTBEAT_S = 0.05
_FORGET_S = 60
_NICE = -10
_RECORDS_AT_ONCE = 32  # half a millisecond: what is due meanwhile is late by no more


class Worker:
    """Runs one segment after another. Its greenlets: commands, segment, heartbeat, samples, and one per request."""

    def __init__(self, job: Job, link: Link, tell_locust: Callable[..., None]) -> None:
        self._job = job
        self._link = link
        self._tell_locust = tell_locust
        self._requests = Requests(job)
        self._clock = precise_clock()
        tls = tls_context(job.plan.access) if job.endpoint.url.startswith("https:") else None
        self._connections = Connections(job.endpoint.url, job.endpoint.timeout_s, tls)
        self._exchanger = Exchanger(job.endpoint, self._connections, job.worker, self._keep)
        self._gauge = Gauge()
        self._sender = Sender(self._exchange, self._record, self._gauge, job.worker, job.in_flight_limit)
        self._recorded: list[RequestRecord] = []
        self._commands: Queue[Segment] = Queue()
        self._segment: gevent.Greenlet | None = None
        self._stall_ns = 0
        self._failed = False

    def serve(self) -> None:
        """Obey commands until the driver wants nothing more."""
        background = [gevent.spawn(run) for run in (self._listen, self._beat, self._sample)]
        self._link.say(Ready(self._job.worker))
        for command in self._commands:
            self._segment = gevent.spawn(self._run, command)
            self._segment.join()
            self.flush()
            self._say_sample()
            self._link.say(Drained(self._job.worker, command.segment))
        gevent.killall(background)
        self._connections.close()
        self._clock.close()

    def flush(self) -> None:
        """Hand over every record that there is."""
        self._hand_over()
        self._write(self._link.flush)

    def _run(self, command: Identity | Open | Closed) -> None:
        sender = self._sender
        if isinstance(command, Identity):
            send_serially(self._identity(), sender)
        elif isinstance(command, Open):
            send_open(self._requests.schedule(command.segment), command.start_ns, self._clock, sender)
        else:
            job = self._job
            concurrency = share(command.concurrency, job.worker, job.workers)
            requests = None if command.requests is None else share(command.requests, job.worker, job.workers)
            loop = ClosedLoop(command, concurrency, requests, sender)
            loop.run(self._requests.closed(command.segment), self._clock)

    def _identity(self) -> Iterator[Due]:
        return self._requests.identity() if self._job.worker == 0 else iter(())

    def _exchange(self, due: Due) -> RequestRecord:
        try:
            return self._exchanger.exchange(due)
        except Exception as fault:
            self._fail(f"a fault of mmload itself, in request {due.id}: {fault!r}", EXIT_RUN_INVALID)
            raise

    def _record(self, record: RequestRecord) -> None:
        """Keep it for the next sample: the same work costs a third when done for several records in a row."""
        self._recorded.append(record)
        if len(self._recorded) >= _RECORDS_AT_ONCE:
            self._hand_over()

    def _keep(self, answer: AnswerRecord) -> None:
        self._write(partial(self._link.keep, answer))

    def _hand_over(self) -> None:
        recorded, self._recorded = self._recorded, []
        for record in recorded:
            self._write(partial(self._link.write, record))
            self._report(record)

    def _report(self, record: RequestRecord) -> None:
        """Tell Locust's listeners."""
        done_ns = record.done_ns or record.due_ns
        self._tell_locust(
            request_type="POST",
            name=f"{self._job.endpoint.path} {record.modality}",
            response_time=(done_ns - record.due_ns) / 1e6,
            response_length=record.bytes_down,
            exception=None if record.outcome == "ok" else RuntimeError(record.outcome),
            context={},
            start_time=time.time() - (done_ns - record.due_ns) / 1e9,
        )

    def _listen(self) -> None:
        self._link.listen(self._take)
        self._commands.put(StopIteration)

    def _take(self, command: Command) -> None:
        """One segment after another; a Stop reaches the running one at once."""
        if isinstance(command, Stop):
            self._stop(command.reason)
        elif not isinstance(command, Over):
            self._commands.put(command)

    def _stop(self, reason: str) -> None:
        if self._segment is not None:
            self._segment.kill(Stopped(reason), block=False)

    def _beat(self) -> None:
        """How long the loop did not turn: the longest delay of a short sleep, whatever the reason."""
        while True:
            before_ns = time.monotonic_ns()
            gevent.sleep(_HEARTBEAT_S)
            self._stall_ns = max(self._stall_ns, time.monotonic_ns() - before_ns - int(_HEARTBEAT_S * 1e9))

    def _sample(self) -> None:
        while True:
            gevent.sleep(_SAMPLE_S)
            self.flush()
            self._say_sample()

    def _write(self, write: Callable[[], None]) -> None:
        """Write to the run folder. Once that fails nothing is sent any more: what has no record did not happen."""
        if self._failed:
            return
        try:
            write()
        except FolderError as error:
            self._failed = True
            self._fail(str(error), error.exit_code)

    def _fail(self, error: str, exit_code: int) -> None:
        self._link.say(Failed(self._job.worker, error, exit_code))
        self._stop(error)

    def _say_sample(self) -> None:
        gauge = self._gauge
        sample = GeneratorSample(
            t_ns=time.monotonic_ns(),
            worker=self._job.worker,
            due=gauge.due,
            sent=gauge.sent,
            done=gauge.done,
            in_flight=gauge.in_flight,
            stall_ms=self._stall_ns / 1e6,
            cpu_s=time.process_time(),
            bytes_down=self._connections.bytes_down,
        )
        self._stall_ns = 0
        self._link.say(Sample(sample))


class LoadEnvironment(Environment):
    """Locust's environment of one worker. `served` is set when the driver has nothing more to ask."""

    def __init__(self) -> None:
        super().__init__(user_classes=[Load], parsed_options=Namespace(web_base_path=""))
        self.served = gevent.event.Event()
        self.worker: Worker | None = None

    def employ(self, job: Job, link: Link) -> Worker:
        """Give the process its work; Locust's user then does it."""
        self.host = job.endpoint.url
        _allow_many_connections()
        _go_first()
        self.worker = Worker(job, link, self.events.request.fire)
        gevent.spawn(self._forget_old_seconds)
        _quiet_collector()
        return self.worker

    def _forget_old_seconds(self) -> None:
        """Locust counts every second's requests for ever: 11 MB a day of them that nobody looks at again."""
        while True:
            gevent.sleep(_FORGET_S)
            for entry in (self.stats.total, *self.stats.entries.values()):
                for counts in (entry.num_reqs_per_sec, entry.num_fail_per_sec):
                    for second in list(counts)[:-_FORGET_S]:
                        del counts[second]


class Load(User):
    """Locust's one user of this process: it serves the driver until there is nothing more to do."""

    environment: LoadEnvironment

    @task
    def serve(self) -> None:
        assert self.environment.worker is not None
        self.environment.worker.serve()
        self.environment.served.set()
        raise StopUser


def main() -> None:
    job = msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Job)
    environment = LoadEnvironment()
    worker = environment.employ(job, PipeLink(RunLayout(Path(job.run_folder))))
    gevent.signal_handler(signal.SIGTERM, _end_early, worker)
    runner = environment.create_local_runner()
    runner.start(1, spawn_rate=1)
    environment.served.wait()
    runner.quit()


def _end_early(worker: Worker) -> None:
    worker.flush()
    os._exit(128 + signal.SIGTERM)


def _allow_many_connections() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _go_first() -> None:
    """Be woken before what is measured, where that is permitted: late sending would be the generator's fault."""
    with contextlib.suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, _NICE)


def _quiet_collector() -> None:
    """What is loaded by now stays: a full collection over it would stall the loop for tens of milliseconds."""
    gc.collect()
    gc.freeze()


if __name__ == "__main__":
    main()
