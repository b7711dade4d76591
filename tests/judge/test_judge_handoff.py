"""What the handoff costs a request, as a figure of one side; and rates that are known though nothing bounds them."""

import math

import pytest
from factory import make_run
from planted_stacks import with_stacks

from mmload.judge.comparison import compare
from mmload.judge.evidence import Rounds
from mmload.judge.figures import Terms
from mmload.judge.metrics import METRICS

TERMS = Terms(0.95, 1.0)
BUILT_MS = {"tokenizer": 2.0, "scheduler_TP0": 1.0}
STACKS = {"tokenizer": {"http": 4000}, **{f"scheduler_TP{rank}": {"hash": 2400, "forward": 1600} for rank in (0, 1)}}


def figure(metric, *runs):
    return METRICS[metric].of_one(Rounds(runs), TERMS)


def rounds(folder, **truth):
    return [make_run(folder, number=n, seed=n, duration_s=20.0, **truth) for n in range(2)]


@pytest.mark.parametrize(("metric", "ms"), [("build_cpu_ms_per_request", 3.0), ("handoff_cpu_ms_per_request", 7.5)])
def test_what_the_server_counted_is_what_a_request_costs(tmp_path, metric, ms):
    found = figure(metric, *rounds(tmp_path, build_ms=BUILT_MS))
    assert found.value == pytest.approx(ms, rel=0.05)
    assert found.low <= found.value <= found.high
    assert "by the server's counters" in found.evidence
    assert not found.profiled


def test_without_counters_the_stacks_say_it(tmp_path):
    runs = [with_stacks(run, STACKS) for run in rounds(tmp_path)]
    found = figure("build_cpu_ms_per_request", *runs)
    assert found.value == pytest.approx(2 * 0.6 * 30 / 100 * 10, rel=0.05)
    assert found.low < found.value < found.high
    assert found.profiled


def test_without_either_nobody_knows(tmp_path):
    found = figure("build_cpu_ms_per_request", make_run(tmp_path, stack_samples=0))
    assert found.value is None
    assert "no counters of the handoff" in found.obstacle


@pytest.mark.parametrize(
    ("metric", "value", "obstacle"),
    [("build_cpu_ms_per_request", 3.0, "too few scrapes"), ("qps", 100.0, "shorter than")],
)
def test_a_short_run_has_the_figure_and_no_bounds(tmp_path, metric, value, obstacle):
    found = figure(metric, make_run(tmp_path, duration_s=3.0, build_ms=BUILT_MS))
    assert found.value == pytest.approx(value, rel=0.1)
    assert (found.low, found.high) == (-math.inf, math.inf)
    assert obstacle in found.obstacle


def test_levels_say_what_they_were_taken_from(tmp_path):
    counted = make_run(tmp_path, "optimized", number=1, duration_s=20.0, build_ms=BUILT_MS)
    sampled = with_stacks(make_run(tmp_path, "original", duration_s=20.0), STACKS)
    found = {
        side.name: side.levels for side in compare({"original": [sampled], "optimized": [counted]}, "original").sides
    }
    assert found["original"]["build_cpu"].source == "samples"
    assert found["optimized"]["build_cpu"].source == "counters"
    assert found["optimized"]["qps"].source is None
