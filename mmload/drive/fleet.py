"""The driver's side of the workers: start, command, hear and end them. Imports neither locust nor gevent."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import sys
import time
from pathlib import Path

import msgspec

from mmload.drive.job import Command, Drained, Failed, Job, Ready, Sample, event_decoder
from mmload.errors import FolderError, RunInvalid
from mmload.model.records import GeneratorSample
from mmload.store.append import LineWriter
from mmload.store.layout import RunLayout
from mmload.tether import tethered

_SILENCE_S = 5.0  # a worker says something four times a second


class Fleet:
    """The workers of one run. `poll` takes in what they say; the attributes tell the state.

    samples: the last word of each worker about itself. lost: what went wrong with a worker, in sentences.
    """

    def __init__(self, jobs: list[Job], layout: RunLayout, scratch: Path) -> None:
        self.samples: dict[int, GeneratorSample] = {}
        self.longest_stall_ms = 0.0
        self.lost: list[str] = []
        self._ready: set[int] = set()
        self._drained: set[tuple[int, str]] = set()
        self._heard_ns: dict[int, int] = {}
        self._pending: dict[int, bytes] = {}
        self._selector = selectors.DefaultSelector()
        self._lines = LineWriter(layout.generator)
        self._processes = {job.worker: self._start(job, layout, scratch) for job in jobs}

    @property
    def pids(self) -> list[int]:
        return [process.pid for process in self._processes.values()]

    @property
    def is_ready(self) -> bool:
        return len(self._ready) == len(self._processes)

    def is_drained(self, segment: str) -> bool:
        """True when every worker that is left has recorded every request of the segment."""
        left = [worker for worker, process in self._processes.items() if process.poll() is None]
        return all((worker, segment) in self._drained for worker in left)

    def command(self, command: Command) -> None:
        line = msgspec.json.encode(command) + b"\n"
        for process in self._processes.values():
            with contextlib.suppress(BrokenPipeError):  # `poll` sees that the worker is gone
                assert process.stdin is not None
                process.stdin.write(line)
                process.stdin.flush()

    def poll(self, timeout_s: float) -> None:
        """Hear the workers for up to `timeout_s`. Raises FolderError when one of them could not write its records."""
        deadline = time.monotonic() + timeout_s
        left_s = timeout_s
        while left_s > 0:
            self._hear(left_s)
            left_s = deadline - time.monotonic()
        self._hear(0)  # if this process was paused, there is much to hear though its time is up
        self._lines.flush()
        self._look_for_silence()

    def close(self) -> None:
        """End the workers: by the end of their pipe, by SIGTERM after two seconds, by SIGKILL after two more."""
        for process in self._processes.values():
            with contextlib.suppress(BrokenPipeError):
                assert process.stdin is not None
                process.stdin.close()
        for process in self._processes.values():
            _end(process)
        self._selector.close()
        self._lines.close()

    def _start(self, job: Job, layout: RunLayout, scratch: Path) -> subprocess.Popen[bytes]:
        file = scratch / f"job-{job.worker}.json"
        file.write_bytes(msgspec.json.encode(job))
        command = [sys.executable, "-m", "mmload.drive.worker", str(file)]
        with layout.worker_log(job.worker).open("wb") as log:
            process = subprocess.Popen(
                tethered(command),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for the driver, which ends the workers in order
            )
        assert process.stdout is not None
        os.set_blocking(process.stdout.fileno(), False)
        self._selector.register(process.stdout.fileno(), selectors.EVENT_READ, job.worker)
        self._heard_ns[job.worker] = time.monotonic_ns()
        return process

    def _hear(self, timeout_s: float) -> None:
        for key, _ in self._selector.select(timeout_s):
            self._read(key.data, key.fd)

    def _read(self, worker: int, fd: int) -> None:
        chunk = os.read(fd, 65536)
        if not chunk:
            self._selector.unregister(fd)
            code = self._processes[worker].wait()
            self.lost.append(f"worker {worker} ended with exit code {code}: see logs/worker-{worker}.log")
            return
        self._heard_ns[worker] = time.monotonic_ns()
        *lines, self._pending[worker] = (self._pending.get(worker, b"") + chunk).split(b"\n")
        for line in lines:
            self._take(worker, line)

    def _take(self, worker: int, line: bytes) -> None:
        match event_decoder.decode(line):
            case Ready():
                self._ready.add(worker)
            case Drained(segment=segment):
                self._drained.add((worker, segment))
            case Sample(sample=sample):
                self.samples[worker] = sample
                self.longest_stall_ms = max(self.longest_stall_ms, sample.stall_ms)
                self._lines.write(sample)
            case Failed(error=error, exit_code=exit_code):
                kind = FolderError if exit_code == FolderError.exit_code else RunInvalid
                raise kind(f"worker {worker}: {error}")

    def _look_for_silence(self) -> None:
        now_ns = time.monotonic_ns()
        for worker in self._ready:
            silent_s = (now_ns - self._heard_ns[worker]) / 1e9
            sentence = f"worker {worker} said nothing for more than {_SILENCE_S:g} s"
            if silent_s > _SILENCE_S and self._processes[worker].poll() is None and sentence not in self.lost:
                self.lost.append(sentence)


def _end(process: subprocess.Popen[bytes]) -> None:
    for signal_number in (None, signal.SIGTERM, signal.SIGKILL):
        if signal_number is not None:
            process.send_signal(signal_number)
        try:
            process.wait(2.0)
        except subprocess.TimeoutExpired:
            continue
        return
