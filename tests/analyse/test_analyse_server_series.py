"""Scrapes as columns: whose metrics are taken, and how far counters came."""

import math
import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmload.analyse.server_series import server_series
from mmload.model.records import ServerScrape

S = 1_000_000_000
RUNNING, REQUESTS = "sglang:num_running_reqs", "sglang:num_requests_total"


def series_of(*pages):
    """A page a second; a string is the error of a scrape that failed."""
    scrapes = [
        ServerScrape(t_ns=t * S, error=page) if isinstance(page, str) else ServerScrape(t_ns=t * S, metrics=page)
        for t, page in enumerate(pages)
    ]
    return server_series(scrapes, 0, len(pages) * S)


def of_rank(name, value, **labels):
    inside = ",".join(f'{label}="{text}"' for label, text in labels.items())
    return {f"{name}{{{inside}}}": value}


def test_a_counter_is_known_by_how_far_it_came():
    series = series_of({REQUESTS: 7.0}, {REQUESTS: 9.0}, {REQUESTS: 9.0}, {REQUESTS: 19.0})
    assert series.counters["requests"].tolist() == [0, 2, 2, 12]
    assert series.restarts == 0


def test_a_counter_that_fell_began_anew():
    series = series_of({REQUESTS: 7.0}, {REQUESTS: 9.0}, {REQUESTS: 3.0}, {REQUESTS: 4.0})
    assert series.counters["requests"].tolist() == [0, 2, 5, 6]
    assert series.restarts == 1


def test_a_sum_that_lost_its_last_digits_did_not_begin_anew():
    total = "sglang:e2e_request_latency_seconds_sum"
    rest = {
        'sglang:e2e_request_latency_seconds_bucket{le="+Inf"}': 3.0,
        "sglang:e2e_request_latency_seconds_count": 3.0,
    }
    series = series_of({total: 95.786897505051460, **rest}, {total: 95.786897505051432, **rest})
    assert series.histograms["e2e"].total.tolist() == [0, 0]
    assert series.restarts == 0


def test_a_bucket_without_an_edge_is_none():
    name = "sglang:e2e_request_latency_seconds"
    lines = {f"{name}_sum": 1.0, f"{name}_count": 2.0}
    buckets = {f'{name}_bucket{{le="{edge}"}}': 2.0 for edge in ("0.5", "nan", "soon", "+Inf")}
    assert series_of({}, lines | buckets).histograms["e2e"].buckets == {0.5: 2.0, math.inf: 2.0}


def test_what_is_not_on_a_page_yet_had_counted_nothing_and_what_is_left_out_stands():
    series = series_of({RUNNING: 1.0}, {RUNNING: 1.0, REQUESTS: 5.0}, {RUNNING: 2.0}, {RUNNING: 2.0, REQUESTS: 6.0})
    assert series.counters["requests"].tolist() == [0, 5, 5, 6]
    assert series.restarts == 0


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=20))
def test_no_counter_ever_comes_back(values):
    grown = series_of(*({REQUESTS: value} for value in values)).counters["requests"]
    assert grown[0] == 0
    assert (np.diff(grown) >= 0).all()


@given(st.lists(st.integers(0, 50), min_size=2, max_size=20), st.randoms(use_true_random=False))
def test_the_order_of_scrapes_does_not_matter(values, rng: random.Random):
    scrapes = [ServerScrape(t_ns=t * S, metrics={REQUESTS: float(v), RUNNING: v / 2}) for t, v in enumerate(values)]
    shuffled = rng.sample(scrapes, len(scrapes))
    one, other = (server_series(each, 0, 99 * S) for each in (scrapes, shuffled))
    assert one.counters["requests"].tolist() == other.counters["requests"].tolist()
    assert one.gauges["running"].tolist() == other.gauges["running"].tolist()
    assert one.restarts == other.restarts


def test_the_first_rank_speaks_for_its_group_and_groups_are_added_up():
    page = {}
    for dp in (0, 1):
        for tp in (2, 1):
            page |= of_rank(RUNNING, 10.0 * dp + tp, model_name="m", dp_rank=dp, tp_rank=tp)
    assert series_of(page).gauges["running"].tolist() == [1 + 11]


def test_shares_are_not_added_up():
    page = of_rank("sglang:token_usage", 0.2, dp_rank=0) | of_rank("sglang:token_usage", 0.6, dp_rank=1)
    page |= of_rank("sglang:cache_hit_rate", 0.2, dp_rank=0) | of_rank("sglang:cache_hit_rate", 0.6, dp_rank=1)
    gauges = series_of(page).gauges
    assert gauges["token_usage"].tolist() == [0.6]
    assert gauges["cache_hit_rate"].tolist() == pytest.approx([0.4])


def test_a_gauge_by_priority_counts_its_total_alone():
    page = (
        of_rank(RUNNING, 5.0, priority="") | of_rank(RUNNING, 3.0, priority="1") | of_rank(RUNNING, 2.0, priority="2")
    )
    assert series_of(page).gauges["running"].tolist() == [5]


def test_streamed_and_other_requests_are_added_up():
    page = of_rank(REQUESTS, 0.0, is_streaming="true") | of_rank(REQUESTS, 0.0, is_streaming="false")
    later = of_rank(REQUESTS, 3.0, is_streaming="true") | of_rank(REQUESTS, 4.0, is_streaming="false")
    assert series_of(page, later).counters["requests"].tolist() == [0, 7]


def test_each_scheduler_keeps_its_own_counters():
    name = "sglang:scheduler_stage_seconds_total"
    labels = {"category": "idle", "pp_rank": 0}
    pages = []
    for spent in (0.0, 1.0):
        page = of_rank(name, spent, tp_rank=0, forward_overlap="none", **labels)
        page |= of_rank(name, spent, tp_rank=0, forward_overlap="full", **labels)
        pages.append(page | of_rank(name, 5 * spent, tp_rank=1, dp_rank=2, **labels))
    schedulers = series_of(*pages).schedulers
    assert {place: parts["stage idle"][-1] for place, parts in schedulers.items()} == {"PP0_TP0": 2, "DP2_PP0_TP1": 5}


def test_labels_that_make_no_sense_break_nothing():
    page = of_rank(RUNNING, 1.0, tp_rank="first") | of_rank(REQUESTS, 2.0, note='a "quoted, word')
    page |= of_rank("sglang:e2e_request_latency_seconds_bucket", 3.0, le="long") | {"{": 1.0, "": 2.0}
    series = series_of(page)
    assert series.gauges["running"].tolist() == [1]
    assert series.histograms == {}


def test_failed_scrapes_are_counted_with_the_first_reason():
    series = series_of({REQUESTS: 1.0}, "refused", "timed out", {REQUESTS: 3.0})
    assert (len(series), series.failed, series.first_error) == (2, 2, "refused")
    assert series.longest_gap_s == 3.0


def test_only_the_asked_for_time_is_read():
    scrapes = [ServerScrape(t_ns=t * S, metrics={REQUESTS: float(t)}) for t in range(10)]
    series = server_series(scrapes, 3 * S, 6 * S)
    assert series.t_ns.tolist() == [3 * S, 4 * S, 5 * S, 6 * S]
    assert series.counters["requests"][-1] == 3


def test_nothing_scraped_is_nothing_known():
    series = server_series([], 0, S)
    assert (len(series), series.gauges, series.counters, series.longest_gap_s) == (0, {}, {}, 0)


def test_a_gauge_that_a_page_lacks_is_unknown_there():
    values = series_of({RUNNING: 1.0}, {REQUESTS: 1.0}).gauges["running"].tolist()
    assert values[0] == 1
    assert math.isnan(values[1])
