"""One run of py-spy that says when the stacks of each thread change: its Chrome trace, put onto this process's clock.

With --idle it sees threads that wait as well. Its times count from a moment which it does not tell; when it took the
last of them is seen from its output file. Of a thread that ended it says nothing but that its last stack stays.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec

from mmload.observe.pyspy import Ending, PySpy, split_thread

_OPTIONS = ("--format", "chrometrace", "--nonblocking", "--idle")


class StampedSegment(msgspec.Struct, frozen=True, kw_only=True):
    """What one run of py-spy brought home. zero_ns: of its times; error_ns: the most that this can be wrong by. end_us:
    the last of its times. threads: as they were met.

    samples: of all threads together. error: why there is no output, in a sentence, else None. errors, cpu_s: as in
    pyspy.Segment."""

    zero_ns: int = 0
    error_ns: int = 0
    end_us: int = 0
    threads: list[StampedChanges] = []
    samples: int = 0
    errors: int = 0
    error: str | None = None
    cpu_s: float = 0.0


class StampedChanges(NamedTuple):
    """tid: the kernel's thread id, None where py-spy does not know it. changes: (microseconds, stack as in py-spy's raw
    format; empty where it could not be read)."""

    tid: int | None
    name: str
    changes: list[tuple[int, str]]


class StampedRecording(PySpy):
    """A py-spy that notes when stacks change. It takes the last of its times when it has made its output file and
    before it writes there."""

    def __init__(self, pid: int, rate_hz: int, output: Path, log: Path, limit_s: float) -> None:
        output.unlink(missing_ok=True)
        self._absent_ns = time.monotonic_ns()  # when there was no output yet
        self._written_ns: int | None = None  # when it was seen that there is some, or that it has ended
        super().__init__(pid, (*_OPTIONS, "--rate", str(rate_hz)), output, log, limit_s)

    def ended(self) -> bool:
        """The oftener this is asked, the better its clock is known."""
        asked_ns, ended = time.monotonic_ns(), super().ended()
        try:
            written = self._output.stat().st_size > 0
        except OSError:
            self._absent_ns, written = asked_ns, False
        if (ended or written) and self._written_ns is None:
            self._written_ns = time.monotonic_ns()
        return ended

    def collect(self) -> StampedSegment:
        """What it found: call `interrupt` first, and this once. Takes the output file away."""
        ending = self.end()
        if ending.error is not None:
            return StampedSegment(error=ending.error, cpu_s=ending.cpu_s)
        try:
            threads, end_us = parse_chrome_trace(self._output.read_bytes())
            self._output.unlink()
        except OSError as error:
            return StampedSegment(error=f"py-spy's output can't be read ({error.strerror})", cpu_s=ending.cpu_s)
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            return StampedSegment(error=f"py-spy's output is damaged ({error})", cpu_s=ending.cpu_s)
        return self._dated(threads, end_us, ending)

    def _dated(self, threads: list[StampedChanges], end_us: int, ending: Ending) -> StampedSegment:
        latest_ns = (self._written_ns or time.monotonic_ns()) - 1000 * end_us
        earliest_ns = min(latest_ns, self._absent_ns - 1000 * end_us)
        return StampedSegment(
            zero_ns=(earliest_ns + latest_ns) // 2,
            error_ns=(latest_ns - earliest_ns + 1) // 2,
            end_us=end_us,
            threads=threads,
            samples=ending.samples,
            errors=ending.errors,
            cpu_s=ending.cpu_s,
        )


class _Place(msgspec.Struct, frozen=True, gc=False):
    filename: str = ""
    line: int | None = None


class _Event(msgspec.Struct, frozen=True):
    """A frame that begins (ph B) or ends (E); what else there may be is not of threads."""

    ph: str
    ts: int
    tid: int
    name: str
    args: _Place = _Place()

    @property
    def frame(self) -> str:
        return f"{self.name} ({self.args.filename}:{self.args.line or 0})"


def parse_chrome_trace(data: bytes) -> tuple[list[StampedChanges], int]:
    """The threads that were in any stack, and the last of the times. Raises msgspec.MsgspecError or
    UnicodeDecodeError."""
    events = [event for event in msgspec.json.decode(data, type=list[_Event]) if event.ph in ("B", "E")]
    by_thread: dict[int, list[_Event]] = {}
    for event in events:
        by_thread.setdefault(event.tid, []).append(event)
    end_us = max((event.ts for event in events), default=0)
    return [thread for own in by_thread.values() if (thread := _thread(own, end_us)).changes], end_us


def _thread(events: list[_Event], end_us: int) -> StampedChanges:
    """py-spy lets all frames end at the end, which is no change."""
    whose = split_thread(events[0].name)
    changes = [(t_us, stack) for t_us, stack in _stacks(events) if t_us < end_us]
    return StampedChanges(whose.tid, whose.name, changes)


def _stacks(events: list[_Event]) -> Iterator[tuple[int, str]]:
    """The stack after the events of each time, without the frame that names the thread."""
    frames: list[str] = []
    for place, event in enumerate(events):
        if event.ph == "B":
            frames.append(event.frame)
        elif frames:
            frames.pop()
        if place + 1 == len(events) or events[place + 1].ts != event.ts:
            yield event.ts, ";".join(frames[1:])
