"""The dispatchers under a clock of the test's own: no time passes, no socket is opened."""

import time

import gevent
import gevent.event
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmload.drive.clock import precise_clock
from mmload.drive.dispatch import ClosedLoop, Gauge, Sender, Stopped, send_open, send_serially
from mmload.drive.exchange import Due
from mmload.drive.job import Closed, share
from mmload.model.records import RequestRecord


def a_due(number, due_ns=0, phase="measure"):
    return Due(f"r{number}", phase, due_ns, f"item-{number}", "text", memoryview(b"{}"))


def a_record(due, outcome="ok"):
    return RequestRecord(
        id=due.id, phase=due.phase, item=due.item, modality="text", due_ns=due.due_ns, sent_ns=1, outcome=outcome
    )


class Share:
    def __init__(self, offsets_ns):
        self.offsets_ns = offsets_ns

    def __len__(self):
        return len(self.offsets_ns)

    def due(self, number, start_ns):
        return a_due(number, start_ns + self.offsets_ns[number])


class FakeClock:
    """Notes what it was asked to wait for; may end the segment at the n-th wait."""

    def __init__(self, stop_at=None):
        self.waited_ns = []
        self.stop_at = stop_at

    def sleep_until(self, due_ns):
        if len(self.waited_ns) == self.stop_at:
            raise Stopped("enough")
        self.waited_ns.append(due_ns)

    def close(self):
        pass


def a_sender(exchange=a_record, limit=1000):
    records = []
    return Sender(exchange, records.append, Gauge(), worker=3, in_flight_limit=limit), records


FAR_NS = time.monotonic_ns() + 10**15


@given(st.lists(st.integers(0, 10**9), max_size=30).map(sorted))
def test_an_open_loop_waits_for_each_due_time_and_sends_each_request_once(offsets):
    sender, records = a_sender()
    clock = FakeClock()
    send_open(Share(offsets), FAR_NS, clock, sender)
    assert clock.waited_ns == [FAR_NS + offset for offset in offsets]
    assert sorted(record.id for record in records) == sorted(f"r{n}" for n in range(len(offsets)))
    assert sender.gauge.in_flight == 0


@given(st.integers(0, 20), st.integers(1, 20))
def test_whatever_ends_an_open_loop_every_request_has_one_record(stop_at, more):
    total = stop_at + more
    sender, records = a_sender()
    send_open(Share([0] * total), FAR_NS, FakeClock(stop_at), sender)
    assert len({record.id for record in records}) == len(records) == total
    dropped = [record for record in records if record.outcome == "dropped"]
    assert {record.id for record in dropped} == {f"r{n}" for n in range(stop_at, total)}
    assert {(record.error, record.sent_ns, record.worker) for record in dropped} == {("enough", None, 3)}


def test_a_dispatcher_that_is_behind_still_lets_requests_go_out():
    sent = []
    sender, _ = a_sender(lambda due: (sent.append(due.id), a_record(due))[1])
    order = []

    class Behind(Share):
        def due(self, number, start_ns):
            order.append(len(sent))
            return super().due(number, start_ns)

    send_open(Behind([0] * 10), 0, FakeClock(), sender)
    assert order[-1] >= 8


def test_a_request_too_many_is_dropped_and_says_why():
    gate = gevent.event.Event()
    sender, records = a_sender(lambda due: (gate.wait(), a_record(due))[1], limit=2)
    for number in range(3):
        sender.launch(a_due(number))
    assert [record.outcome for record in records] == ["dropped"]
    assert "2 requests in flight" in records[0].error
    gate.set()
    sender.drain()
    assert len(records) == 3


def test_serial_requests_do_not_overlap():
    running = []

    def exchange(due):
        assert not running
        running.append(due.id)
        gevent.sleep(0)
        running.remove(due.id)
        return a_record(due)

    sender, records = a_sender(exchange)
    send_serially((a_due(number) for number in range(4)), sender)
    assert [record.id for record in records] == ["r0", "r1", "r2", "r3"]


def closed(requests=None, phases=(("warmup", 0.0), ("measure", 1e9)), concurrency=3):
    sender, records = a_sender(lambda due: (gevent.sleep(0), a_record(due))[1])
    command = Closed(
        segment="main", start_ns=time.monotonic_ns(), concurrency=concurrency, phases=list(phases), requests=requests
    )
    numbers = iter(range(10**9))
    loop = ClosedLoop(command, concurrency, requests, sender)
    loop.run(lambda phase, due_ns: a_due(next(numbers), due_ns, phase), FakeClock())
    return records


def test_a_slot_falls_free_when_its_answer_came_however_late_that_was_read():
    dues = []

    def exchange(due):
        dues.append(due.due_ns)
        gevent.sleep(0.01)  # read ten milliseconds after it came
        return msgspec.structs.replace(a_record(due), done_ns=due.due_ns + 1000)

    sender, _ = a_sender(exchange)
    start_ns = time.monotonic_ns()
    command = Closed(segment="main", start_ns=start_ns, concurrency=1, phases=[("measure", 1e9)], requests=4)
    ClosedLoop(command, 1, 4, sender).run(lambda phase, due_ns: a_due(len(dues), due_ns, phase), FakeClock())
    assert dues == [start_ns + 1000 * number for number in range(4)]


@pytest.mark.parametrize("requests", [1, 2, 3, 50])
def test_a_counted_closed_loop_sends_exactly_that_many(requests):
    assert len(closed(requests)) == requests


def test_the_count_does_not_hold_for_the_warmup():
    records = closed(5, phases=(("warmup", 0.02), ("measure", 1e9)))
    phases = [record.phase for record in records]
    assert phases.count("measure") == 5
    assert phases.count("warmup") > 0


@given(st.integers(0, 1000), st.integers(1, 16))
def test_shares_add_up(total, workers):
    shares = [share(total, worker, workers) for worker in range(workers)]
    assert sum(shares) == total
    assert max(shares) - min(shares) <= 1


def test_the_clock_never_wakes_early_and_does_not_wait_for_the_past():
    clock = precise_clock()
    for ahead_ns in (-1_000_000, 0, 200_000, 1_500_000, 7_300_000):
        due_ns = time.monotonic_ns() + ahead_ns
        clock.sleep_until(due_ns)
        assert time.monotonic_ns() >= due_ns
    clock.close()


def test_a_sleeping_clock_can_be_interrupted_and_used_again():
    clock = precise_clock()
    sleeper = gevent.spawn(clock.sleep_until, time.monotonic_ns() + 10**12)
    gevent.sleep(0)
    sleeper.kill(Stopped("enough"), block=True)
    assert isinstance(sleeper.exception, Stopped)
    due_ns = time.monotonic_ns() + 1_000_000
    clock.sleep_until(due_ns)
    assert time.monotonic_ns() >= due_ns
    clock.close()
