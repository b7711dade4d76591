"""What the display says is what the file of records says, however the file grew."""

import math
import time
import tracemalloc

import msgspec
import numpy as np
import pytest
from factory import Truth, requests_of
from hypothesis import given
from hypothesis import strategies as st

from mmload.model.records import RequestRecord
from mmload.session import tracker as module
from mmload.session.tracker import Glimpse, Tail, Tracker

MS = 1_000_000
ONE = next(r for r in requests_of(Truth()) if r.phase == "measure")
RECORDS = msgspec.json.Decoder(RequestRecord)


def answered(ms=60.0, ago_s=0.0, **changes):
    done_ns = time.monotonic_ns() - round(ago_s * 1e9)
    due_ns = done_ns - round(ms * MS)
    return msgspec.structs.replace(ONE, due_ns=due_ns, sent_ns=due_ns + MS, done_ns=done_ns, **changes)


def append(file, *records):
    with file.open("ab") as lines:
        lines.writelines(msgspec.json.encode(record) + b"\n" for record in records)


def view(tracker):
    return tracker.view({}, {}, None, [])


@pytest.fixture
def file(tmp_path):
    return tmp_path / "requests.jsonl"


@given(cuts=st.lists(st.integers(0, 3000)), piece_bytes=st.integers(1, 3000))
def test_every_line_is_read_once_however_the_file_grows(tmp_path_factory, cuts, piece_bytes):
    file = tmp_path_factory.mktemp("tail") / "requests.jsonl"
    records = [msgspec.structs.replace(ONE, id=str(n), error="x" * 50 * n) for n in range(5)]
    content = b"".join(msgspec.json.encode(record) + b"\n" for record in records)
    tail, found = Tail(file), []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_PIECE_BYTES", piece_bytes)
        for cut in [*sorted(cuts), len(content)]:
            file.write_bytes(content[:cut])
            found += [record for piece in tail.read(RECORDS) for record in piece]
            assert found == records[: content[:cut].count(b"\n")]


def test_a_file_that_is_not_there_yet_has_nothing_new(file):
    assert list(Tail(file).read(RECORDS)) == []


def test_the_records_of_the_identity_phase_are_given_whole_and_those_of_a_load_are_counted(file):
    tracker = Tracker(file)
    tracker.enter("identity")
    append(file, ONE)
    assert tracker.take_in() == [ONE]
    tracker.enter("measure")
    append(file, answered(), answered(outcome="timeout", status=None))
    assert tracker.take_in() == []
    assert view(tracker).outcomes == {"ok": 2, "timeout": 1}


def test_percentiles_start_afresh_with_each_stage_and_count_failures_as_infinite(file):
    tracker = Tracker(file)
    tracker.enter("warmup")
    append(file, answered(ms=900))
    tracker.take_in()
    tracker.enter("measure")
    append(file, *(answered(ms=ms) for ms in range(1, 99)), answered(outcome="timeout"), answered(outcome="timeout"))
    tracker.take_in()
    p50, p90, p99 = view(tracker).response_ms
    assert (p50, p90, p99) == (50.0, 90.0, None)
    assert view(tracker).lag_p99_ms == 1.0


def test_the_last_answer_counts_right_or_wrong_but_not_what_never_was_answered(file):
    tracker = Tracker(file)
    late, later = time.monotonic_ns() + 10**9, time.monotonic_ns() + 2 * 10**9
    append(file, msgspec.structs.replace(ONE, done_ns=late, outcome="http_error", status=500))
    append(file, msgspec.structs.replace(ONE, done_ns=later, outcome="timeout", status=None))
    tracker.take_in()
    assert tracker.last_done_ns == late


def test_the_achieved_rate_is_of_the_last_five_seconds(file):
    tracker = Tracker(file)
    tracker.enter("warmup", time.monotonic_ns() - 60 * 10**9)
    append(file, *(answered(ago_s=20) for _ in range(50)), *(answered(ago_s=1) for _ in range(200)))
    tracker.take_in()
    assert view(tracker).achieved_rps == pytest.approx(40)


def test_a_glimpse_has_the_fields_of_a_record():
    line = msgspec.json.encode(answered(outcome="timeout"))
    record, glimpse = RECORDS.decode(line), msgspec.json.decode(line, type=Glimpse)
    assert all(getattr(record, name) == getattr(glimpse, name) for name in Glimpse.__struct_fields__)


def test_a_backlog_of_fifty_thousand_records_is_taken_in_within_a_few_megabytes(file):
    append(file, *[answered(ago_s=60)] * 50_000)  # 25 MB: the driver was paused
    tracker = Tracker(file)
    tracker.enter("measure")
    tracemalloc.start()
    try:
        tracker.take_in()
        kept, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert view(tracker).outcomes == {"ok": 50_000}
    assert peak < 8e6
    assert kept < 2e6


@given(st.lists(st.floats(0, 1e6) | st.just(math.inf), min_size=1))
def test_the_display_shows_nearest_ranks(values):
    shown = module._p50_p90_p99(module.deque(values))
    ordered = np.sort(values)
    for share, found in zip((50, 90, 99), shown, strict=True):
        rank = -(-share * len(values) // 100)
        assert (math.inf if found is None else found) == ordered[rank - 1]
