"""How a worker hears its driver and is heard: over its pipes here, over Locust's own messages from elsewhere
(remote.py)."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Protocol

import gevent.os
import msgspec

from mmload.drive.job import Command, Event, Sample, command_decoder
from mmload.model.records import AnswerRecord, RequestRecord
from mmload.store.append import LineWriter
from mmload.store.layout import RunLayout


class Link(Protocol):
    """A worker's side of the conversation that job.py draws."""

    def listen(self, take: Callable[[Command], None]) -> None:
        """Hand over each command as it comes; return when the driver wants nothing more."""

    def say(self, event: Event) -> None:
        """Tell the driver. Samples may be lost, nothing else."""

    def write(self, record: RequestRecord) -> None:
        """Put a record into the run folder, at the latest with the next `flush`. Raises FolderError."""

    def keep(self, answer: AnswerRecord) -> None:
        """The same for the text of an identity request's answer."""

    def flush(self) -> None: ...


class PipeLink:
    """Standard input and output, JSON lines both ways; records go straight into the run folder."""

    def __init__(self, layout: RunLayout) -> None:
        self._records = LineWriter(layout.requests)
        self._answers = LineWriter(layout.answers)
        self.write = self._records.write
        self.keep = self._answers.write
        for pipe in (sys.stdin, sys.stdout):
            gevent.os.make_nonblocking(pipe.fileno())

    def flush(self) -> None:
        self._records.flush()
        self._answers.flush()

    def listen(self, take: Callable[[Command], None]) -> None:
        pending = b""
        while chunk := gevent.os.nb_read(sys.stdin.fileno(), 65536):
            *lines, pending = (pending + chunk).split(b"\n")
            for line in lines:
                take(command_decoder.decode(line))

    def say(self, event: Event) -> None:
        try:
            os.write(sys.stdout.fileno(), msgspec.json.encode(event) + b"\n")
        except BlockingIOError:  # a driver that does not read
            if not isinstance(event, Sample):
                raise
