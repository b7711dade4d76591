"""What the live display shows, read off the run folder as it grows and off the workers' last words."""

from __future__ import annotations

import math
import os
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import msgspec
import numpy as np

from mmload.model.live import LiveView
from mmload.model.records import GeneratorSample, RequestRecord

_RATE_WINDOW_NS = 5_000_000_000
_KEPT = 10_000  # what the display sorts ten times a second; the summary is made from every record
_PIECE_BYTES = 1 << 20  # of the file at once: a driver that was paused has much to catch up on

Line = TypeVar("Line", bound=msgspec.Struct)


class Glimpse(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The fields of a RequestRecord that the display is made of; to decode the others would cost twice as much."""

    due_ns: int
    sent_ns: int | None
    connect_ns: int
    done_ns: int | None
    status: int | None
    outcome: str


_glimpses = msgspec.json.Decoder(Glimpse)
_records = msgspec.json.Decoder(RequestRecord)


class Tail:
    """What was appended to a .jsonl file since the last look."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._offset = 0

    def read(self, decoder: msgspec.json.Decoder[Line]) -> Iterator[list[Line]]:
        """The new lines, a piece of the file at a time; a line without its end is left for later."""
        try:
            file = self._path.open("rb")
        except FileNotFoundError:
            return
        with file:
            end = os.fstat(file.fileno()).st_size
            while self._offset < end:
                file.seek(self._offset)
                data = file.read(_PIECE_BYTES)
                while b"\n" not in data and (more := file.read(_PIECE_BYTES)):
                    data += more
                whole = data[: data.rfind(b"\n") + 1]
                if not whole:
                    return
                self._offset += len(whole)
                yield decoder.decode_lines(whole)


class Tracker:
    """Follows one run. `last_done_ns`: when the server last completed an answer, right or wrong."""

    def __init__(self, requests: Path) -> None:
        self._tail = Tail(requests)
        self._stage: tuple[str, int, float | None] = ("server", time.monotonic_ns(), None)
        self._response_ms: deque[float] = deque(maxlen=_KEPT)
        self._lags_ms: deque[float] = deque(maxlen=_KEPT)
        self._recent: deque[tuple[int, int]] = deque()
        self._ok_recent: deque[int] = deque()
        self._load_since_ns = time.monotonic_ns()
        self.outcomes: Counter[str] = Counter()
        self.last_done_ns = time.monotonic_ns()

    @property
    def stage(self) -> str:
        return self._stage[0]

    def enter(self, stage: str, start_ns: int | None = None, length_s: float | None = None) -> None:
        """A new stage begins; the percentiles start afresh."""
        self._stage = (stage, start_ns or time.monotonic_ns(), length_s)
        self._response_ms.clear()
        if stage in ("identity", "warmup", "profile"):  # the load starts anew; it goes on from warmup to measure
            self._load_since_ns = self._stage[1]
            self._recent.clear()
            self._ok_recent.clear()

    def take_in(self) -> list[RequestRecord]:
        """Read what is new. Returns the records in the stage 'identity' only: those of a load are too many."""
        if self._stage[0] != "identity":
            for glimpses in self._tail.read(_glimpses):
                self._count(glimpses)
            return []
        records = [record for piece in self._tail.read(_records) for record in piece]
        self._count(records)
        return records

    def _count(self, seen: Sequence[Glimpse] | Sequence[RequestRecord]) -> None:
        self.outcomes.update(one.outcome for one in seen)
        for one in seen:
            done_ns = one.done_ns
            if done_ns is not None and one.status is not None and done_ns > self.last_done_ns:
                self.last_done_ns = done_ns
            if one.outcome == "ok" and done_ns is not None:
                self._ok_recent.append(done_ns)
                self._response_ms.append((done_ns - one.due_ns) / 1e6)
            else:
                self._response_ms.append(math.inf)
            if one.sent_ns is not None:
                self._lags_ms.append((one.sent_ns - one.due_ns - one.connect_ns) / 1e6)
        self._forget(time.monotonic_ns())

    def view(
        self,
        samples: dict[int, GeneratorSample],
        cpu_pct: dict[str, float],
        left_s: float | None,
        warnings: list[str],
    ) -> LiveView:
        now_ns = time.monotonic_ns()
        stage, start_ns, length_s = self._stage
        due = sum(sample.due for sample in samples.values())
        return LiveView(
            stage=stage,
            stage_elapsed_s=max(0.0, (now_ns - start_ns) / 1e9),
            stage_length_s=length_s,
            left_s=left_s,
            offered_rps=self._offered(now_ns, due),
            achieved_rps=self._achieved(now_ns),
            scheduled=due,
            sent=sum(sample.sent for sample in samples.values()),
            done=sum(sample.done for sample in samples.values()),
            in_flight=sum(sample.in_flight for sample in samples.values()),
            response_ms=_p50_p90_p99(self._response_ms),
            outcomes=dict(self.outcomes),
            cpu_pct=cpu_pct,
            lag_p99_ms=_p50_p90_p99(self._lags_ms)[2],
            stall_ms=max((sample.stall_ms for sample in samples.values()), default=0.0),
            warnings=warnings,
        )

    def _offered(self, now_ns: int, due: int) -> float:
        self._recent.append((now_ns, due))
        while now_ns - self._recent[0][0] > _RATE_WINDOW_NS:
            self._recent.popleft()
        _, due_then = self._recent[0]
        return (due - due_then) / (self._rate_span_ns(now_ns) / 1e9)

    def _forget(self, now_ns: int) -> None:
        while self._ok_recent and now_ns - self._ok_recent[0] > _RATE_WINDOW_NS:
            self._ok_recent.popleft()

    def _achieved(self, now_ns: int) -> float:
        self._forget(now_ns)
        return len(self._ok_recent) / (self._rate_span_ns(now_ns) / 1e9)

    def _rate_span_ns(self, now_ns: int) -> int:
        """Five seconds, or less while the load is younger than that; never so little that a rate means nothing."""
        return max(1_000_000_000, min(_RATE_WINDOW_NS, now_ns - self._load_since_ns))


def _p50_p90_p99(values: deque[float]) -> tuple[float | None, float | None, float | None]:
    """Nearest-rank percentiles; None where infinite or without values."""
    if not values:
        return None, None, None
    ordered = np.sort(np.fromiter(values, float, len(values)))
    at = [float(ordered[max(0, math.ceil(p * len(ordered)) - 1)]) for p in (0.50, 0.90, 0.99)]
    p50, p90, p99 = (None if math.isinf(value) else value for value in at)
    return p50, p90, p99
