"""When requests are sent: open loop by the schedule, closed loop by free slots, identity one at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Protocol, cast

import gevent

from mmload.drive.clock import Clock
from mmload.drive.couriers import Couriers
from mmload.drive.exchange import Due
from mmload.drive.job import Closed
from mmload.model.records import RequestPhase, RequestRecord

_PAUSE_AFTER_REFUSAL_S = 0.05  # a slot that can't even connect would otherwise spin


class Stopped(Exception):
    """Thrown into a dispatcher when its segment is to end at once; says why."""


class Gauge:
    """What the live display and the generator's own samples show: requests due, sent and done."""

    def __init__(self) -> None:
        self.due = self.sent = self.done = 0

    @property
    def in_flight(self) -> int:
        return self.sent - self.done


class Sender:
    """Runs exchanges, hands over their records, and knows what is in flight."""

    def __init__(
        self,
        exchange: Callable[[Due], RequestRecord],
        record: Callable[[RequestRecord], None],
        gauge: Gauge,
        worker: int,
        in_flight_limit: int,
    ) -> None:
        self.gauge = gauge
        self.is_cut_off = False
        self._exchange = exchange
        self._record = record
        self._worker = worker
        self._limit = in_flight_limit
        self._couriers = Couriers()

    def launch(self, due: Due) -> None:
        """Send at the loop's next turn; returns at once."""
        if self.gauge.in_flight >= self._limit:
            self.drop(due, f"the generator had {self._limit} requests in flight, its limit")
            return
        self.gauge.due += 1
        self.gauge.sent += 1
        self._couriers.run(partial(self._send, due))

    def send(self, due: Due) -> RequestRecord:
        """Send from the calling greenlet and wait for the record."""
        self.gauge.due += 1
        self.gauge.sent += 1
        return self._send(due)

    def drop(self, due: Due, reason: str) -> None:
        """Record a request that was never sent."""
        self.gauge.due += 1
        self._record(
            RequestRecord(
                id=due.id,
                phase=due.phase,
                item=due.item,
                modality=due.modality,
                due_ns=due.due_ns,
                sent_ns=None,
                outcome="dropped",
                error=reason,
                worker=self._worker,
            )
        )

    def spawn(self, slot: Callable[[], None]) -> None:
        """Run what sends one request after another; `drain` waits for it and `cut_off` ends it."""
        self._couriers.run(slot)

    def drain(self) -> None:
        """Wait until nothing is in flight (the timeout bounds each exchange)."""
        self._couriers.join()

    def cut_off(self) -> None:
        """End what is in flight; each exchange still makes its record."""
        self.is_cut_off = True
        self._couriers.kill()

    def _send(self, due: Due) -> RequestRecord:
        record = self._exchange(due)
        self.gauge.done += 1
        self._record(record)
        return record


class OpenShare(Protocol):
    """One worker's part of a schedule, in order of due time."""

    def __len__(self) -> int: ...

    def due(self, number: int, start_ns: int) -> Due:
        """The request at `number`, its offset counted from `start_ns`."""


def send_open(share: OpenShare, start_ns: int, clock: Clock, sender: Sender) -> None:
    """Send each request when it is due, whatever became of those before. If thrown Stopped, the rest is dropped."""
    number = 0
    try:
        for number in range(len(share)):
            due = share.due(number, start_ns)
            if due.due_ns > time.monotonic_ns():
                clock.sleep_until(due.due_ns)
            else:
                gevent.sleep(0)  # behind: let what was launched go out before launching more
            sender.launch(due)
        number = len(share)
        sender.drain()
    except Stopped as stopped:
        sender.cut_off()
        for left in range(number, len(share)):
            sender.drop(share.due(left, start_ns), str(stopped))


def send_serially(requests: Iterator[Due], sender: Sender) -> None:
    """One at a time; a request is due when the one before is done."""
    try:
        for due in requests:
            sender.launch(due)
            sender.drain()
    except Stopped:
        sender.cut_off()


class ClosedLoop:
    """`concurrency` slots; a slot's next request is due when its last one is done."""

    def __init__(self, command: Closed, concurrency: int, requests: int | None, sender: Sender) -> None:
        self._command = command
        self._concurrency = concurrency
        self._left = requests
        self._sender = sender

    def run(self, next_due: Callable[[RequestPhase, int], Due], clock: Clock) -> None:
        """next_due(phase, due_ns) makes the next request. Returns when the last phase is over and all is drained."""

        def slot() -> None:
            free_ns = self._command.start_ns
            while (phase := self._take(free_ns)) is not None:
                record = self._sender.send(next_due(phase, free_ns))
                if record.sent_ns is None:
                    gevent.sleep(_PAUSE_AFTER_REFUSAL_S)
                free_ns = time.monotonic_ns() if record.sent_ns is None else record.done_ns or time.monotonic_ns()

        try:
            clock.sleep_until(self._command.start_ns)
            for _ in range(self._concurrency):
                self._sender.spawn(slot)
            self._sender.drain()
        except Stopped:
            self._sender.cut_off()

    def _take(self, now_ns: int) -> RequestPhase | None:
        """The phase that a request due now belongs to; None when the segment is over."""
        if self._sender.is_cut_off:
            return None
        phase = self._phase_at(now_ns)
        if self._left is None or phase not in (None, self._command.phases[-1][0]):
            return phase
        if self._left == 0:
            return None
        self._left -= 1
        return cast("RequestPhase", self._command.phases[-1][0])

    def _phase_at(self, now_ns: int) -> RequestPhase | None:
        elapsed_s = (now_ns - self._command.start_ns) / 1e9
        for name, length_s in self._command.phases:
            if elapsed_s < length_s:
                return cast("RequestPhase", name)
            elapsed_s -= length_s
        return None
