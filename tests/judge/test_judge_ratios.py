import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mmload.analyse.cpu import Interval
from mmload.analyse.latency import nearest_rank
from mmload.analyse.ratio import ratio_of_intervals
from mmload.judge.ratios import RESAMPLES, _resampled_percentiles, ratio_of, resampled_percentile, resampled_rate

SEED = 20261120


def apart():
    """Generators for runs that have nothing to do with each other."""
    return np.random.default_rng(SEED), np.random.default_rng(SEED + 1)


def paired():
    return np.random.default_rng(SEED), np.random.default_rng(SEED)


def noisy_blocks(scale, count=20, size=400, seed=1):
    values = scale * np.exp(0.3 * np.random.default_rng(seed).standard_normal(count * size))
    return np.split(values, count)


def ratio_of_rates(candidate, baseline, pair):
    return ratio_of(*([resampled_rate(*side, rng)] for side, rng in zip((candidate, baseline), pair, strict=True)))


def ratio_of_percentiles(candidate, baseline, p, pair):
    sides = zip((candidate, baseline), pair, strict=True)
    return ratio_of(*([resampled_percentile(side, p, rng)] for side, rng in sides))


def test_a_ratio_of_rates_weighs_blocks_by_their_requests():
    cpu, requests = np.array([2.0, 8.0, 2.0, 2.0, 2.0]), np.array([10.0, 40.0, 10.0, 10.0, 10.0])
    found = ratio_of_rates((cpu, requests), (requests, requests), apart())
    assert found.interval(0.95).value == pytest.approx(0.2)


def test_rates_of_parts_add_up_each_by_its_own_count():
    cpu, met = np.full((20, 2), (1.0, 3.0)), np.full((20, 2), (10.0, 5.0))
    found = ratio_of_rates((cpu, met), (np.full(20, 1.0), np.full(20, 10.0)), apart())
    assert found.interval(0.95).value == pytest.approx((0.1 + 0.6) / 0.1)


def test_a_part_that_may_be_without_count_gives_no_ratio():
    met = np.zeros((20, 1))
    met[0] = 1.0
    assert ratio_of_rates((np.ones((20, 1)), met), (np.ones(20), np.ones(20)), apart()) is None


def test_identical_blocks_leave_no_doubt():
    blocks = (np.full(20, 3.0), np.ones(20))
    found = ratio_of_rates(blocks, blocks, apart()).interval(0.95)
    assert (found.low, found.value, found.high) == (1.0, 1.0, 1.0)


def test_a_planted_difference_in_p99_is_found_and_none_is_not():
    same = ratio_of_percentiles(noisy_blocks(1.0), noisy_blocks(1.0, seed=2), 0.99, apart()).interval(0.95)
    slower = ratio_of_percentiles(noisy_blocks(1.3), noisy_blocks(1.0, seed=2), 0.99, apart()).interval(0.95)
    assert same.low < 1 < same.high
    assert slower.low > 1.1


def test_the_bootstrap_sees_what_the_theory_of_a_mean_says():
    values = np.random.default_rng(3).normal(10, 1, (2, 20))
    found = ratio_of_rates((values[0], np.ones(20)), (values[1], np.ones(20)), apart()).interval(0.95)
    spread = np.hypot(*(v.std(ddof=1) / v.mean() / np.sqrt(20) for v in values))
    assert found.high - found.value == pytest.approx(1.729 * spread * found.value, rel=0.1)


def test_judging_again_gives_the_same_bounds():
    one, other = (
        ratio_of_percentiles(noisy_blocks(1.1), noisy_blocks(1.0), 0.99, apart()).interval(0.95) for _ in "ab"
    )
    assert one == other


def test_what_both_runs_owe_to_their_schedule_is_no_difference():
    ups_and_downs = np.random.default_rng(5).normal(100, 10, 20)
    ours, theirs = (ups_and_downs, np.ones(20)), (ups_and_downs * 1.001, np.ones(20))
    alone, together = (ratio_of_rates(ours, theirs, pair()).interval(0.95) for pair in (apart, paired))
    assert alone.low < 0.98
    assert together.low > 0.998


@given(st.floats(0.001, 1000), st.integers(0, 99))
@settings(max_examples=20, deadline=None)
def test_a_ratio_of_percentiles_does_not_depend_on_the_unit(scale, seed):
    ours, theirs = noisy_blocks(1.1, seed=seed), noisy_blocks(1.0, seed=seed + 1)
    sides = [[scale * block for block in side] for side in (ours, theirs)]
    scaled, plain = (ratio_of_percentiles(*pair, 0.9, apart()).interval(0.95) for pair in (sides, (ours, theirs)))
    assert (scaled.low, scaled.value, scaled.high) == pytest.approx((plain.low, plain.value, plain.high))


def test_records_against_themselves_have_ratio_one_with_bounds_around_it():
    blocks = noisy_blocks(1.0)
    found = ratio_of_percentiles(blocks, blocks, 0.99, apart()).interval(0.95)
    assert found.low < found.value == 1.0 < found.high


def test_rounds_that_differ_are_judged_by_how_they_differ():
    def rounds(levels):
        found = [resampled_rate(np.full(20, level), np.ones(20), rng) for level in levels for rng in apart()[:1]]
        return ratio_of(found, [resampled_rate(np.ones(20), np.ones(20), apart()[1]) for _ in levels]).interval(0.95)

    alike, unlike = rounds([1.1, 1.1, 1.1, 1.1]), rounds([0.9, 1.3, 1.0, 1.2])
    assert alike.low == pytest.approx(alike.high)
    assert unlike.low < 1 < unlike.high


def test_some_runs_without_anything_are_no_ratio_and_all_of_them_are_nothing():
    nothing, something = (resampled_rate(np.full(20, level), np.ones(20), apart()[0]) for level in (0.0, 1.0))
    assert ratio_of([nothing, something], [something, something]) is None
    assert ratio_of([nothing], [something]).interval(0.95) == Interval(0.0, 0.0, 0.0)


def test_bursts_beyond_a_percentile_are_counted_over_all_rounds():
    def some(seed):
        return resampled_percentile(noisy_blocks(1.0, size=40, seed=seed), 0.99, np.random.default_rng(seed))

    assert ratio_of([some(1)], [some(2)]) is None
    assert ratio_of([some(1), some(3)], [some(2), some(4)]) is not None


def test_longer_runs_narrow_the_bounds():
    sample = ratio_of_percentiles(noisy_blocks(1.1), noisy_blocks(1.0), 0.99, apart())
    once, four_times = sample.interval(0.95), sample.interval(0.95, factor=4)
    assert np.log(four_times.high / four_times.low) == pytest.approx(np.log(once.high / once.low) / 2)


@pytest.mark.parametrize(
    ("candidate", "baseline"),
    [
        (noisy_blocks(1.0, count=4), noisy_blocks(1.0)),  # too few blocks
        (noisy_blocks(1.0, size=10), noisy_blocks(1.0)),  # two values beyond the P99
        ([np.full(400, np.inf)] * 20, noisy_blocks(1.0)),  # nothing answered
        ([], []),
    ],
)
def test_too_little_evidence_gives_no_ratio(candidate, baseline):
    assert ratio_of_percentiles(candidate, baseline, 0.99, apart()) is None


def test_one_long_burst_is_too_little_to_compare_tails():
    burst = np.concatenate([np.full(7_900, 1.0), np.full(100, 9.0)])
    assert ratio_of_percentiles(np.split(burst, 20), noisy_blocks(1.0), 0.99, apart()) is None


def test_a_baseline_of_nothing_gives_no_ratio():
    nothing = (np.zeros(20), np.ones(20))
    assert ratio_of_rates(nothing, nothing, apart()) is None
    assert ratio_of_rates((np.empty(0), np.empty(0)), nothing, apart()) is None


def test_relative_errors_add_in_quadrature():
    found = ratio_of_intervals(Interval(30, 29.1, 30.9), Interval(60, 57.6, 62.4))
    assert found.value == 0.5
    assert found.high == pytest.approx(0.5 * 1.051, abs=0.002)
    assert found.low == pytest.approx(0.5 * 0.951, abs=0.002)


def test_a_figure_that_may_be_nothing_bounds_no_ratio_above():
    found = ratio_of_intervals(Interval(30, 29, 31), Interval(1, 0, 3))
    assert found.high == np.inf


@given(
    st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=6), min_size=2, max_size=5),
    st.sampled_from([0.5, 0.9, 0.99]),
)
def test_a_resampled_percentile_is_that_of_its_blocks_put_together(blocks, p):
    values = [np.array(block, float) for block in blocks]
    found = _resampled_percentiles(values, p, np.random.default_rng(SEED))
    draws = np.random.default_rng(SEED).multinomial(len(blocks), np.full(len(blocks), 1 / len(blocks)), RESAMPLES)
    for n in range(0, RESAMPLES, 50):
        drawn = np.sort(np.concatenate([np.tile(value, times) for value, times in zip(values, draws[n], strict=True)]))
        assert found[n] == drawn[nearest_rank(p, len(drawn)) - 1]
