"""What the handoff costs by the stack samples, beside what a server's counters say of it."""

import re

import pytest
from factory import make_run
from planted_stacks import with_stacks

from mmload.analyse.summary import summarise
from mmload.model.result import Estimate

RANK = {"hash": 300, "materialise": 100, "pickle": 100, "receive": 100, "forward": 400}
TOKENIZER = {"http": 500, "pickle": 500}


def run_with(folder, stacks, **truth):
    """A run whose ranks burn 30 % and whose tokenizer burns 20 % of a core at 100 answers a second, with these stacks."""
    return with_stacks(make_run(folder, **truth), stacks)


EVEN = {"scheduler_TP0": RANK, "scheduler_TP1": RANK, "tokenizer": TOKENIZER}


def test_cpu_of_a_phase_per_request_is_its_share_of_the_total_over_the_answers(tmp_path):
    summary = summarise(run_with(tmp_path, EVEN))
    hashed = summary.cpu["scheduler_TP0"].by_phase["hash"]
    assert (hashed.share, hashed.samples) == (0.3, 300)
    cost = hashed.ms_per_request
    assert cost.value == pytest.approx(10 * 30 * 0.3 / summary.achieved_rate_rps, rel=0.01)
    assert cost.low < cost.value < cost.high
    assert summary.cpu["generator-0"].by_phase == {}


def test_waits_cost_no_request_anything(tmp_path):
    polling = {**EVEN, "scheduler_TP1": {"hash": 100, "poll": 900}}
    by_phase = summarise(run_with(tmp_path, polling)).cpu["scheduler_TP1"].by_phase
    assert by_phase["idle-poll"].ms_per_request is None
    assert by_phase["hash"].ms_per_request.value == pytest.approx(0.3, rel=0.05)


def test_build_and_handoff_are_over_the_tokenizer_and_all_ranks_and_http_is_no_part_of_them(tmp_path):
    summary = summarise(run_with(tmp_path, EVEN))
    rps, costs = summary.achieved_rate_rps, summary.phase_cpu_ms_per_request
    assert costs["build"].value == pytest.approx(10 * 2 * 30 * 0.4 / rps, rel=0.01)
    assert costs["handoff"].value == pytest.approx(10 * (2 * 30 * 0.6 + 20 * 0.5) / rps, rel=0.01)
    assert all(cost.low < cost.value < cost.high for cost in costs.values())


def test_ranks_that_err_in_the_same_way_make_their_sum_no_surer(tmp_path_factory):
    def spread(tp):
        ranks = {f"scheduler_TP{rank}": {"hash": 500, "forward": 500} for rank in range(tp)}
        run = run_with(tmp_path_factory.mktemp("run"), {**ranks, "tokenizer": {"http": 1000}}, tp=tp)
        build = summarise(run).phase_cpu_ms_per_request["build"]
        return (build.high - build.low) / build.value

    assert spread(tp=4) == pytest.approx(spread(tp=2), rel=0.2)


def test_without_counters_the_samples_stand_in_the_same_places_and_say_so(tmp_path):
    summary = summarise(run_with(tmp_path, EVEN))
    assert summary.handoff_source == "samples"
    by_rank = summary.handoff['build_cpu_ms_per_request{process="scheduler_TP1"}']
    assert summary.handoff["build_cpu_ms_per_request"] == pytest.approx(2 * by_rank)
    assert summary.handoff["build_cpu_ms_per_request"] == summary.phase_cpu_ms_per_request["build"].value


def test_a_process_whose_division_is_unknown_makes_the_sum_unknown(tmp_path):
    without_one = {name: stacks for name, stacks in EVEN.items() if name != "tokenizer"}
    summary = summarise(run_with(tmp_path, without_one))
    assert (summary.phase_cpu_ms_per_request, summary.handoff, summary.handoff_source) == ({}, {}, None)


def test_a_short_window_has_costs_without_intervals(tmp_path):
    summary = summarise(run_with(tmp_path, EVEN, duration_s=3))
    assert summary.phase_cpu_ms_per_request["build"] == Estimate(value=pytest.approx(2.4, rel=0.1))


def disagreements(run):
    return [warning for warning in summarise(run).warnings if "by the stack samples" in warning]


def test_counters_that_agree_with_the_samples_are_shown_without_a_word(tmp_path):
    agreeing = run_with(tmp_path, EVEN, build_ms={"scheduler_TP0": 1.2, "scheduler_TP1": 1.2})
    assert summarise(agreeing).handoff_source == "counters"
    assert not any("of the build" in warning for warning in disagreements(agreeing))


@pytest.mark.parametrize("counted_ms", [0.2, 5.0])
def test_counters_that_say_something_else_are_named_with_both_figures(tmp_path, counted_ms):
    apart = run_with(tmp_path, EVEN, build_ms=dict.fromkeys(("scheduler_TP0", "scheduler_TP1"), counted_ms))
    (said,) = [warning for warning in disagreements(apart) if "of the build" in warning]
    counted, sampled = map(float, re.findall(r"([\d.]+) ms", said))
    assert counted == pytest.approx(2 * counted_ms, rel=0.03)
    assert sampled == pytest.approx(2.4, rel=0.03)


def test_requests_without_media_make_no_disagreement(tmp_path):
    """Counters count by requests with media: a sixth of the answers here."""
    costs, met = {"scheduler_TP0": 7.2, "scheduler_TP1": 7.2}, dict.fromkeys(("scheduler_TP0", "scheduler_TP1"), 1 / 6)
    run = run_with(tmp_path, EVEN, build_ms=costs, met=met)
    assert not any("of the build" in warning for warning in disagreements(run))
