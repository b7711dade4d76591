import numpy as np
import pytest
from factory import START_NS, S, make_run
from hypothesis import given
from hypothesis import strategies as st

from mmload.analyse.cpu import (
    Interval,
    coverage,
    host_busy_share,
    process_series,
    rss_max_bytes,
    system_pct,
    total_interval,
    total_pct,
    work_interval,
)
from mmload.analyse.leak import rss_growth_mb_per_h
from mmload.analyse.load import Window, measure_window
from mmload.model.records import ProcessSample

WINDOW = Window(START_NS + 10 * S, START_NS + 30 * S, complete=True)
SHARES = st.floats(0, 1)


def sample(s, cpu_s, name="scheduler_TP0", **changes):
    zero = dict.fromkeys(("uss_bytes", "threads", "ctx_voluntary", "ctx_involuntary", "fds"), 0)
    known = {
        "t_ns": START_NS + round(s * S),
        "pid": 7,
        "start_ticks": 1,
        "role": "scheduler",
        "rank": 0,
        "rss_bytes": 10,
    }
    return ProcessSample(**{**zero, **known, "cpu_s": cpu_s, "name": name, **changes})


def one_series(samples):
    return process_series(samples)["scheduler_TP0"]


def test_total_cpu_is_interpolated_at_the_edges_of_the_window():
    # busy at 100 % until second 20, then idle; samples straddle both edges
    series = one_series([sample(s, min(s, 20)) for s in (7, 13, 20, 27, 33)])
    assert total_pct(series, WINDOW) == pytest.approx(50)


def test_the_kernels_part_of_the_total_counts_on_over_a_restart_and_is_unknown_where_nobody_asked():
    before = [sample(s, 100 + s / 2, cpu_system_s=40 + s / 4) for s in range(10, 21)]
    after = [sample(s, (s - 20) / 2, start_ticks=2, cpu_system_s=(s - 20) / 4) for s in range(20, 31)]
    assert system_pct(one_series(before + after), WINDOW) == pytest.approx(25)
    assert system_pct(one_series([sample(s, s / 2) for s in (5, 15, 35)]), WINDOW) is None


def test_a_process_sampled_for_less_than_a_second_has_no_figure():
    assert total_pct(one_series([sample(20, 1.0), sample(20.5, 1.4)]), WINDOW) is None
    assert total_pct(one_series([sample(20, 1.0)]), WINDOW) is None


def test_coverage_is_the_part_of_the_window_between_the_first_and_the_last_sample():
    assert coverage(one_series([sample(s, 0) for s in (5, 15)]), WINDOW) == pytest.approx(0.25)
    assert coverage(one_series([sample(s, 0) for s in (5, 40)]), WINDOW) == 1.0
    assert coverage(one_series([sample(s, 0) for s in (1, 5)]), WINDOW) == 0.0


def test_a_restarted_process_counts_on():
    before = [sample(s, 100 + s / 2) for s in range(10, 21)]
    after = [sample(s, (s - 20) / 2, start_ticks=2) for s in range(20, 31)]
    assert total_pct(one_series(before + after), WINDOW) == pytest.approx(50)


def test_a_steady_process_has_a_narrow_interval_and_a_changing_one_a_wide_one():
    steady = total_interval(one_series([sample(s, s / 2) for s in range(41)]), WINDOW)
    rng = np.random.default_rng(1)
    uneven = np.cumsum(rng.random(41)).tolist()
    wide = total_interval(one_series([sample(s, cpu) for s, cpu in enumerate(uneven)]), WINDOW)
    assert steady.high - steady.low < 1e-6
    assert wide.low < 50 < wide.high


@given(st.floats(0, 400), SHARES, SHARES, SHARES, SHARES)
def test_work_lies_within_its_bounds_and_never_above_the_total(total, below, above, share, spread):
    work = work_interval(
        Interval(total, total * (1 - below), total * (1 + above)),
        Interval(share, max(0.0, share - spread), min(1.0, share + spread)),
    )
    assert 0 <= work.low <= work.value <= work.high <= total * (1 + above) + 1e-9
    assert work.value == pytest.approx(total * share)


def test_memory_is_the_most_within_the_window():
    series = one_series([sample(5, 0, rss_bytes=99), sample(15, 0, rss_bytes=20), sample(25, 0, rss_bytes=30)])
    assert rss_max_bytes(series, WINDOW) == 30


def test_unnamed_samples_are_named_by_role_and_rank():
    assert list(process_series([sample(1, 0, name="", rank=3)])) == ["scheduler_TP3"]


def test_the_share_of_a_busy_host_is_known(tmp_path):
    run = make_run(tmp_path, duration_s=10)
    assert host_busy_share(run.host, measure_window(run)) == pytest.approx(0.5)
    assert host_busy_share(run.host[:1], measure_window(run)) is None


def test_growing_memory_is_seen_through_warm_up_and_noise():
    rng = np.random.default_rng(2)
    hour = Window(START_NS, START_NS + 3600 * S, complete=True)

    def growth(mb_per_h):
        warm = [
            1e9 * (1 - np.exp(-s / 300)) + mb_per_h * 1e6 * s / 3600 + 1e5 * rng.random() for s in range(0, 3600, 5)
        ]
        return rss_growth_mb_per_h(
            one_series([sample(s * 5, 0, rss_bytes=round(rss)) for s, rss in enumerate(warm)]), hour, 0.95
        )

    flat, leaking = growth(0), growth(60)
    assert flat.high < 10
    assert leaking.low > 50
    assert leaking.high < 70


def test_a_handful_of_samples_shows_no_growth():
    samples = [sample(s, 0) for s in range(12, 30, 4)]
    assert rss_growth_mb_per_h(one_series(samples), WINDOW, 0.95) is None


def test_samples_in_any_order_give_the_same_series():
    samples = [sample(s, s / 2) for s in range(41)]
    one, other = one_series(samples), one_series(samples[::-1])
    assert all(np.array_equal(getattr(one, f), getattr(other, f)) for f in ("t_ns", "cpu_s", "rss_bytes"))
