"""One figure from several runs: laws, and what theory says of known cases."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmload.analyse.distributions import t_quantile
from mmload.analyse.reading import Reading, added
from mmload.judge.pooling import difference, exponential, pool

errors = st.floats(0, 10)
readings = st.builds(Reading, st.floats(1, 100), errors, errors, errors, errors)
sides = st.lists(readings, min_size=1, max_size=5)


def interval(pooled, confidence=0.95, factor=1.0):
    found = pooled.interval(confidence, factor)
    return found.low, found.value, found.high


def test_one_run_is_itself():
    assert interval(pool([Reading(10.0, 2.0, 3.0, 0.5, 0.25)])) == (7.5, 10.0, 13.25)


def test_runs_that_agree_narrow_chance_and_leave_what_is_systematic():
    once = Reading(10.0, 2.0, 2.0, 0.5, 0.5)
    assert interval(pool([once] * 4)) == pytest.approx((8.5, 10.0, 11.5))


def test_runs_that_differ_are_judged_by_students_t_over_the_runs():
    values = [10.0, 12.0, 9.0, 13.0]
    low, value, high = interval(pool([Reading(value, 0.1, 0.1) for value in values]))
    half = t_quantile(0.95, 3) * np.std(values, ddof=1) / math.sqrt(4)
    assert (low, value, high) == pytest.approx((11 - half, 11, 11 + half))


def test_a_longer_run_weighs_more():
    assert pool([Reading(10.0, 1.0, 1.0), Reading(20.0, 1.0, 1.0)], [3, 1]).value == 12.5


@given(sides, st.floats(0.9, 0.999), st.floats(1, 50))
def test_more_evidence_never_widens_and_never_mends_what_is_systematic(runs, confidence, factor):
    (low, value, high), (now_low, _, now_high) = (interval(pool(runs), confidence, f) for f in (factor, 1.0))
    assert now_low - 1e-9 <= low <= value <= high <= now_high + 1e-9
    assert value - low >= min(run.doubt_below for run in runs) - 1e-9


@given(sides, st.randoms())
def test_the_order_of_runs_does_not_matter(runs, rng):
    assert interval(pool(rng.sample(runs, len(runs)))) == pytest.approx(interval(pool(runs)))


@given(sides, sides)
def test_a_difference_turned_round_has_the_bounds_turned_round(ours, theirs):
    low, value, high = interval(difference(ours, theirs))
    assert interval(difference(theirs, ours)) == pytest.approx((-high, -value, -low))


@given(sides, st.floats(0.01, 100))
def test_a_ratio_does_not_depend_on_the_unit(runs, scale):
    scaled, plain = (
        exponential(difference([r.scaled(s).logarithm for r in runs], [runs[0].logarithm]).interval(0.95))
        for s in (scale, 1.0)
    )
    assert scaled.value == pytest.approx(scale * plain.value)
    assert scaled.high == pytest.approx(scale * plain.high)


@given(sides)
def test_a_side_against_itself_has_ratio_one_within_its_bounds(runs):
    logarithms = [run.logarithm for run in runs]
    found = exponential(difference(logarithms, logarithms).interval(0.95))
    assert (found.value, found.low <= 1 <= found.high) == (1.0, True)


def test_pairs_owe_their_common_ups_and_downs_to_nobody():
    ups_and_downs = [10.0, 14.0, 8.0, 12.0]
    ours, theirs = ([Reading(level + more, 0.1, 0.1) for level in ups_and_downs] for more in (1.0, 0.0))
    paired, apart = difference(ours, theirs), difference(ours, theirs[:3])
    assert interval(paired)[0] > 0.8
    assert interval(apart)[0] < -1


def test_welch_says_how_far_two_unequal_sides_are_known():
    ours = [Reading(value, 0.0, 0.0) for value in (10.0, 12.0, 14.0, 16.0)]
    theirs = [Reading(value, 0.0, 0.0) for value in (9.0, 11.0, 10.0)]
    low, value, high = interval(difference(ours, theirs))
    freedom = (5 / 3 + 1 / 3) ** 2 / ((5 / 3) ** 2 / 3 + (1 / 3) ** 2 / 2)
    assert value == 3.0
    assert high - value == pytest.approx(t_quantile(0.95, freedom) * math.sqrt(5 / 3 + 1 / 3))
    assert value - low == pytest.approx(high - value)


def test_one_run_alone_is_taken_to_vary_as_those_of_the_other_side_do():
    ours, theirs = [Reading(10.0, 0.0, 0.0)], [Reading(value, 0.0, 0.0) for value in (9.0, 11.0, 10.0)]
    low, value, _ = interval(difference(ours, theirs))
    assert value - low == pytest.approx(t_quantile(0.95, 2) * math.sqrt(1 + 1 / 3))


def test_a_product_adds_chance_in_quadrature_and_what_is_systematic_as_it_is():
    found = Reading(80.0, 4.0, 4.0).times(Reading(0.5, 0.03, 0.03, 0.02, 0.02))
    assert found == Reading(40.0, math.hypot(2.0, 2.4), math.hypot(2.0, 2.4), 1.6, 1.6)


def test_a_sum_adds_errors_as_they_are():
    assert added([Reading(1.0, 0.1, 0.2), Reading(2.0, 0.3, 0.4, 0.5, 0.6)]) == Reading(
        3.0, 0.4, 0.6000000000000001, 0.5, 0.6
    )


def test_what_may_be_nothing_has_no_lower_bound_as_a_ratio():
    figure = Reading(1.0, 0.5, 0.5, 0.6, 0.0).logarithm
    assert exponential(pool([figure]).interval(0.95)).low == 0.0


def test_a_figure_has_no_bound_below_the_least_that_it_can_be():
    assert interval(pool([Reading(1.0, 0.1, 0.1), Reading(3.0, 0.1, 0.1)], least=0.0))[0] == 0.0
