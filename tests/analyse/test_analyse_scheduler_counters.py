"""SGLang's own counters of its schedulers beside the samples of their processes."""

import msgspec
import numpy as np
import pytest

from mmload.analyse.cpu import process_series
from mmload.analyse.scheduler_counters import process_of, scheduler_counters, scheduler_disagreements
from mmload.analyse.server_series import server_series
from mmload.model.records import ProcessSample, ServerScrape
from mmload.model.result import PhaseCpu, ProcessCpu

S = 1_000_000_000
NAME = "scheduler_TP0"
LABELS = 'pp_rank="0",tp_rank="0"'


def scrapes(cpu_pct=40.0, idle_pct=30.0, waiting_pct=10.0, seconds=30, reports_every_s=1.7):
    """A scheduler that adds to its counters every now and then, scraped once a second."""
    for second in range(seconds):
        reported_s = reports_every_s * (second // reports_every_s)
        spent = {"idle": idle_pct, "recv_requests": waiting_pct, "run_batch": 100 - idle_pct - waiting_pct}
        stages = {
            f'sglang:scheduler_stage_seconds_total{{category="{stage}",{LABELS}}}': reported_s * pct / 100
            for stage, pct in spent.items()
        }
        yield ServerScrape(
            t_ns=second * S,
            metrics=stages
            | {
                f"sglang:scheduler_process_cpu_seconds_total{{{LABELS}}}": reported_s * cpu_pct / 100,
                f"sglang:scheduler_idle_seconds_total{{{LABELS}}}": reported_s * idle_pct / 100,
            },
        )


def series(*args, **kwargs):
    return server_series(scrapes(*args, **kwargs), 0, 99 * S)


def sampled(cpu_pct, start_s=-5, end_s=40):
    """The samples of a rank that burns so much, evenly."""
    return process_series(
        ProcessSample(
            t_ns=round(t * S),
            pid=7,
            start_ticks=1,
            role="scheduler",
            rank=0,
            cpu_s=100 + t * cpu_pct / 100,
            rss_bytes=1,
            uss_bytes=None,
            threads=1,
            ctx_voluntary=0,
            ctx_involuntary=0,
            fds=1,
            name=NAME,
        )
        for t in np.arange(start_s, end_s, 0.2)
    )


def profiled(total_pct, **shares):
    """What the stacks of the rank say; a share's interval is two points to each side."""
    phases = {
        phase.replace("_", "-"): PhaseCpu(share=share, low=share - 0.02, high=share + 0.02, samples=1000)
        for phase, share in shares.items()
    }
    return {NAME: ProcessCpu(total_pct=total_pct, by_phase=phases)}


def test_what_a_scheduler_counts_is_known_exactly_between_two_of_its_reports():
    counted = scheduler_counters(series(), [NAME])[NAME]
    assert counted.length_s == pytest.approx(1.7 * 16)
    assert counted.cpu_pct == pytest.approx(40)
    assert counted.idle_pct == pytest.approx(30)
    assert counted.stages == pytest.approx({"idle": 0.3, "recv_requests": 0.1, "run_batch": 0.6})


def test_one_report_says_nothing():
    assert scheduler_counters(series(seconds=3), [NAME]) == {}


def test_a_server_without_these_counters_says_nothing():
    bare = server_series(
        [ServerScrape(t_ns=t * S, metrics={"sglang:num_running_reqs": 1.0}) for t in range(9)], 0, 9 * S
    )
    assert scheduler_counters(bare, [NAME]) == {}
    assert scheduler_disagreements(bare, sampled(40), {}) == []


def test_a_server_that_began_anew_is_not_held_against_the_samples():
    older = [msgspec.structs.replace(s, t_ns=s.t_ns + 40 * S) for s in scrapes()]
    both = server_series([*scrapes(), *older], 0, 99 * S)
    assert both.restarts == 1
    assert scheduler_counters(both, [NAME]) == {}


@pytest.mark.parametrize("cpu_pct", [2.0, 40.0, 100.0, 260.0])
def test_equal_counts_are_no_disagreement(cpu_pct):
    assert scheduler_disagreements(series(cpu_pct), sampled(cpu_pct), {}) == []


@pytest.mark.parametrize("wrong", [0.9, 1.1])
def test_a_tenth_more_or_less_is_named_with_both_figures(wrong):
    (said,) = scheduler_disagreements(series(40.0), sampled(40.0 * wrong), {})
    assert said.startswith("scheduler_TP0 counts 10.88 s of CPU of its own in 27.2 s; sampled were")
    assert f"{0.272 * 40 * wrong:.2f}" in said


def test_polling_for_longer_than_it_waited_is_named():
    server, samples = series(100.0, idle_pct=30.0, waiting_pct=10.0), sampled(100.0)
    assert scheduler_disagreements(server, samples, profiled(100.0, idle_poll=0.42, schedule=0.58)) == []
    (said,) = scheduler_disagreements(server, samples, profiled(100.0, idle_poll=0.60, schedule=0.40))
    assert "waited for requests 40 % of the time" in said
    assert "polled for 58 % or more: its work may be understated" in said


def test_working_while_there_was_nothing_to_do_is_named():
    server, samples = series(100.0, idle_pct=60.0), sampled(100.0)
    assert scheduler_disagreements(server, samples, profiled(100.0, idle_poll=0.58, schedule=0.42)) == []
    (said,) = scheduler_disagreements(server, samples, profiled(100.0, idle_poll=0.01, other=0.99))
    assert "had nothing to do 60 % of the time" in said
    assert "worked for 97 % or more: part of its idle loop may be taken for work" in said


def test_a_forward_pass_may_take_more_threads_than_the_loop():
    server, samples = series(170.0, idle_pct=50.0), sampled(170.0)
    assert scheduler_disagreements(server, samples, profiled(170.0, idle_poll=0.05, forward=0.85, other=0.1)) == []


@pytest.mark.parametrize(
    ("place", "names", "found"),
    [
        ("PP0_TP0", ["scheduler_TP0", "scheduler_TP1", "tokenizer"], "scheduler_TP0"),
        ("TP1", ["scheduler_TP0", "scheduler_TP1"], "scheduler_TP1"),
        ("DP1_PP0_TP0", ["scheduler_DP0_TP0", "scheduler_DP1_TP0"], "scheduler_DP1_TP0"),
        ("DP0_PP1_TP1", ["scheduler_PP0_TP1", "scheduler_PP1_TP1", "scheduler_PP1_TP0"], "scheduler_PP1_TP1"),
        ("PP0_TP1", ["scheduler_TP1_EP0", "scheduler_TP11"], "scheduler_TP1_EP0"),
        ("TP0", ["scheduler_DP0_TP0", "scheduler_DP1_TP0"], "scheduler_TP0"),
        ("PP0_TP0", [], "scheduler_PP0_TP0"),
    ],
)
def test_a_page_s_labels_lead_to_the_process_of_that_title(place, names, found):
    assert process_of(place, names) == found
