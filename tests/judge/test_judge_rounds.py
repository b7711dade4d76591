"""What metrics say of several runs."""

import math

import numpy as np
import pytest
from factory import make_run
from planted_stacks import with_stacks

from mmload.judge.evidence import Rounds
from mmload.judge.figures import Terms
from mmload.judge.metrics import METRICS

TERMS = Terms(0.95, 5.0)
ALONE = ("response_p99_ms", "error_rate", "qps", "cpu_total_pct", "cpu_work_pct", "cpu_ms_per_request")
AGAINST = (
    "qps_ratio", "response_p99_ratio", "cpu_total_ratio", "cpu_work_ratio", "cpu_per_request_ratio", "build_cpu_saved"
)  # fmt: skip


def run(folder, seed, variant="optimized", **truth):
    """A run of its own random numbers, with stacks of every process."""
    known = {"tp": 4, "duration_s": 20.0, "build_ms": {f"scheduler_TP{n}": 2.0 for n in range(4)}, **truth}
    made = make_run(folder, variant, number=seed, seed=seed, **known)
    stacks = {f"scheduler_TP{n}": {"hash": 800, "poll": 200} for n in range(4)} | {"tokenizer": {"http": 1000}}
    return with_stacks(made, stacks)


@pytest.fixture(scope="module")
def four(tmp_path_factory):
    folder = tmp_path_factory.mktemp("rounds")
    return [[run(folder / variant, seed, variant) for seed in range(4)] for variant in ("optimized", "original")]


def alone(metric, runs):
    return METRICS[metric].of_one(Rounds(runs), TERMS)


def against(metric, ours, theirs):
    return METRICS[metric].of_two(Rounds(ours), Rounds(theirs), TERMS)


def width(figure):
    return figure.high - figure.low


@pytest.mark.parametrize("metric", ALONE)
def test_a_figure_of_several_runs_names_how_many_and_does_not_depend_on_their_order(four, metric):
    runs, _ = four
    figure = alone(metric, runs)
    assert "of 4 runs" in figure.evidence
    assert figure.low < figure.value < figure.high or metric == "error_rate"
    assert bounds(alone(metric, runs[::-1])) == bounds(figure)


def bounds(figure):
    return figure.low, figure.value, figure.high, figure.n, figure.evidence


@pytest.mark.parametrize("metric", AGAINST)
def test_pairs_of_like_runs_leave_a_ratio_of_one_within_its_bounds_and_say_that_starts_are_included(four, metric):
    figure = against(metric, *four)
    like = 0.0 if metric == "build_cpu_saved" else 1.0
    assert figure.low <= like <= figure.high
    assert "4 pairs of runs, how starts differ included" in figure.evidence
    assert bounds(against(metric, *(side[::-1] for side in four))) == bounds(figure)


@pytest.mark.parametrize("metric", AGAINST)
def test_sides_of_unequal_number_are_compared_as_they_are(four, metric):
    ours, theirs = four
    figure = against(metric, ours, theirs[:1])
    assert figure.low <= (0.0 if metric == "build_cpu_saved" else 1.0) <= figure.high
    assert "4 of its runs, 1 of the baseline's" in figure.evidence


@pytest.mark.parametrize("metric", AGAINST)
def test_a_candidate_that_is_its_own_baseline_has_ratio_one(four, metric):
    figure = against(metric, four[0], four[0])
    assert figure.value == pytest.approx(0.0 if metric == "build_cpu_saved" else 1.0)
    assert figure.low <= figure.value <= figure.high


def test_one_run_of_each_says_that_starts_are_not_included(four):
    figure = against("qps_ratio", *(side[:1] for side in four))
    assert "one run of each, so not how two starts differ" in figure.evidence


def test_a_start_with_more_cpu_than_the_others_widens_what_all_say(tmp_path):
    like = [run(tmp_path / "like", seed, cpu_pct={"scheduler_TP1": 50.0}) for seed in range(4)]
    unlike = [run(tmp_path / "unlike", s, cpu_pct={"scheduler_TP1": 50.0 + 10 * s}) for s in range(4)]
    assert width(alone("cpu_total_pct", unlike)) > 10 * width(alone("cpu_total_pct", like))


def test_what_is_systematic_in_a_profile_stays_however_many_runs_there_are(four):
    once, often = (alone("cpu_work_pct", runs) for runs in (four[0][:1], four[0]))
    assert 2 * 0.02 * 30 < width(often) < width(once)
    assert width(once) - width(often) < 2 * 30 * 0.03
    endless = often.project(1e6)
    assert endless.high - endless.low == pytest.approx(2 * 0.02 * 30, rel=0.01)


def test_the_run_without_a_profile_is_named(tmp_path, four):
    poor = run(tmp_path, 9, stack_samples=0)
    poor.layout.folded("scheduler_TP2").unlink()
    figure = alone("cpu_work_pct", [*four[0], poor])
    assert figure.obstacle.startswith(f"{poor.run_id}: no stacks of scheduler_TP2")


def test_memory_is_judged_in_the_longest_run(tmp_path):
    short = make_run(tmp_path, number=1, duration_s=20, rss_bytes=lambda s: 5e8 + 1e6 * s)
    long = make_run(tmp_path, number=0, duration_s=40)
    figure = alone("rss_growth_mb_per_h", [short, long])
    assert (figure.value, long.run_id in figure.evidence) == (0.0, True)


def test_a_rate_of_runs_of_unequal_length_is_all_answers_over_all_seconds(tmp_path):
    runs = [make_run(tmp_path, number=n, duration_s=s, rate_rps=r) for n, (s, r) in enumerate(((10, 100), (30, 50)))]
    figure = alone("qps", runs)
    assert figure.value == pytest.approx(
        sum(alone("qps", [r]).value * s for r, s in zip(runs, (10, 30), strict=True)) / 40
    )
    assert figure.offered_rps == pytest.approx(62.5)


def test_broadcasts_and_batches_of_all_runs_are_counted(four):
    figure = alone("broadcasts_per_batch", four[0])
    assert (figure.value, figure.n) == (1.0, 4 * alone("broadcasts_per_batch", four[0][:1]).n)


@pytest.mark.parametrize(
    ("outcomes", "words"),
    [
        ({}, "design effect 5: 5 was declared, and 0 bursts of errors show no other"),
        (
            dict.fromkeys(range(0, 2000, 100), "http_error"),
            "design effect 2.33: 20 bursts of errors and two unseen (declared: 5)",
        ),
    ],
)
def test_the_evidence_says_which_design_effect_was_used(tmp_path, outcomes, words):
    figure = alone("error_rate", [make_run(tmp_path, duration_s=20, outcomes=outcomes)])
    assert words in figure.evidence


def test_runs_of_which_one_fails_more_say_that_they_differ(tmp_path):
    often = dict.fromkeys(range(0, 2000, 10), "http_error")
    runs = [make_run(tmp_path, number=n, duration_s=20, outcomes=often if n == 3 else {}) for n in range(4)]
    assert "so much do the 4 runs differ (200 bursts of errors)" in alone("error_rate", runs).evidence


@pytest.mark.parametrize("percent", [50, 90, 99])
def test_a_percentile_is_that_of_all_requests_together(four, percent):
    values = np.sort(np.concatenate([alone_values(one) for one in four[0]]))
    assert alone(f"response_p{percent}_ms", four[0]).value == values[-(-percent * len(values) // 100) - 1]


def alone_values(one):
    measured = Rounds([one]).runs[0].measured
    return (measured.done_ns - measured.due_ns) / 1e6


def test_a_candidate_whose_p99_is_infinite_is_slower_than_any_baseline(tmp_path):
    failing = dict.fromkeys(range(0, 4000, 20), "timeout")
    ours = Rounds([make_run(tmp_path, outcomes=failing, number=1)])
    theirs = Rounds([make_run(tmp_path, "rollback")])
    figure = METRICS["response_p99_ratio"].of_two(ours, theirs, Terms(0.95, 1.0))
    assert (figure.value, figure.low, figure.high) == (None, math.inf, math.inf)


def test_a_p99_with_one_burst_beyond_it_is_compared_by_order_statistics(tmp_path):
    def times(scale):
        values = np.full(12_000, 60.0)
        values[5000:5200] = 90.0
        return values * scale

    ours = Rounds([make_run(tmp_path, duration_s=120, response_ms=times(1.0), number=1)])
    theirs = Rounds([make_run(tmp_path, "rollback", duration_s=120, response_ms=times(2.0))])
    figure = METRICS["response_p99_ratio"].of_two(ours, theirs, Terms(0.95, 40.0))
    assert figure.value == 0.5
    assert "order statistics" in figure.evidence
    assert figure.low <= 0.5 <= figure.high


def test_a_server_that_fails_every_request_fails_the_error_rate(tmp_path):
    run = Rounds([make_run(tmp_path, duration_s=10, outcomes=dict.fromkeys(range(1000), "http_error"))])
    figure = METRICS["error_rate"].of_one(run, Terms(0.95, 5.0))
    assert figure.value == 1.0
    assert figure.low > 0.9


def test_one_start_of_four_that_answers_nothing_is_seen_however_the_starts_differ(tmp_path):
    dead = dict.fromkeys(range(3200), "timeout")
    runs = [make_run(tmp_path, duration_s=32, seed=n, number=n, outcomes=dead if n == 2 else {}) for n in range(4)]
    assert METRICS["error_rate"].of_one(Rounds(runs), Terms(0.95, 1.0)).low > 0.001
    assert METRICS["response_p99_ms"].of_one(Rounds(runs), Terms(0.95, 40.0)).low > 500
