import random

import msgspec
import pytest
from factory import make_run
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from planted_stacks import with_stacks

from mmload.analyse.summary import judge_generator, summarise
from mmload.errors import FolderError
from mmload.model.records import RequestRecord
from mmload.store.append import write_document
from mmload.store.read import Run, read_lines

BUILD_MS = {"scheduler_TP0": 2.0, "scheduler_TP1": 2.0}


def again(run):
    return summarise(Run(run.layout.path))


def test_an_ordinary_run_is_summarised_from_its_folder(tmp_path):
    summary = summarise(make_run(tmp_path, build_ms=BUILD_MS))
    assert (summary.requests, summary.outcomes, summary.error_rate) == (4000, {"ok": 4000}, 0.0)
    assert summary.offered_rate_rps == pytest.approx(100)
    assert summary.achieved_low < summary.achieved_rate_rps < summary.achieved_high
    assert summary.response_ms.p50 == pytest.approx(60, rel=0.05)
    assert summary.cpu["scheduler_TP1"].total_pct == pytest.approx(30, abs=0.1)
    assert summary.cpu["scheduler_TP1"].work_low < summary.cpu["scheduler_TP1"].work_pct
    assert summary.handoff["build_cpu_ms_per_request"] == pytest.approx(4, rel=0.05)
    assert summary.identity == {"same-0": "red", "same-1": "green", "same-2": "blue", "same-3": "grey"}
    assert summary.warnings == []


@settings(max_examples=5, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.randoms(use_true_random=False))
def test_the_order_of_records_does_not_matter(tmp_path_factory, rng: random.Random):
    run = make_run(tmp_path_factory.mktemp("run"), duration_s=10, build_ms=BUILD_MS, outcomes={5: "timeout"})
    before = msgspec.json.encode(summarise(run))
    for path in run.layout.path.glob("*.jsonl"):
        lines = path.read_text().splitlines(keepends=True)
        rng.shuffle(lines)
        path.write_text("".join(lines))
    assert msgspec.json.encode(again(run)) == before


def test_a_summary_made_again_has_the_same_bytes(tmp_path):
    run = make_run(tmp_path, build_ms=BUILD_MS)
    assert msgspec.json.encode(summarise(run)) == msgspec.json.encode(again(run))


def test_a_run_that_was_killed_is_partial_and_keeps_its_figures(tmp_path):
    summary = summarise(make_run(tmp_path, status="running", ends_after_s=22))
    assert summary.status == "partial"
    assert summary.duration_s == pytest.approx(20, abs=0.1)
    assert summary.offered_rate_rps == pytest.approx(100, rel=0.1)


def test_requests_without_a_record_are_undelivered_and_said(tmp_path):
    run = make_run(tmp_path, status="running", ends_after_s=22)
    lines = run.layout.requests.read_text().splitlines(keepends=True)
    whole = summarise(run)
    run.layout.requests.write_text("".join(line for n, line in enumerate(lines) if n % 2 or '"measure"' not in line))
    half = again(run)
    assert half.offered_rate_rps == whole.offered_rate_rps
    assert half.generator.scheduled == whole.generator.scheduled
    missing = half.generator.undelivered
    assert missing == half.generator.scheduled - half.requests > 900
    assert f"{missing:,} of {half.generator.scheduled:,} scheduled requests have no record" in half.warnings


def test_a_run_that_ended_before_it_measured_claims_nothing(tmp_path):
    run = make_run(tmp_path, duration_s=5)
    write_document(run.layout.manifest, msgspec.structs.replace(run.manifest, phases=[], status="failed"))
    run.layout.requests.write_bytes(b"")
    summary = again(run)
    assert (summary.requests, summary.error_rate, summary.response_ms.p99, summary.cpu) == (0, None, None, {})
    assert judge_generator(summary, run.plan.limits) == []


def test_poor_data_is_null_and_never_zero(tmp_path):
    run = make_run(tmp_path, duration_s=10, stack_samples=0)
    run.layout.generator.write_bytes(b"")
    summary = again(run)
    assert summary.cpu["scheduler_TP0"].work_pct is None
    assert (summary.generator.longest_stall_ms, summary.generator.cpu_pct) == (None, None)
    assert summary.handoff == {}


def test_a_short_window_has_figures_without_intervals(tmp_path):
    summary = summarise(make_run(tmp_path, duration_s=3))
    assert (summary.achieved_low, summary.cpu["tokenizer"].total_low) == (None, None)
    assert summary.cpu["tokenizer"].total_pct == pytest.approx(20, abs=1)


def test_the_summary_says_what_reuse_was_asked_for_and_what_the_cache_held(tmp_path):
    run = make_run(tmp_path, duration_s=5)
    workload = {"reuse": 0.5, "of a later version": 1}
    write_document(run.layout.plan, msgspec.structs.replace(run.plan, workload=workload))
    asked = again(run)
    assert (asked.reuse, asked.cache_hit_share, asked.cached_token_share) == (0.5, 0.0, 0.0)
    assert summarise(make_run(tmp_path, number=1, duration_s=5)).reuse == 0.0


def test_a_closed_loop_offers_no_rate(tmp_path):
    assert summarise(make_run(tmp_path, concurrency=8, duration_s=5)).offered_rate_rps is None


def test_a_busy_host_is_a_warning_and_no_fault(tmp_path):
    run = make_run(tmp_path, duration_s=5)
    path = run.layout.host
    path.write_text(path.read_text().replace('"cores":2', '"cores":1'))
    summary = again(run)
    assert [w for w in summary.warnings if "busy" in w] == [
        "the host was 100% busy: server and generator took each other's CPU; use more cores"
    ]
    assert judge_generator(summary, run.plan.limits) == []


def test_a_process_hardly_sampled_is_named(tmp_path):
    run = make_run(tmp_path, duration_s=5)
    path = run.layout.processes
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line for n, line in enumerate(lines) if "scheduler_TP1" not in line or n < 10))
    summary = again(run)
    assert "scheduler_TP1" not in summary.cpu
    assert any("CPU of scheduler_TP1 is unknown" in warning for warning in summary.warnings)


def test_stacks_of_a_process_that_nobody_sampled_are_named_and_not_shown(tmp_path):
    summary = summarise(with_stacks(make_run(tmp_path), {"scheduler_TP7": {"hash": 10}}))
    assert "the stacks of scheduler_TP7 are of no process that was sampled: left out" in summary.warnings
    assert "scheduler_TP7" not in summary.cpu


def test_what_an_interrupt_left_undelivered_is_not_the_generators_fault(tmp_path):
    dropped = dict.fromkeys(range(400, 500), "dropped")
    interrupted = make_run(tmp_path, duration_s=5, status="partial", error="planted: dropped", outcomes=dropped)
    assert judge_generator(summarise(interrupted), interrupted.plan.limits) == []
    complete = make_run(tmp_path, number=1, duration_s=5, outcomes=dropped)
    assert len(judge_generator(summarise(complete), complete.plan.limits)) == 1


@pytest.mark.parametrize("status", ["complete", "partial", "failed"])
def test_a_generator_that_lagged_makes_the_run_invalid_whatever_became_of_the_server(tmp_path, status):
    late = make_run(tmp_path, lag_ms=40.0, duration_s=5, status=status, error="scheduler_TP1 ended")
    assert any("sent late" in reason for reason in judge_generator(summarise(late), late.plan.limits))


def test_when_most_requests_failed_that_is_the_first_warning_and_then_how_the_others_did(tmp_path):
    outcomes = dict.fromkeys(range(300), "http_error") | dict.fromkeys(range(300, 400), "timeout")
    run = make_run(tmp_path, duration_s=5, outcomes=outcomes, response_ms=range(500))
    write_document(run.layout.manifest, msgspec.structs.replace(run.manifest, warnings=["something small"]))
    assert again(run).warnings == [
        "400 of 500 requests failed, 300 of them with: planted: http_error",
        "ok only: response p50 449.0, P99 498.0 ms (100)",
        "something small",
    ]
    half = make_run(tmp_path, number=1, duration_s=5, outcomes=dict.fromkeys(range(250), "timeout"))
    assert summarise(half).warnings == []


def test_a_server_that_says_fewer_tokens_than_it_sends_pieces_is_named_and_not_believed(tmp_path):
    run = make_run(tmp_path, duration_s=5)
    path, honest = run.layout.requests, summarise(run)
    path.write_text(path.read_text().replace('"completion_tokens":4', '"completion_tokens":2'))
    summary = again(run)
    assert (summary.tpot_ms, summary.tokens_per_s) == (honest.tpot_ms, honest.tokens_per_s)
    assert summary.warnings[-1:] == [
        "500 answers bring more pieces than the server says tokens: the pieces are counted"
    ]


def test_answers_owed_from_warm_up_are_named_when_they_raise_the_achieved_rate(tmp_path):
    run = make_run(tmp_path, duration_s=10, warmup_s=2)
    start_ns = run.manifest.phases[1].start_ns
    late = [
        msgspec.structs.replace(r, done_ns=start_ns + n) if r.phase == "warmup" else r
        for n, r in enumerate(read_lines(run.layout.requests, RequestRecord))
    ]
    run.layout.requests.write_bytes(b"".join(msgspec.json.encode(r) + b"\n" for r in late))
    (warning,) = again(run).warnings
    assert warning.startswith("200 of the answers in the window were due in warm-up")


def test_what_chance_leaves_in_flight_at_the_end_of_warm_up_is_no_warning(tmp_path):
    run = make_run(tmp_path, duration_s=4, rate_rps=20.0, response_ms=[5.0] * 80)
    start_ns = run.manifest.phases[1].start_ns
    late = [
        msgspec.structs.replace(r, done_ns=start_ns + 1) if r.phase == "warmup" and start_ns - r.due_ns < 2e8 else r
        for r in read_lines(run.layout.requests, RequestRecord)
    ]
    run.layout.requests.write_bytes(b"".join(msgspec.json.encode(r) + b"\n" for r in late))
    summary = again(run)
    assert summary.achieved_rate_rps > summary.offered_rate_rps
    assert summary.warnings == []


@pytest.mark.parametrize("name", ["requests", "processes"])
def test_a_complete_run_without_its_records_is_damaged_and_not_empty(tmp_path, name):
    run = make_run(tmp_path, duration_s=5)
    path = getattr(run.layout, name)
    path.unlink()
    with pytest.raises(FolderError, match=f"{name}.jsonl is missing: the run folder is damaged"):
        again(run)


@pytest.mark.parametrize("mode", ["idle", "gil"])
def test_a_profile_of_a_mode_that_shows_no_cpu_gives_no_work_and_says_why(tmp_path, mode):
    run = make_run(tmp_path)
    file = run.layout.manifest
    file.write_text(file.read_text().replace('"mode": "active"', f'"mode": "{mode}"'))
    summary = summarise(Run(run.layout.path))
    ranks = [cpu for name, cpu in summary.cpu.items() if name.startswith("scheduler")]
    assert ranks
    assert all(rank.work_pct is None for rank in ranks)
    assert sum(f"mode {mode} shows" in warning for warning in summary.warnings) == 1
