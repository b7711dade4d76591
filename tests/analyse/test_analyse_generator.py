import pytest
from factory import START_NS, S, make_run

from mmload.analyse.load import Window, measure_window, measured_requests
from mmload.analyse.load_generator import generator_faults, generator_health, generator_warnings
from mmload.model.plan import GeneratorLimits
from mmload.model.records import GeneratorSample
from mmload.model.result import GeneratorHealth
from mmload.store.requests import table_of

WINDOW = Window(START_NS, START_NS + 10 * S, complete=True)
LIMITS = GeneratorLimits(lag_p99_ms=10, stall_ms=250, undelivered=0.001)


def health(**changes):
    good = {"lag_p50_ms": 0.2, "lag_p99_ms": 1.0, "lag_max_ms": 2.0, "longest_stall_ms": 5.0}
    costs = {"cpu_pct": 10.0, "cpu_s_per_1000_requests": 1.0}
    return GeneratorHealth(scheduled=2000, sent=2000, **{**good, **costs, **changes})


def samples(at_s, worker=0, stall_ms=1.0):
    return [
        GeneratorSample(
            t_ns=START_NS + round(s * S),
            worker=worker,
            due=n,
            sent=n,
            done=n * 10,
            in_flight=1,
            stall_ms=stall_ms,
            cpu_s=s / 5,
        )
        for n, s in enumerate(at_s)
    ]


def test_a_good_generator_has_no_faults():
    assert generator_faults(health(), LIMITS) == []


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"lag_p99_ms": 14.2}, "requests were sent late: lag p99 14.2 ms, the limit is 10 ms"),
        ({"longest_stall_ms": 990.0}, "the generator stood still for 990 ms, the limit is 250 ms"),
        (
            {"longest_stall_ms": None},
            "no word from the generator in the measure window: nobody can tell whether it stood still",
        ),
        (
            {"lag_share": 0.25, "lag_mean_ms": 5.0},
            "25% of the response time was the generator's own lag, the limit is 20%: use more --workers, or fewer requests",
        ),
        ({"read_lag_p99_ms": 80.0}, "answers were read late: p99 80.0 ms after they came, the limit is 10 ms"),
        (
            {"busiest_pct": 99.6},
            "the generator was at its own limit: a worker took 100 % of a core, the limit is 95 %: use more --workers",
        ),
        ({"undelivered": 3}, "3 of 2,000 scheduled requests were not delivered (0.15%), the limit is 0.10%"),
    ],
)
def test_each_limit_passed_is_a_sentence_with_its_figure(changes, sentence):
    assert generator_faults(health(**changes), LIMITS) == [sentence]


def test_lag_that_can_be_seen_in_the_p99_is_a_warning():
    assert generator_warnings(health(lag_p99_ms=9.0), 200.0) == []
    assert generator_warnings(health(lag_p99_ms=9.0), None) == []
    (warning,) = generator_warnings(health(lag_p99_ms=9.0), 100.0)
    assert "9.0 ms late (p99), 9% of the P99 response time" in warning


def test_the_share_of_lag_is_of_the_response_time_of_correct_answers(tmp_path):
    run = make_run(tmp_path)
    measured = measured_requests(run.requests, measure_window(run))
    found = generator_health(measured, 0, [], measure_window(run))
    response_ms = (measured.done_ns[measured.is_ok] - measured.due_ns[measured.is_ok]).mean() / 1e6
    assert found.lag_share == pytest.approx(found.lag_mean_ms / response_ms)


def test_lag_is_sent_behind_due_without_the_time_to_connect(tmp_path):
    run = make_run(tmp_path, lag_ms=7.0, duration_s=5)
    window = measure_window(run)
    found = generator_health(measured_requests(run.requests, window), 0, run.generator, window)
    assert (found.lag_p50_ms, found.lag_p99_ms) == (7.0, 7.0)


def test_dropped_and_missing_requests_are_undelivered(tmp_path):
    run = make_run(tmp_path, duration_s=5, outcomes={3: "dropped", 4: "timeout"})
    window = measure_window(run)
    found = generator_health(measured_requests(run.requests, window), 2, run.generator, window)
    assert (found.scheduled, found.sent, found.undelivered) == (502, 499, 3)


def test_what_the_end_of_the_run_dropped_is_not_undelivered(tmp_path):
    run = make_run(tmp_path, duration_s=5, outcomes={3: "dropped", 4: "dropped"})
    window = measure_window(run)
    measured = measured_requests(run.requests, window)
    assert generator_health(measured, 0, run.generator, window, "planted: dropped").undelivered == 0
    assert generator_health(measured, 0, run.generator, window, "scheduler_TP1 ended").undelivered == 2


def test_a_worker_that_was_stopped_is_found_by_its_silence():
    stopped = [s / 4 for s in range(41) if not 12 < s < 20]
    found = generator_health(table_of([]), 0, samples(stopped, worker=1) + samples([s / 4 for s in range(41)]), WINDOW)
    assert found.longest_stall_ms == pytest.approx(1750)


def test_the_cost_of_all_workers_is_added_up():
    every = [s / 4 for s in range(41)]
    found = generator_health(table_of([]), 0, samples(every, worker=0) + samples(every, worker=1), WINDOW)
    assert (found.cpu_pct, found.cpu_s_per_1000_requests) == (pytest.approx(40), pytest.approx(5))


def test_without_samples_nothing_is_claimed():
    found = generator_health(table_of([]), 0, [], WINDOW)
    assert (found.longest_stall_ms, found.cpu_pct, found.lag_p99_ms, found.cpu_s_per_1000_requests) == (None,) * 4


def test_a_short_window_in_which_one_sample_falls_is_no_silence():
    window = Window(START_NS, START_NS + S // 2, complete=True)
    assert generator_health(table_of(()), 0, samples([0.26]), window).longest_stall_ms <= 10.0


def test_what_a_run_that_was_ended_early_says_no_more_is_no_stall():
    ended = generator_health(table_of(()), 0, samples([0.25, 0.5]), WINDOW, "the server died")
    assert ended.longest_stall_ms == 1.0
    assert generator_health(table_of(()), 0, samples([0.25, 0.5]), WINDOW).longest_stall_ms == 9250.0
