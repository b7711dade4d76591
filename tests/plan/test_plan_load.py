"""Ramps, steps and traces as a plan holds them."""

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmload.errors import ConfigError, UsageError
from mmload.model.plan import ClosedLoop, OpenLoop, Plan
from mmload.plan.arrivals import PHASES, build_schedule
from mmload.plan.arrivals_trace import file_sha256
from mmload.plan.load_text import load_options, load_text
from mmload.plan.load_words import open_loop
from mmload.plan.workload import Text, Workload

S = 1_000_000_000


def planned(load, **more):
    workload = msgspec.to_builtins(Workload(about="words", rate_rps=10, items=(Text(),)))
    plan = Plan(variant=None, workload_name="text", workload=workload, load=load, duration_s=20, warmup_s=4)
    return msgspec.structs.replace(plan, **more)


def measured_s(schedule, warmup_s=4):
    measured = schedule.main.phase == PHASES.index("measure")
    return schedule.main.due_offset_ns[measured] / 1e9 - warmup_s


def test_steps_cut_the_window_into_equal_parts_with_exact_counts():
    schedule = build_schedule(planned(open_loop("10,40,20,50", "poisson", None)))
    counts, _ = np.histogram(measured_s(schedule), [0, 5, 10, 15, 20])
    assert counts.sum() == 600
    assert counts == pytest.approx([50, 200, 100, 250], abs=4 * np.sqrt(250))
    constant = build_schedule(planned(open_loop("10,40,20,50", "constant", None)))
    assert np.histogram(measured_s(constant), [0, 5, 10, 15, 20])[0].tolist() == [50, 200, 100, 250]


def test_a_ramp_grows_linearly():
    schedule = build_schedule(planned(open_loop("0.01..100", "constant", None)))
    at_s = measured_s(schedule)
    assert len(at_s) == 1000
    assert np.searchsorted(at_s, 10.0) == pytest.approx(250, abs=2)


def test_before_the_window_the_rate_is_that_it_begins_with_and_in_the_profile_its_mean():
    schedule = build_schedule(planned(open_loop("10,30", "constant", None)))
    assert (schedule.main.phase == PHASES.index("warmup")).sum() == 40
    assert len(schedule.profile) == 20 * 12


@pytest.fixture
def trace(tmp_path):
    file = tmp_path / "day.csv"
    file.write_text("t_s,item\n100.0,3\n100.5,1\n102.0,3\n")
    return file


def test_a_trace_is_replayed_with_its_items(trace):
    load = OpenLoop(rate_rps=1.0, arrival="trace", trace=str(trace), trace_sha256=file_sha256(trace))
    schedule = build_schedule(planned(load, duration_s=3.0))
    assert measured_s(schedule).tolist() == [0.0, 0.5, 2.0]
    assert schedule.main.item[schedule.main.phase == PHASES.index("measure")].tolist() == [3, 1, 3]


def test_a_trace_that_has_changed_is_refused(trace):
    load = OpenLoop(rate_rps=1.0, arrival="trace", trace=str(trace), trace_sha256=file_sha256(trace))
    trace.write_text("t_s\n1\n")
    with pytest.raises(ConfigError, match="has changed since the plan was made"):
        build_schedule(planned(load))


@pytest.mark.parametrize("text", ["fast", "1..x", "1,,2", "", "0", "1,-2", "1..2..3"])
def test_a_rate_that_is_none_is_named(text):
    with pytest.raises(UsageError, match="--rate"):
        open_loop(text, "poisson", None)


@given(st.lists(st.integers(1, 5000), min_size=1, max_size=5))
def test_a_load_in_words_plans_the_same_load(rates):
    load = open_loop(",".join(map(str, rates)), "poisson", None)
    assert load.rate_rps == pytest.approx(sum(rates) / len(rates))
    option, text, *_ = load_options(load)
    assert option == "--rate"
    assert open_loop(text, "poisson", None) == load


def test_each_kind_of_load_has_its_words():
    assert load_text(OpenLoop(rate_rps=100)) == "100 req/s"
    assert load_text(open_loop("20..200", "poisson", None)) == "20..200 req/s"
    assert load_text(OpenLoop(rate_rps=31.234, arrival="trace", trace="/a/day.csv")) == "trace day.csv, 31.23 req/s"
    assert load_text(ClosedLoop(concurrency=32)) == "32 in flight"
    assert load_options(ClosedLoop(concurrency=32)) == ["--concurrency", "32"]
