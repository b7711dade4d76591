"""Figures from columns are those of the definitions, applied to one record after the other."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmload.analyse import latency, load
from mmload.analyse.load import Window
from mmload.model.records import OUTCOMES, RequestRecord
from mmload.store import requests
from mmload.store.requests import PHASES, table_of

WINDOW = Window(100, 200, complete=True)
TIMES = st.integers(0, 300) | st.sampled_from([WINDOW.start_ns, WINDOW.end_ns])
RECORDS = st.lists(
    st.builds(
        RequestRecord,
        id=st.uuids().map(str),
        phase=st.sampled_from(PHASES),
        item=st.just("a"),
        modality=st.sampled_from(["image", "text"]),
        due_ns=TIMES,
        sent_ns=st.none() | TIMES,
        first_token_ns=st.none() | st.integers(1, 300),
        done_ns=st.none() | TIMES,
        outcome=st.sampled_from(["ok", "ok", "ok", *OUTCOMES]),
        prompt_tokens=st.none() | st.integers(0, 90),
        completion_tokens=st.none() | st.integers(0, 9),
        cached_tokens=st.none() | st.integers(0, 90),
        token_ns=st.lists(TIMES, max_size=4).map(sorted),
    ),
    max_size=12,
    unique_by=lambda record: record.due_ns,
)


@pytest.fixture(autouse=True, scope="module")
def small_pieces():
    """A table of a dozen requests has several parts, as one of a million has."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(requests, "_PART", 3)
        yield


def since(start_ns, end_ns):
    return math.inf if start_ns is None or end_ns is None else (end_ns - start_ns) / 1e6


def measured(records):
    found = [record for record in records if record.phase == "measure" and record.due_ns <= WINDOW.end_ns]
    return sorted(found, key=lambda record: record.due_ns)


def is_within(t_ns):
    return t_ns is not None and WINDOW.start_ns <= t_ns <= WINDOW.end_ns


@given(RECORDS)
def test_latencies_are_those_of_the_measured_requests_in_order(records):
    table, records = load.measured_requests(table_of(records), WINDOW), measured(records)
    ok = [r for r in records if r.outcome == "ok"]
    assert len(table) == len(records)
    assert latency.response_ms(table).tolist() == [
        since(r.due_ns, r.done_ns) if r.outcome == "ok" else math.inf for r in records
    ]
    assert latency.service_ms(table).tolist() == [
        since(r.sent_ns, r.done_ns) if r.outcome == "ok" else math.inf for r in records
    ]
    first = [since(r.due_ns, r.first_token_ns) if r.outcome == "ok" else math.inf for r in records]
    assert latency.ttft_ms(table).tolist() == (first if any(r.first_token_ns is not None for r in records) else [])
    counted = [(r, max(r.completion_tokens or 0, len(r.token_ns))) for r in ok if r.first_token_ns is not None]
    assert latency.tpot_ms(table).tolist() == [
        since(r.first_token_ns, r.done_ns) / (n - 1) for r, n in counted if n > 1
    ]


@given(RECORDS)
def test_gaps_are_those_between_the_tokens_of_each_correct_answer(records):
    table = load.measured_requests(table_of(records), WINDOW)
    gaps = [
        (end_ns, (end_ns - start_ns) / 1e6)
        for r in measured(records)
        if r.outcome == "ok"
        for start_ns, end_ns in zip(r.token_ns, r.token_ns[1:], strict=False)
    ]
    assert latency.itl_ms(table).tolist() == [gap for _, gap in gaps]
    assert latency.itl_by_time_ms(table).tolist() == [gap for _, gap in sorted(gaps, key=lambda one: one[0])]


@given(RECORDS)
def test_rates_count_what_came_within_the_window(records):
    table, ok = table_of(records), [r for r in records if r.outcome == "ok"]
    assert load.achieved_rps(table, WINDOW) == sum(is_within(r.done_ns) for r in ok) / WINDOW.length_s
    assert load.answers_to_warmup(table, WINDOW) == sum(is_within(r.done_ns) for r in ok if r.phase == "warmup")
    arrived = [
        max(r.completion_tokens or 0, len(r.token_ns)) * sum(map(is_within, arrivals)) / len(arrivals)
        for r in ok
        if (arrivals := r.token_ns or [r.done_ns]) and (r.completion_tokens or r.token_ns)
    ]
    assert load.tokens_per_s(table, WINDOW) == (math.fsum(arrived) / WINDOW.length_s if arrived else None)


@given(RECORDS)
def test_shares_of_the_cache_are_of_the_requests_for_which_the_server_says(records):
    table, records = load.measured_requests(table_of(records), WINDOW), measured(records)
    said = [(r.cached_tokens, r.prompt_tokens) for r in records if r.cached_tokens is not None and r.prompt_tokens]
    tokens = sum(cached for cached, _ in said) / sum(prompt for _, prompt in said) if said else None
    hits = sum(cached > prompt / 2 for cached, prompt in said) / len(said) if said else None
    assert (load.cached_token_share(table), load.cache_hit_share(table)) == (tokens, hits)
    counts = {kind: sum(r.outcome == kind for r in records) for kind in OUTCOMES}
    assert load.outcomes(table) == {kind: count for kind, count in counts.items() if count}
