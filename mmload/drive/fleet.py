"""The driver's side of the workers: start, command, hear and end them. Imports neither locust nor gevent."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec

from mmload.drive.job import (
    Command,
    Drained,
    Failed,
    Job,
    Joined,
    Listening,
    Lost,
    Over,
    Ready,
    Sample,
    StopAsked,
    event_decoder,
)
from mmload.drive.joining import Orders
from mmload.errors import FolderError, MmloadError, RunInvalid, UsageError
from mmload.model.records import GeneratorSample
from mmload.store.append import LineWriter
from mmload.store.layout import RunLayout
from mmload.tether import tethered

_SILENCE_S = 5.0  # a worker says something four times a second
_DRIFT_NS = 2_000_000


class Fleet:
    """The workers of one run: the driver's own children, or processes of any host that join a master which is its
    child. `poll` takes in what they say; the attributes tell the state.

    pids: of the processes on this host, by name. samples: the last word of each worker about itself. joined: who came
    from where. clock_error_ns: worker -> how well it knows this host's clock. listening: where workers may join. lost:
    what went wrong with a worker, in sentences. stop_asked: why somebody wants the run to end. warnings: about the
    workers.
    """

    def __init__(self, layout: RunLayout, scratch: Path, workers: int) -> None:
        self.pids: dict[str, int] = {}
        self.samples: dict[int, GeneratorSample] = {}
        self.joined: dict[int, Joined] = {}
        self.clock_error_ns: dict[int, int] = {}
        self.listening: Listening | None = None
        self.longest_stall_ms = 0.0
        self.lost: list[str] = []
        self.stop_asked: str | None = None
        self.warnings: list[str] = []
        self._layout = layout
        self._scratch = scratch
        self._workers = workers
        self._gone: set[int] = set()
        self._drained: set[tuple[int, str]] = set()
        self._heard_ns: dict[int, int] = {}
        self._pending: dict[int, bytes] = {}
        self._selector = selectors.DefaultSelector()
        self._lines = LineWriter(layout.generator)
        self._spoken_to: dict[str, subprocess.Popen[bytes]] = {}
        self._joining: dict[int, subprocess.Popen[bytes]] = {}
        self._local = 0
        self._is_closed = False

    @classmethod
    def of_children(cls, jobs: Sequence[Job], layout: RunLayout, scratch: Path) -> Fleet:
        """Start a worker for each job and speak to it over its pipes."""
        fleet = cls(layout, scratch, len(jobs))
        for job in jobs:
            file = scratch / f"job-{job.worker}.json"
            file.write_bytes(msgspec.json.encode(job))
            fleet._speak_to(_worker_name(job.worker), ["mmload.drive.worker", str(file)])
            fleet._heard_ns[job.worker] = time.monotonic_ns()
        return fleet

    @classmethod
    def of_joined(cls, orders: Orders, layout: RunLayout, scratch: Path) -> Fleet:
        """Start a master for workers to join, and `orders.local` workers of this host that do."""
        fleet = cls(layout, scratch, orders.plan.workers)
        fleet._local = orders.local
        file = scratch / "orders.json"
        file.write_bytes(msgspec.json.encode(orders))
        fleet._speak_to("master", ["mmload.drive.master", str(file)])
        return fleet

    @property
    def is_ready(self) -> bool:
        return len(self.clock_error_ns) == self._workers

    @property
    def waits_for_elsewhere(self) -> int:
        """How many workers of other hosts have still to join."""
        return sum(number not in self.joined for number in range(self._local, self._workers)) if self.listening else 0

    def is_drained(self, segment: str) -> bool:
        """True when every worker that is left has recorded every request of the segment."""
        return all((worker, segment) in self._drained for worker in set(range(self._workers)) - self._gone)

    def command(self, command: Command) -> None:
        line = msgspec.json.encode(command) + b"\n"
        for process in self._spoken_to.values():
            with contextlib.suppress(BrokenPipeError):  # `poll` sees that it is gone
                assert process.stdin is not None
                process.stdin.write(line)
                process.stdin.flush()

    def poll(self, timeout_s: float) -> None:
        """Hear the workers for up to `timeout_s`. Raises the error of a worker that can't go on."""
        deadline = time.monotonic() + timeout_s
        left_s = timeout_s
        while left_s > 0:
            self._hear(left_s)
            left_s = deadline - time.monotonic()
        self._hear(0)  # if this process was paused, there is much to hear though its time is up
        self._lines.flush()
        self._look_for_dead()
        self._look_for_silence()

    def close(self) -> None:
        """End the workers: by the end of their pipe, by SIGTERM after two seconds, by SIGKILL after two more."""
        self._is_closed = True
        if self.listening:
            self.command(Over())
        for process in self._spoken_to.values():
            with contextlib.suppress(BrokenPipeError):
                assert process.stdin is not None
                process.stdin.close()
        for process in (*self._spoken_to.values(), *self._joining.values()):
            _end(process)
        self._selector.close()
        self._lines.close()

    def _speak_to(self, name: str, module: list[str]) -> None:
        process = self._start(name, module, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert process.stdout is not None
        os.set_blocking(process.stdout.fileno(), False)
        self._selector.register(process.stdout.fileno(), selectors.EVENT_READ, name)
        self._spoken_to[name] = process

    def _start(self, name: str, module: list[str], stdin: int, stdout: int | None) -> subprocess.Popen[bytes]:
        with self._layout.log(name).open("wb") as log:
            process = subprocess.Popen(
                tethered([sys.executable, "-m", *module]),
                stdin=stdin,
                stdout=stdout,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the driver, which ends the workers in order
            )
        self.pids[name.replace("worker", "generator")] = process.pid
        return process

    def _start_joining(self, listening: Listening) -> None:
        """The driver's own workers join as those of any other, but for what is prepared here already."""
        host = "127.0.0.1" if listening.host == "*" else listening.host
        for number in range(self._local):
            options = ["--number", str(number), "--prepared", str(self._scratch)]
            module = ["mmload.drive.remote", host, str(listening.port), *options]
            self._joining[number] = self._start(_worker_name(number), module, subprocess.DEVNULL, subprocess.DEVNULL)

    def _hear(self, timeout_s: float) -> None:
        for key, _ in self._selector.select(timeout_s):
            self._read(key.data, key.fd)

    def _read(self, name: str, fd: int) -> None:
        chunk = os.read(fd, 65536)
        if not chunk:
            self._selector.unregister(fd)
            self._lose(name, self._spoken_to[name].wait())
            return
        *lines, self._pending[fd] = (self._pending.get(fd, b"") + chunk).split(b"\n")
        for line in lines:
            self._take(line)

    def _take(self, line: bytes) -> None:
        event = event_decoder.decode(line)
        match event:
            case Listening():
                self.listening = event
                self._start_joining(event)
            case Joined(worker=worker):
                self.joined[worker] = event
            case Ready(worker=worker):
                self.clock_error_ns[worker] = event.clock_error_ns
                self._heard_ns[worker] = time.monotonic_ns()
            case Drained(worker=worker, segment=segment):
                self._drained.add((worker, segment))
                self._note_drift(event)
            case Sample(sample=sample):
                self.samples[sample.worker] = sample
                self.longest_stall_ms = max(self.longest_stall_ms, sample.stall_ms)
                self._lines.write(sample)
                self._heard_ns[sample.worker] = time.monotonic_ns()
            case Failed():
                raise _error_of(event)
            case Lost(worker=worker, reason=reason):
                self._gone.add(worker)
                self.lost.append(f"{self._called(worker)} {reason}")
            case StopAsked(reason=reason):
                self.stop_asked = reason

    def _note_drift(self, event: Drained) -> None:
        if abs(event.clock_drift_ns) > _DRIFT_NS:
            self.warnings.append(
                f"the clock of {self._called(event.worker)} moved by {event.clock_drift_ns / 1e6:.1f} ms against this "
                f"host's during {event.segment}: set both by NTP"
            )

    def _look_for_dead(self) -> None:
        for number, process in list(self._joining.items()):
            if process.poll() is not None and not self._is_closed and number not in self._gone:
                self._lose(_worker_name(number), process.returncode)

    def _lose(self, name: str, code: int) -> None:
        _, _, number = name.partition("-")
        self._gone |= {int(number)} if number else set(range(self._workers))
        called = name.replace("-", " ") if number else "the workers' master"
        self.lost.append(f"{called} ended with exit code {code}: see logs/{name}.log")

    def _look_for_silence(self) -> None:
        now_ns = time.monotonic_ns()
        for worker in self.clock_error_ns.keys() - self._gone:
            silent_s = (now_ns - self._heard_ns[worker]) / 1e9
            sentence = f"{self._called(worker)} said nothing for more than {_SILENCE_S:g} s"
            if silent_s > _SILENCE_S and sentence not in self.lost:
                self.lost.append(sentence)

    def _called(self, worker: int) -> str:
        who = self.joined.get(worker)
        return f"worker {worker} ({who.host}, pid {who.pid})" if who else f"worker {worker}"


def _worker_name(number: int) -> str:
    return f"worker-{number}"


def _error_of(event: Failed) -> MmloadError:
    kinds = {kind.exit_code: kind for kind in (FolderError, UsageError)}
    return kinds.get(event.exit_code, RunInvalid)(f"worker {event.worker}: {event.error}")


def _end(process: subprocess.Popen[bytes]) -> None:
    for signal_number in (None, signal.SIGTERM, signal.SIGKILL):
        if signal_number is not None:
            process.send_signal(signal_number)
        try:
            process.wait(2.0)
        except subprocess.TimeoutExpired:
            continue
        return
