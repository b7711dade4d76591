"""The simulation is the same at every call, and so are its rates."""

import pytest

from mmload.selftest.rows import errs_too_often
from mmload.selftest.simulate import simulate


@pytest.fixture(scope="module")
def rates():
    return list(simulate(40))


def test_no_bound_errs_more_often_than_it_may(rates):
    assert [rate.metric for rate in rates] == ["response_p99_ms", "error_rate", "qps"]
    assert not any(map(errs_too_often, rates))


def test_every_trial_is_counted_at_most_once(rates):
    for rate in rates:
        assert rate.trials == 40
        assert rate.at_limit_passed + rate.at_limit_failed <= 40
        assert rate.better_passed + rate.better_failed <= 40
        assert rate.worse_passed + rate.worse_failed <= 40


def test_what_is_10_percent_off_its_limit_is_told_where_the_run_is_long_enough(rates):
    p99, _, qps = rates
    assert min(p99.better_passed, p99.worse_failed, qps.better_passed, qps.worse_failed) >= 36


def test_a_simulation_says_the_same_again():
    assert list(simulate(5)) == list(simulate(5))
