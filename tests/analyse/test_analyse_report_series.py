"""Curves of a report: thinned, and exact wherever anybody reads a figure from them."""

import math

import numpy as np
import pytest
from factory import make_run
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mmload.analyse.latency import nearest_rank
from mmload.analyse.report_series import MOST_BINS, SHOWN, curve, curves_of, report_timeline

_LATENCIES = arrays(np.float64, st.integers(1, 2000), elements=st.floats(0, 1e5) | st.just(math.inf))


@given(_LATENCIES)
def test_every_value_that_is_kept_is_the_exact_one_of_its_rank(values):
    ordered = np.sort(values)
    found = curve(values)
    assert found.n == len(ordered)
    assert found.answered == int(np.isfinite(ordered).sum())
    assert found.ms == ordered[np.array(found.rank, int) - 1].tolist()
    assert found.rank == sorted(set(found.rank))


@given(_LATENCIES)
def test_the_percentiles_that_people_ask_for_and_the_slowest_hundred_are_kept(values):
    found = curve(values)
    wanted = {1, *(nearest_rank(p, found.n) for p in SHOWN), *range(found.answered - 99, found.answered + 1)}
    assert {rank for rank in wanted if 1 <= rank <= found.answered} <= set(found.rank)


def test_a_million_values_leave_some_hundreds_that_are_dense_everywhere():
    found = curve(np.random.default_rng(1).lognormal(4, 0.4, 1_000_000))
    slower = np.array([found.n - rank for rank in found.rank[:-100]])
    assert len(found.rank) < 500
    assert (slower[:-1] / slower[1:]).max() < 1.06  # neighbours lie closer than a pixel of the plot


def test_without_values_there_is_no_curve():
    assert curve(np.empty(0)) is None


def test_a_run_has_a_curve_of_each_latency_that_it_has(tmp_path):
    run = make_run(tmp_path, duration_s=4, outcomes={7: "timeout"})
    found = curves_of(run)
    assert set(found) == {"response_ms", "service_ms", "ttft_ms", "itl_ms"}
    assert (found["response_ms"].n, found["response_ms"].answered) == (400, 399)


@pytest.mark.parametrize(("length_s", "bin_s"), [(60, 1.0), (3000, 5.0)])
def test_the_timeline_has_no_more_bins_than_a_page_can_hold(tmp_path, length_s, bin_s):
    axis = report_timeline(make_run(tmp_path, duration_s=length_s, rate_rps=2.0))
    assert axis.bin_s == bin_s
    assert len(axis.t_s) <= MOST_BINS
