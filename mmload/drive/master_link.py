"""A worker's link to a driver elsewhere: Locust messages (joining.py), and two clocks."""

from __future__ import annotations

import sys
from collections.abc import Callable

import msgspec
from gevent.queue import Queue
from locust.runners import WorkerRunner

from mmload.clocks import Reading
from mmload.drive import joining
from mmload.drive.driver_clock import command_here, record_there
from mmload.drive.job import Closed, Command, Drained, Event, Identity, Open, Ready, Sample, command_decoder
from mmload.drive.joining import body, send
from mmload.model.records import AnswerRecord, GeneratorSample, RequestRecord

_BATCH_BYTES = 32768


class MasterLink:
    """The worker's link to a driver elsewhere. Everything on the worker's side is on this host's clock."""

    def __init__(self, runner: WorkerRunner, read_clock: Callable[[], Reading]) -> None:
        self._runner = runner
        self._read_clock = read_clock
        self._used = read_clock()
        self._encoder = msgspec.json.Encoder()
        self._pending = bytearray()
        self._sample: GeneratorSample | None = None
        self._commands: Queue[Command] = Queue()
        runner.register_message(joining.COMMAND, lambda msg, **_: self._commands.put(command_decoder.decode(body(msg))))

    def listen(self, take: Callable[[Command], None]) -> None:
        for command in self._commands:
            if isinstance(command, Identity | Open | Closed):
                self._used = self._read_clock()
                tell(f"sending {command.segment}")
            take(command_here(command, self._used.offset_ns))

    def end(self) -> None:
        self._commands.put(StopIteration)

    def say(self, event: Event) -> None:
        if isinstance(event, Sample):
            self._sample = sample = event.sample
            event = Sample(msgspec.structs.replace(sample, t_ns=sample.t_ns + self._used.offset_ns))
        elif isinstance(event, Ready):
            event = msgspec.structs.replace(event, clock_error_ns=self._used.error_ns)
        elif isinstance(event, Drained):
            drift_ns = self._read_clock().offset_ns - self._used.offset_ns
            event = msgspec.structs.replace(event, clock_drift_ns=drift_ns)
            counts = f": {self._sample.sent:,} requests sent so far, {self._sample.done:,} done" if self._sample else ""
            tell(f"{event.segment} is over{counts}")
        send(self._runner, joining.EVENT, event)

    def write(self, record: RequestRecord) -> None:
        self._pending += self._encoder.encode(record_there(record, self._used.offset_ns))
        self._pending += b"\n"
        if len(self._pending) >= _BATCH_BYTES:
            self.flush()

    def keep(self, answer: AnswerRecord) -> None:
        send(self._runner, joining.ANSWERS, self._encoder.encode(answer) + b"\n")

    def flush(self) -> None:
        if self._pending:
            pending, self._pending = bytes(self._pending), bytearray()
            send(self._runner, joining.RECORDS, pending)


def tell(line: str) -> None:
    """To the person who started the worker."""
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
