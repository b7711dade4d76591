"""Another host's clock, translated."""

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from mmload.clocks import OtherClock, Reading
from mmload.drive.driver_clock import command_here, record_there
from mmload.drive.job import Closed, Identity, Open, Stop
from mmload.model.records import RequestRecord

OFFSET = st.integers(-(10**15), 10**15)
TRIP = st.tuples(st.integers(0, 10**9), st.integers(0, 10**9), st.integers(0, 10**15))  # there, back, sent


@given(OFFSET, st.lists(TRIP, min_size=1, max_size=40))
def test_the_offset_is_within_its_error_however_uneven_the_trips(offset_ns, trips):
    clock = OtherClock()
    for there_ns, back_ns, sent_ns in trips:
        clock.take(sent_ns, sent_ns + there_ns + offset_ns, sent_ns + there_ns + back_ns)
    reading = clock.read()
    assert abs(reading.offset_ns - offset_ns) <= reading.error_ns + 1
    assert reading.error_ns <= min((there + back + 1) // 2 for there, back, _ in trips[-32:])


def test_an_old_reading_is_forgotten_though_it_was_better():
    clock = OtherClock()
    clock.take(0, 100, 2)
    for _ in range(32):
        clock.take(1000, 2000, 1100)
    assert clock.read() == Reading(950, 50)


def a_record(**times):
    return RequestRecord(id="r", phase="measure", item="i", modality="text", outcome="ok", **times)


def test_every_time_of_a_record_moves_and_nothing_else():
    record = a_record(due_ns=10, sent_ns=11, connect_ns=3, first_byte_ns=12, first_token_ns=13, done_ns=15)
    record = msgspec.structs.replace(record, token_ns=[13, 14])
    moved = record_there(record, 100)
    expected = a_record(due_ns=110, sent_ns=111, connect_ns=3, first_byte_ns=112, first_token_ns=113, done_ns=115)
    assert moved == msgspec.structs.replace(expected, token_ns=[113, 114])


def test_times_that_never_came_stay_absent():
    moved = record_there(a_record(due_ns=10, sent_ns=None), 100)
    assert (moved.due_ns, moved.sent_ns, moved.first_byte_ns, moved.done_ns) == (110, None, None, None)


@given(OFFSET, st.integers(0, 10**15))
def test_a_command_and_a_record_move_opposite_ways(offset_ns, start_ns):
    here = command_here(Open(segment="main", start_ns=start_ns), offset_ns)
    assert record_there(a_record(due_ns=here.start_ns, sent_ns=None), offset_ns).due_ns == start_ns


def test_commands_without_a_time_pass_unchanged():
    for command in (Identity(), Stop("enough")):
        assert command_here(command, 100) is command
    closed = Closed(segment="main", start_ns=500, concurrency=1, phases=[("measure", 1.0)])
    assert command_here(closed, 100).start_ns == 400
