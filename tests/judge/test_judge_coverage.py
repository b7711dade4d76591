"""A server exactly at the limit, judged again and again: bench/coverage.py at length, here as far as seconds allow."""

import math

import numpy as np
import pytest

from mmload.analyse.blocks import mean_bounds
from mmload.judge.ratios import ratio_of_rates
from mmload.judge.statistics import Tail, proportion_bounds

TRIALS = 120
MOST_WRONG = TRIALS * 0.05 + 3 * math.sqrt(TRIALS * 0.05 * 0.95)  # 5 % and three standard errors of the simulation
DECLARED = 40.0


def at_the_limit(n, share, burst, rng):
    """Which of n requests are over the limit: `share` in the long run, in bursts of geometric length."""
    if burst == 1:
        return rng.random(n) < share
    cycles = 2 * math.ceil(n * share / burst) + 20
    lengths = np.empty(2 * cycles, np.int64)
    lengths[0::2] = rng.geometric(share / burst / (1 - share), cycles)
    lengths[1::2] = rng.geometric(1 / burst, cycles)
    return np.repeat(np.tile([False, True], cycles), lengths)[:n]


def p99_bounds(over, rng):
    values = np.where(over, 1 + rng.random(len(over)), rng.random(len(over)))
    return Tail(values, 0.01).percentile_bounds(0.95, DECLARED)


@pytest.mark.parametrize("burst", [1, 5, 20])
@pytest.mark.parametrize("n", [1_000, 4_000, 25_000])
def test_a_server_at_the_p99_limit_is_hardly_ever_judged_at_any_length_of_run(burst, n):
    rng = np.random.default_rng(burst + n)
    bounds = [p99_bounds(at_the_limit(n, 0.01, burst, rng), rng) for _ in range(TRIALS)]
    assert sum(found.high < 1 for found in bounds) <= MOST_WRONG
    assert sum(found.low >= 1 for found in bounds) <= MOST_WRONG


@pytest.mark.parametrize("burst", [1, 5, 20])
def test_a_run_too_short_to_show_its_bursts_passes_nothing(burst):
    rng = np.random.default_rng(burst)
    assert not any(p99_bounds(at_the_limit(10_000, 0.01, burst, rng), rng).high < 1 for _ in range(TRIALS))


@pytest.mark.parametrize("burst", [1, 5, 20])
@pytest.mark.parametrize("n", [4_000, 150_000])
def test_a_server_at_the_error_limit_is_hardly_ever_judged(burst, n):
    rng = np.random.default_rng(burst + n)
    bounds = [proportion_bounds(at_the_limit(n, 0.001, burst, rng), 0.95, DECLARED) for _ in range(TRIALS)]
    assert sum(found.high < 0.001 for found in bounds) <= MOST_WRONG
    assert sum(found.low > 0.001 for found in bounds) <= MOST_WRONG


@pytest.mark.parametrize("blocks", [5, 10, 20])
def test_a_rate_at_the_limit_is_hardly_ever_judged(blocks):
    rng = np.random.default_rng(blocks)
    bounds = [mean_bounds(rng.poisson(200, blocks) / 200, 0.95) for _ in range(10 * TRIALS)]
    assert sum(low > 1 for low, _ in bounds) <= 10 * MOST_WRONG
    assert sum(high < 1 for _, high in bounds) <= 10 * MOST_WRONG


def test_a_saving_at_the_limit_is_hardly_ever_judged():
    rng = np.random.default_rng(3)

    def side(cost):
        requests = rng.poisson(200, 20).astype(float)
        return requests * cost * (1 + 0.1 * rng.standard_normal(20)), requests

    found = [ratio_of_rates(side(0.3), side(1.0), (rng, rng)).interval(0.95) for _ in range(TRIALS)]
    assert sum(ratio.high < 0.3 for ratio in found) <= MOST_WRONG
    assert sum(ratio.low > 0.3 for ratio in found) <= MOST_WRONG


def test_a_server_well_inside_the_limit_passes_and_one_well_outside_fails():
    rng = np.random.default_rng(4)
    assert p99_bounds(at_the_limit(20_000, 0.002, 1, rng), rng).high < 1
    assert p99_bounds(at_the_limit(20_000, 0.04, 20, rng), rng).low >= 1
