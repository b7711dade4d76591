"""A server exactly at the limit, judged again and again: bench/coverage.py at length, here as far as seconds allow."""

import math

import numpy as np
import pytest
from planted_loads import SHAPES
from trials import all_of, errors, looking_again, p99, rate, rate_ratio, saving, slowdown, total_cpu, work_cpu

TRIALS = 100
ALONE, FIVES, TWENTIES = "independent", "bursts of 5", "bursts of 20"
TRACE = "bursts of 20 with a trace below"


def words(trial, amount, trials=TRIALS):
    rng = np.random.default_rng(amount)
    return [trial(amount, rng) for _ in range(trials)]


def is_rare(found, word):
    """In 5 % of the trials, and at most three standard errors of the simulation more."""
    n = len(found)
    return found.count(word) <= n * 0.05 + 3 * math.sqrt(n * 0.05 * 0.95)


@pytest.mark.parametrize(("runs", "spread"), [(1, 0.0), (4, 0.3)])
@pytest.mark.parametrize("shape", [ALONE, FIVES, TWENTIES, TRACE])
@pytest.mark.parametrize("n", [2_000, 16_000])
def test_a_server_at_the_p99_limit_is_hardly_ever_judged_at_any_length_of_run(shape, n, runs, spread):
    found = words(p99(SHAPES[shape], runs, spread), n)
    assert is_rare(found, "PASS")
    assert is_rare(found, "FAIL")


@pytest.mark.parametrize("shape", [ALONE, FIVES, TWENTIES])
@pytest.mark.parametrize("n", [50, 300, 4_000, 10_000])
def test_a_run_too_short_to_show_its_bursts_passes_nothing(shape, n):
    assert "PASS" not in words(p99(SHAPES[shape]), n, 20)


@pytest.mark.parametrize(("shape", "declared"), [(ALONE, 1), (FIVES, 40), (TWENTIES, 40)])
@pytest.mark.parametrize("n", [4_000, 100_000])
def test_a_server_at_the_error_limit_is_hardly_ever_judged(shape, declared, n):
    found = words(errors(SHAPES[shape], declared=declared), n)
    assert is_rare(found, "PASS")
    assert is_rare(found, "FAIL")


MEANS = {
    "rate": rate(0),
    "rate, spells of 2 s": rate(2, 4),
    "rate, starts differ": rate(0, 4, 0.1),
    "total CPU": total_cpu(0),
    "total CPU, starts differ": total_cpu(0, 4, 0.1),
    "work, shares too small": work_cpu(bias=-0.02),
    "work, shares too large, starts differ": work_cpu(4, 0.05, bias=0.02),
    "QPS ratio": rate_ratio(0),
    "QPS ratio, starts differ": rate_ratio(0, 4, 0.05),
    "CPU saved": saving(0.1),
    "CPU saved, starts differ": saving(0.1, 4, 0.05),
}


@pytest.mark.parametrize("figure", MEANS)
@pytest.mark.parametrize("seconds", [40, 240])
def test_a_mean_or_a_ratio_at_its_limit_is_hardly_ever_judged(figure, seconds):
    found = words(MEANS[figure], seconds)
    assert is_rare(found, "PASS")
    assert is_rare(found, "FAIL")


@pytest.mark.parametrize(("runs", "spread"), [(1, 0.0), (4, 0.1)])
def test_a_slowdown_at_its_margin_is_hardly_ever_judged(runs, spread):
    found = words(slowdown(SHAPES[FIVES], runs, spread), 2_000, 30)
    assert is_rare(found, "PASS")
    assert is_rare(found, "FAIL")


def test_more_criteria_at_their_limits_pass_together_less_often_than_one():
    one, three = (
        words(all_of(n, p99(SHAPES[ALONE], share=0.009, declared=1)), 10_000, 60).count("PASS") for n in (1, 3)
    )
    assert three < one


def test_looking_again_until_it_passes_needs_bounds_for_as_many_looks():
    hoped, planned = (words(looking_again(5, looks, fresh=True), 100, 200) for looks in (1, 5))
    assert hoped.count("PASS") > 200 * 0.12
    assert is_rare(planned, "PASS")


def test_a_server_well_inside_the_limit_passes_and_one_well_outside_fails():
    assert set(words(p99(SHAPES[ALONE], share=0.002), 20_000, 10)) == {"PASS"}
    assert set(words(p99(SHAPES[TWENTIES], share=0.04), 20_000, 10)) == {"FAIL"}
    assert set(words(rate(0, 4, 0.01, truth=1.1), 80, 10)) == {"PASS"}
    assert set(words(work_cpu(4, 0.01, truth=0.8), 80, 10)) == {"PASS"}
