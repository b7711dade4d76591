import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmload.analyse.blocks import block_edges_ns, mean_bounds
from mmload.judge.statistics import (
    Bounds,
    Bursts,
    Tail,
    Trust,
    bursts_of,
    find_bursts,
    proportion_bounds,
    requests_needed,
)

SEED = 20261120


@pytest.mark.parametrize(
    ("share", "exceeding", "needed"),
    [
        (0.01, 0, 299),
        (0.01, 1, 473),
        (0.01, 5, 1049),
        (0.01, 10, 1693),
        (0.001, 0, 2995),
        (0.001, 1, 4742),
        (0.001, 5, 10511),
        (0.05, 0, 59),
        (0.1, 0, 29),
    ],
)
def test_the_requests_needed_are_those_of_the_exact_binomial(share, exceeding, needed):
    assert requests_needed(share, exceeding) == needed


def test_they_agree_with_mlperf_at_99_percent_confidence():
    assert [requests_needed(0.01, exceeding, 0.99) for exceeding in (0, 1)] == [459, 662]


def p99(values, declared=1.0, factor=1.0):
    return p99_of_runs([values], declared, factor)


def p99_of_runs(runs, declared=1.0, factor=1.0):
    return Tail([np.asarray(run, float) for run in runs], 0.01).percentile_bounds(Trust(0.95, declared, factor))


def error_bounds(*runs, declared=1.0):
    return proportion_bounds(sum(map(len, runs)), bursts_of(runs), Trust(0.95, declared))


@pytest.mark.parametrize(
    ("n", "declared", "is_bounded"), [(298, 1, False), (299, 1, True), (11_922, 40, False), (11_923, 40, True)]
)
def test_a_p99_needs_299_requests_and_in_bursts_as_many_times_more(n, declared, is_bounded):
    assert math.isfinite(p99(np.arange(n), declared).high) is is_bounded


@given(
    st.lists(st.floats(0, 1e6) | st.just(math.inf), max_size=400), st.sampled_from([0.01, 0.1, 0.5]), st.floats(1, 50)
)
def test_a_percentile_lies_within_its_bounds(values, share, declared):
    tail = Tail([np.array(values)], share)
    found = tail.percentile_bounds(Trust(0.95, declared))
    if values:
        middle = tail.descending[int(len(values) * share)]
        assert found.low <= middle <= found.high


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=400), st.floats(1, 50), st.floats(1, 20))
def test_more_of_the_same_never_widens_the_bounds(values, declared, factor):
    once, often = p99(values, declared), p99(values, declared, factor)
    assert often.high <= once.high
    assert often.low >= once.low


@given(st.lists(st.integers(0, 3), min_size=300, max_size=400), st.integers(2, 4))
def test_runs_that_say_the_same_narrow_the_bounds(values, runs):
    once, often = p99(values), p99_of_runs([values] * runs)
    assert often.high <= once.high
    assert often.low >= once.low


@given(st.permutations(range(120)), st.permutations(range(4)), st.floats(1, 5))
def test_the_order_of_runs_does_not_matter(values, order, declared):
    runs = np.array_split(values, 4)
    assert p99_of_runs([runs[n] for n in order], declared) == p99_of_runs(runs, declared)


def test_bursts_do_not_join_across_runs():
    at_the_seam = np.zeros(10_000)
    at_the_seam[4_990:5_010] = 1.0
    halves = np.split(at_the_seam, 2)
    assert Tail([at_the_seam], 0.01).bursts(20).longest == 20
    assert Tail(halves, 0.01).bursts(20).longest == 10


def test_a_run_that_is_slower_as_a_whole_is_one_long_burst():
    def run(share):
        return np.arange(10_000) % round(1 / share) == 0

    assert error_bounds(run(0.001), run(0.02)).high > 10 * error_bounds(run(0.01), run(0.01)).high
    assert p99_of_runs([run(0.001), run(0.002), run(0.001), run(0.012)]).high == 1.0
    assert p99_of_runs([run(0.004)] * 4).high == 0.0


def test_slow_requests_in_one_burst_weigh_more_than_single_ones():
    apart, together = np.zeros(30_000), np.zeros(30_000)
    apart[::300] = 1.0
    together[5_000:5_100] = 1.0
    assert p99(apart, 40).high == 0.0
    assert p99(together, 40).high == 1.0


def test_runs_with_small_gaps_are_one_burst():
    found = find_bursts(np.array([100, 101, 110, 500, 900, 925]), 0.01, [1000])
    assert (found.exceedances, found.count, found.longest, found.square_sum) == (6, 4, 3, 12.0)


def test_without_bursts_the_declared_design_effect_holds_and_with_many_their_own():
    assert find_bursts(np.empty(0, np.int64), 0.01, [1000]).design_effect(Trust(0.95, 40)) == 40
    fives = np.concatenate([np.arange(5) + 1000 * n for n in range(5000)])
    assert find_bursts(fives, 0.01, [5_000_000]).design_effect(Trust(0.95, 40)) == pytest.approx(5, abs=0.2)


@pytest.mark.parametrize(("errors", "n"), [(0, 2995), (1, 1000), (10, 10_000)])
def test_clopper_pearson_leaves_five_percent_on_each_side(errors, n):
    def at_most(k, q):
        return sum(math.comb(n, i) * q**i * (1 - q) ** (n - i) for i in range(k + 1))

    flags = np.zeros(n, np.bool_)
    flags[np.arange(errors) * (n // max(1, errors))] = True
    found = error_bounds(flags)
    assert at_most(errors, found.high) == pytest.approx(0.05)
    assert 1 - at_most(errors - 1, found.low) == pytest.approx(0.05 if errors else 1)


def test_a_burst_of_errors_says_less_than_as_many_apart():
    apart, together = np.zeros(20_000, np.bool_), np.zeros(20_000, np.bool_)
    apart[::1000] = True
    together[:20] = True
    assert error_bounds(together).high > error_bounds(apart).high


def test_no_requests_bound_nothing():
    assert proportion_bounds(0, Bursts(0, 0, 0, 0.0), Trust(0.95, 1)) == Bounds(0.0, 1.0)
    assert p99([]).high == math.inf


def test_blocks_are_a_second_or_longer_and_at_most_twenty():
    assert len(block_edges_ns(0, 4_900_000_000)) == 0
    assert np.diff(block_edges_ns(0, 7_000_000_000)).tolist() == [1_000_000_000] * 7
    assert len(block_edges_ns(0, 300_000_000_000)) == 21


def test_block_means_follow_student():
    blocks = np.array([9.0, 11.0, 10.0, 12.0, 8.0, 10.0])  # neighbours that don't resemble each other
    low, high = mean_bounds(blocks, 0.95)
    assert (low + high) / 2 == pytest.approx(10)
    assert high - 10 == pytest.approx(2.015 * np.sqrt(2.0 / 6), abs=1e-3)


def test_blocks_that_resemble_their_neighbours_are_worth_less():
    rng = np.random.default_rng(SEED)
    loose = rng.standard_normal(20)
    sorted_width, loose_width = (np.diff(mean_bounds(blocks, 0.95))[0] for blocks in (np.sort(loose), loose))
    assert sorted_width > 2 * loose_width


def test_four_blocks_bound_nothing():
    assert mean_bounds(np.ones(4), 0.95) is None
