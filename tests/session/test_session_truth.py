"""Runs held against a server that keeps its own account: what it planted, when it stood still, when each token left.

No test here waits for a duration to be short: they are laws of order and of number, and hold on a busy machine.
"""

import json
from collections import Counter
from itertools import pairwise
from pathlib import Path

import msgspec
import pytest
from common import exact_server
from faults import EXPECTED

from mmload.model.records import RequestRecord

pytestmark = pytest.mark.live

TEXT = ("--workload", "text", "--warmup", "0s", "--no-profile")


@pytest.fixture
def run_at(mmload, tmp_path):
    """run_at(*load, server=(delay_s, *options)) -> (summary, records by id, what the server saw)."""

    def run(*load, server):
        delay_s, *options = server
        with exact_server(tmp_path, delay_s, *options) as exact:
            command = mmload("run", *TEXT, *load, "--url", exact.url, "--json").finish()
        assert command.code in (0, 4), command.stderr  # a busy machine may make the generator late, and it says so
        summary = json.loads(command.stdout)
        lines = Path(summary["run_dir"], "requests.jsonl").read_bytes().splitlines()
        records = [msgspec.json.decode(line, type=RequestRecord) for line in lines]
        assert len({record.id for record in records}) == len(records)
        return summary, {record.id: record for record in records}, exact.wire()

    return run


def test_every_planted_fault_is_counted_once_and_under_its_kind_and_none_is_invented(run_at):
    load = ("--rate", "50", "--requests", "100", "--timeout", "2s")
    summary, records, wire = run_at(*load, server=(0.01, "--faults", ",".join(EXPECTED)))
    planted = {seen.id: seen.planted for seen in wire.seen}
    assert planted.keys() == records.keys()
    expected = EXPECTED | {"ok": "ok"}
    assert {name: record.outcome for name, record in records.items()} == {
        name: expected[kind] for name, kind in planted.items()
    }
    for name, record in records.items():
        assert (record.error is None) == (planted[name] == "ok")
        if planted[name] in ("500", "503"):
            assert record.status == int(planted[name])
    measured = Counter(expected[planted[name]] for name, record in records.items() if record.phase == "measure")
    assert summary["outcomes"] == measured
    assert measured.total() == 100
    assert set(planted.values()) == set(expected)


def test_an_open_loop_goes_on_while_the_server_stands_still_and_loses_nothing(run_at):
    load = ("--rate", "40", "--duration", "6s")
    summary, records, wire = run_at(*load, server=(0.02, "--freeze", "2", "0.8"))
    seen = wire.by_id
    assert seen.keys() == records.keys()
    assert summary["outcomes"] == {"ok": 240}
    assert len(wire.frozen) >= 3
    waited = 0
    for name, record in records.items():
        assert record.due_ns <= record.sent_ns <= seen[name].first_ns
        assert seen[name].out_ns[0] <= record.first_byte_ns <= record.done_ns
        for start_ns, end_ns in wire.frozen:
            if start_ns <= record.due_ns < end_ns and record.phase == "measure":
                assert record.done_ns >= end_ns
                waited += record.sent_ns < end_ns
    assert waited >= 20  # sent into a standstill, of some 90 that were due in one
    assert summary["response_ms"]["p99"] > 500


def test_the_times_of_tokens_are_in_order_and_none_arrives_before_it_left(run_at):
    _, records, wire = run_at("--concurrency", "20", "--duration", "2s", server=(0.02, "--tokens", "30", "0.01"))
    seen = wire.by_id
    assert seen.keys() == records.keys()
    for name, record in records.items():
        assert record.outcome == "ok", record.error
        assert len(record.token_ns) == len(seen[name].out_ns) == 30
        for arrived_ns, left_ns in zip(record.token_ns, seen[name].out_ns, strict=True):
            assert left_ns <= arrived_ns
        assert all(before <= after for before, after in pairwise(record.token_ns))
        assert record.sent_ns < record.first_token_ns == record.token_ns[0]
        assert record.token_ns[-1] <= record.done_ns


def test_one_two_and_four_workers_send_the_one_schedule(run_at):
    offsets = []
    for workers in (1, 2, 4):
        load = ("--rate", "60", "--duration", "2s", "--workers", str(workers))
        _, records, wire = run_at(*load, server=(0.01,))
        measured = [record for record in records.values() if record.phase == "measure"]
        assert {record.worker for record in measured} == set(range(workers))
        assert wire.by_id.keys() == {name for name, record in records.items() if record.sent_ns is not None}
        assert all(wire.by_id[record.id].first_ns >= record.due_ns for record in measured)
        due = sorted((record.due_ns, record.item) for record in measured)
        offsets.append([(due_ns - due[0][0], item) for due_ns, item in due])
    assert len(offsets[0]) == 120
    assert offsets[1] == offsets[0]
    assert offsets[2] == offsets[0]
