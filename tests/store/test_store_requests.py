"""The table of requests says of each what its record says, whatever the order of the records."""

import tracemalloc
from random import Random

import msgspec
import numpy as np
import pytest
from factory import Truth, make_run, requests_of
from hypothesis import given
from hypothesis import strategies as st

from mmload.errors import FolderError
from mmload.model.records import OUTCOMES, RequestRecord
from mmload.store.read import Run
from mmload.store.requests import ABSENT, MODALITIES, NO_ERROR, PHASES, UNSAID, RequestLine, table_of

ONE = next(r for r in requests_of(Truth()) if r.phase == "measure")
TIMES = st.integers(-(2**63) + 1, 2**63 - 1)
COUNTS = st.none() | st.integers(0, 2**31 - 1)
RECORDS = st.builds(
    RequestRecord,
    id=st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=6),
    phase=st.sampled_from(PHASES),
    item=st.sampled_from("abc"),
    modality=st.sampled_from(MODALITIES),
    due_ns=st.integers(0, 3) | TIMES,  # often the same
    sent_ns=st.none() | TIMES,
    connect_ns=TIMES,
    first_token_ns=st.none() | TIMES,
    done_ns=st.none() | TIMES,
    outcome=st.sampled_from(OUTCOMES),
    error=st.none() | st.sampled_from(["reset", "HTTP 500"]),
    prompt_tokens=COUNTS,
    completion_tokens=COUNTS,
    cached_tokens=COUNTS,
    token_ns=st.lists(TIMES, max_size=3),
    worker=st.integers(0, 3),
)
FIELDS = (
    "id",
    "phase",
    "modality",
    "outcome",
    "due_ns",
    "sent_ns",
    "connect_ns",
    "first_token_ns",
    "done_ns",
    "worker",
)


def in_order(records):
    return sorted(records, key=lambda r: (PHASES.index(r.phase), r.due_ns, r.id.encode()))


def told(record):
    counts = record.prompt_tokens, record.completion_tokens, record.cached_tokens
    return (*(getattr(record, field) for field in FIELDS), *counts, record.error, record.token_ns)


def read_back(table):
    """What a table says of each of its requests, in the words of the records."""

    def known(value, nothing):
        return None if value == nothing else int(value)

    for n in range(len(table)):
        first, end = table.token_bounds[n : n + 2]
        yield (
            table.id[n].decode(),
            PHASES[table.phase[n]],
            MODALITIES[table.modality[n]],
            OUTCOMES[table.outcome[n]],
            int(table.due_ns[n]),
            known(table.sent_ns[n], ABSENT),
            int(table.connect_ns[n]),
            known(table.first_token_ns[n], ABSENT),
            known(table.done_ns[n], ABSENT),
            int(table.worker[n]),
            known(table.prompt_tokens[n], UNSAID),
            known(table.completion_tokens[n], UNSAID),
            known(table.cached_tokens[n], UNSAID),
            None if table.error[n] == NO_ERROR else table.errors[table.error[n]],
            table.token_ns[first:end].tolist(),
        )


@given(st.lists(RECORDS, max_size=12, unique_by=lambda r: (r.phase, r.due_ns, r.id)))
def test_a_table_says_of_each_request_what_its_record_says(records):
    assert list(read_back(table_of(records))) == [told(record) for record in in_order(records)]


@given(st.lists(RECORDS, max_size=12, unique_by=lambda r: (r.phase, r.due_ns, r.id)), st.randoms())
def test_a_table_does_not_depend_on_the_order_of_the_records(records, rng: Random):
    shuffled = rng.sample(records, len(records))
    one, other = table_of(records), table_of(shuffled)
    assert list(read_back(one)) == list(read_back(other))
    assert one.identity == other.identity == [r for r in in_order(records) if r.phase == "identity"]


@given(
    st.lists(RECORDS, max_size=12, unique_by=lambda r: (r.phase, r.due_ns, r.id)),
    st.integers(-14, 14),
    st.integers(-14, 14),
)
def test_a_part_of_a_table_says_the_same_as_the_whole(records, start, stop):
    table, ordered = table_of(records), in_order(records)
    part, whole = table[start:stop], list(read_back(table))
    assert list(read_back(part)) == whole[start:stop]
    assert part.tokens.tolist() == [t_ns for record in ordered[start:stop] for t_ns in record.token_ns]
    assert part.identity == [r for r in ordered[start:stop] if r.phase == "identity"]
    for phase in PHASES:
        assert list(read_back(table.of_phase(phase))) == [row for row in whole if row[1] == phase]


def test_pieces_together_are_the_table():
    due_ns = np.random.default_rng(1).permutation(150_000).tolist()
    table = table_of(msgspec.structs.replace(ONE, due_ns=t_ns, token_ns=[t_ns] * (t_ns % 3)) for t_ns in due_ns)
    pieces = list(table.parts())
    assert len(pieces) == 3
    assert np.concatenate([piece.due_ns for piece in pieces]).tolist() == list(range(150_000))
    assert np.concatenate([piece.tokens for piece in pieces]).tolist() == [
        t for t in range(150_000) for _ in range(t % 3)
    ]


def test_who_has_an_error_is_found_by_its_text():
    errors = [None, "reset", "HTTP 500", "reset"]
    table = table_of(msgspec.structs.replace(ONE, due_ns=n, error=error) for n, error in enumerate(errors))
    assert table.has_error("reset").tolist() == [False, True, False, True]
    assert table.has_error(None).tolist() == [True, False, False, False]
    assert not table.has_error("timeout").any()


@pytest.mark.parametrize("tokens", [-1, -81, 2**31, 10**30])
def test_a_number_of_tokens_that_can_not_be_is_as_good_as_unsaid(tokens):
    table = table_of(
        [msgspec.structs.replace(ONE, prompt_tokens=tokens, completion_tokens=tokens, cached_tokens=tokens)]
    )
    assert table.prompt_tokens[0] == table.completion_tokens[0] == table.cached_tokens[0] == UNSAID


@pytest.mark.parametrize(
    "damage",
    [
        b"{oops\n",
        b"[]\n",
        b'{"id": "x"}\n',
        msgspec.json.encode(ONE).replace(b'"ok"', b'"fine"') + b"\n",
        msgspec.json.encode(ONE).replace(b'"bytes_up":133000', b'"bytes_up":"many"') + b"\n",
        msgspec.json.encode(msgspec.structs.replace(ONE, done_ns=2**63 - 1)).replace(b"5807,", b"5808,") + b"\n",
        msgspec.json.encode(msgspec.structs.replace(ONE, worker=2**31)) + b"\n",
        msgspec.json.encode(msgspec.structs.replace(ONE, id="x" * 65)) + b"\n",
    ],
)
def test_a_damaged_record_is_named_with_its_line(tmp_path, damage):
    run = make_run(tmp_path, duration_s=5)
    whole = run.layout.requests.read_bytes()
    run.layout.requests.write_bytes(whole + damage + whole)
    lines = whole.count(b"\n")
    with pytest.raises(FolderError, match=rf"requests.jsonl line {lines + 1} is damaged"):
        _ = Run(run.layout.path).requests


def test_a_record_that_a_kill_cut_short_is_left_out(tmp_path):
    run = make_run(tmp_path, duration_s=5)
    whole = run.layout.requests.read_bytes()
    run.layout.requests.write_bytes(whole[:-9])
    assert len(Run(run.layout.path).requests) == whole.count(b"\n") - 1


def test_a_run_sealed_again_keeps_its_requests_and_takes_the_new_manifest(tmp_path):
    run = make_run(tmp_path, duration_s=5)
    manifest = msgspec.structs.replace(run.manifest, validity=["it was late"])
    sealed = run.sealed(manifest)
    assert (sealed.requests is run.requests, sealed.manifest.validity) == (True, ["it was late"])


def test_a_hundred_thousand_records_take_less_than_two_hundred_bytes_each_while_they_are_read():
    line = msgspec.json.Decoder(RequestLine)
    raw = msgspec.json.encode(msgspec.structs.replace(ONE, token_ns=ONE.token_ns[:1]))
    tracemalloc.start()
    try:
        table = table_of(line.decode(raw) for _ in range(100_000))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(table) == 100_000
    assert peak < 100_000 * 200
