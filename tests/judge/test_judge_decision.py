from functools import partial
from types import SimpleNamespace

import msgspec
import numpy as np
import pytest
from factory import Truth, requests_of

from mmload.analyse.cpu import Interval
from mmload.analyse.reading import by_chance
from mmload.judge.criteria import Criterion
from mmload.judge.decision import more_evidence, never_reached
from mmload.judge.figures import Terms, bounded
from mmload.judge.metrics import METRICS
from mmload.judge.pooling import pool
from mmload.store.requests import table_of

INTERVAL = Interval(5.0, 3.99, 6.01)
FIGURE = bounded(INTERVAL, 10, "x", partial(pool([by_chance(INTERVAL)]).interval, 0.95))
P99 = Criterion(metric="response_p99_ms", op="<", limit=500, baseline=None)
ERRORS = Criterion(metric="error_rate", op="<", limit=0.001, baseline=None)


def criterion(op, limit):
    return Criterion(metric="qps", op=op, limit=limit, baseline=None)


def load(requests=1000, length_s=10.0, runs=1):
    return SimpleNamespace(requests=requests, length_s=length_s, runs=[None] * runs)


def needed(item, n, over, length_s=1.0, design_effect=1.0):
    """What the gate says of one run of n requests, `over` of them far over the limit and apart from each other."""
    is_over = np.isin(np.arange(n), np.arange(over) * (n // max(1, over)))
    truth = Truth(rate_rps=n, duration_s=1, warmup_s=0, answers=(), response_ms=np.where(is_over, 900.0, 60.0))
    if item is ERRORS:
        truth.outcomes = dict.fromkeys(np.flatnonzero(is_over).tolist(), "http_error")
    run = SimpleNamespace(measured=table_of(requests_of(truth)))
    rounds = SimpleNamespace(runs=[run], requests=n, length_s=length_s, file=str)
    figure = METRICS[item.metric].of_one(rounds, Terms(0.95, design_effect))
    return more_evidence(item, figure, rounds)


@pytest.mark.parametrize(("length_s", "words"), [(10, "21 more requests (1 s of"), (1000, "21 more requests (21 s of")])
def test_more_evidence_is_a_whole_number_of_seconds_and_at_least_one(length_s, words):
    assert more_evidence(criterion("<", 6), FIGURE, load(length_s=length_s)).startswith(words)


@pytest.mark.parametrize(
    ("item", "over", "in_all"),
    [
        (P99, 0, 299),
        (P99, 1, 473),
        (P99, 5, 1_049),
        (P99, 10, 1_693),
        (ERRORS, 0, 2_995),
        (ERRORS, 1, 4_742),
        (ERRORS, 5, 10_511),
    ],
)
def test_the_least_that_decides_is_the_table_of_the_exact_binomial(item, over, in_all):
    bad = "over the limit" if item is P99 else "failed"
    assert needed(item, 200, over).startswith(f"at least {in_all - 200:,} more requests, none of them {bad} (")


def test_a_run_with_none_over_the_limit_is_told_one_number():
    assert needed(P99, 100, 0) == "at least 199 more requests, none of them over the limit (2 s of the same load)"


def test_a_run_with_some_is_told_what_its_own_figures_ask_for_as_well():
    said = needed(P99, 400, 2)
    assert said.startswith("at least 228 more requests, none of them over the limit (1 s of the same load); ")
    assert said.endswith("at the present figures 746 more (2 s)")


def test_a_declared_design_effect_is_what_multiplies_the_least():
    assert needed(P99, 1_000, 0, design_effect=40).startswith("at least 10,923 more requests")


def test_figures_that_are_going_to_fail_are_said_to():
    assert needed(P99, 400, 6).endswith(" to FAIL")


def test_of_several_runs_the_rounds_are_counted():
    said = more_evidence(criterion("<", 5.9), FIGURE, load(runs=4))
    assert said == "260 more requests (3 s of the same load: 2 more rounds)"


def test_figures_at_the_limit_are_told_that_alone_and_not_a_least_as_well():
    assert needed(ERRORS, 4_000, 4).startswith("too near the limit")


def test_so_few_requests_that_a_thousand_times_as_many_decide_nothing_are_not_said_to_be_at_the_limit():
    said = needed(P99, 5, 0, design_effect=40)
    assert said == "at least 11,918 more requests, none of them over the limit (2,384 s of the same load)"


def test_an_error_rate_of_nothing_can_not_be_shown():
    assert needed(msgspec.structs.replace(ERRORS, op="<=", limit=0.0), 100, 0).startswith("too near the limit")


@pytest.mark.parametrize(
    ("op", "limit", "offered_rps", "said"),
    [
        (">", 70, 50.0, "only 50 req/s were offered"),
        (">", 70, 70.0, "only 70 req/s were offered"),
        (">=", 70, 70.0, None),
        ("<", 70, 50.0, None),
        (">", 70, None, None),
    ],
)
def test_what_was_never_offered_could_not_be_reached(op, limit, offered_rps, said):
    assert never_reached(criterion(op, limit), msgspec.structs.replace(FIGURE, offered_rps=offered_rps)) == said
