import math

import msgspec
import numpy as np
import pytest
from factory import Truth, requests_of
from hypothesis import given
from hypothesis import strategies as st

from mmload.analyse.latency import (
    itl_by_time_ms,
    itl_ms,
    nearest_rank,
    percentile,
    quantiles,
    response_ms,
    service_ms,
    tpot_ms,
    ttft_ms,
)
from mmload.store.requests import table_of

MS = 1_000_000
ONE = next(r for r in requests_of(Truth()) if r.phase == "measure")


def answered(due=0, sent=0, tokens=(10, 20, 40), done=50, **changes):
    times = {"due_ns": due * MS, "sent_ns": sent * MS, "done_ns": done * MS}
    return msgspec.structs.replace(
        ONE,
        **times,
        first_token_ns=tokens[0] * MS if tokens else None,
        token_ns=[t * MS for t in tokens],
        completion_tokens=len(tokens) or None,
        **changes,
    )


@pytest.mark.parametrize(("p", "n", "rank"), [(0.99, 100, 99), (0.07, 100, 7), (0.9, 10, 9), (0.5, 3, 2), (0.01, 5, 1)])
def test_the_nearest_rank_is_exact_in_decimal(p, n, rank):
    assert nearest_rank(p, n) == rank


@given(st.lists(st.floats(0, 1e6) | st.just(math.inf), min_size=1))
def test_quantiles_are_monotone_and_are_values_that_occurred(values):
    found = quantiles(np.array(values))
    at = [math.inf if q is None else q for q in (found.p50, found.p90, found.p95, found.p99, found.max)]
    assert at == sorted(at)
    assert set(at) <= set(values)


@given(st.lists(st.floats(0, 1e6), min_size=1), st.floats(0.01, 1))
def test_a_percentile_has_its_share_at_or_below_it(values, p):
    found = percentile(np.sort(values), p)
    assert sum(value <= found for value in values) >= p * len(values) - 1e-9


def test_without_values_there_is_no_percentile():
    found = quantiles(np.empty(0))
    assert (found.n, found.p50, found.mean, found.max) == (0, None, None, None)


def test_response_counts_from_due_and_service_from_sent():
    late = table_of([answered(due=0, sent=30, done=50)])
    assert (response_ms(late)[0], service_ms(late)[0]) == (50.0, 20.0)


@pytest.mark.parametrize("latency", [response_ms, service_ms, ttft_ms])
def test_a_request_that_is_not_ok_took_infinitely_long(latency):
    assert latency(table_of([answered(), answered(outcome="timeout", id="z")]))[1] == math.inf


def test_infinite_percentiles_are_null():
    found = quantiles(response_ms(table_of([answered()] * 98 + [answered(outcome="timeout")] * 2)))
    assert (found.p95, found.p99, found.mean, found.max) == (50.0, None, None, None)


def test_without_streaming_there_is_no_ttft():
    assert len(ttft_ms(table_of([answered(tokens=()), answered(tokens=(), outcome="timeout")]))) == 0


def test_gaps_between_tokens_stay_within_a_request_and_go_by_time():
    early, later = answered(tokens=(10, 20, 70)), answered(tokens=(15, 30))
    silent, failed = answered(tokens=()), answered(tokens=(11, 12), outcome="timeout")
    table = table_of([early, silent, failed, later])
    assert itl_ms(table).tolist() == [10.0, 50.0, 15.0]
    assert itl_by_time_ms(table).tolist() == [10.0, 15.0, 50.0]


def test_time_per_token_leaves_out_the_first():
    assert tpot_ms(table_of([answered(tokens=(10, 20, 40), done=50), answered(tokens=(10,))])).tolist() == [20.0]
