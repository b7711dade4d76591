from functools import cache

import msgspec
import numpy as np
import pytest
from factory import make_run
from hypothesis import given, settings
from hypothesis import strategies as st

from mmload.errors import ConfigError, FolderError
from mmload.judge.choice import choose_runs, on_main
from mmload.judge.definition import load_gate
from mmload.judge.gate import exit_code, judge, worst
from mmload.model.plan import GeneratorLimits
from mmload.model.records import CUT_OFF
from mmload.model.result import CriterionResult
from mmload.store.append import write_document
from mmload.store.read import Run, list_runs

EVERY_RANK = {f"scheduler_TP{rank}": 2.0 for rank in range(4)}
LONG = {"duration_s": 130.0}  # long enough for a P99 at the declared design effect of 40


def gate_of(folder, *checks, more=""):
    text = "about = 'x'\n" + more + "".join(f"[[criteria]]\ncheck = '{check}'\n" for check in checks)
    path = folder / "mine.toml"
    path.write_text(text)
    return load_gate(str(path))


def verdict_on(run, *checks, baselines=None, more="", absent=None):
    gate = gate_of(run.layout.path.parent, *checks, more=more)
    sides = {variant: [baseline] for variant, baseline in (baselines or {}).items()}
    return judge(gate, on_main([run], sides, absent))


def result_of(run, check, **options):
    return verdict_on(run, check, **options).criteria[0]


def slow(n, share, ms=900.0):
    times = np.full(n, 60.0) + np.random.default_rng(n).random(n)
    times[:: round(1 / share)] = ms
    return times


def test_a_good_run_passes_and_a_bad_one_fails(tmp_path):
    good = make_run(tmp_path, **LONG)
    bad = make_run(tmp_path, number=1, response_ms=slow(13_000, 0.05), **LONG)
    check = "response_p99_ms < 500"
    assert (verdict_on(good, check).verdict, verdict_on(bad, check).verdict) == ("PASS", "FAIL")


def test_a_short_run_is_inconclusive_and_says_how_much_more_decides(tmp_path):
    result = result_of(make_run(tmp_path, duration_s=40), "response_p99_ms < 500")
    assert (result.verdict, result.high) == ("INCONCLUSIVE", None)
    assert result.needed == "at least 7,923 more requests, none of them over the limit (80 s of the same load)"


def test_a_run_with_that_much_more_is_decided(tmp_path):
    assert result_of(make_run(tmp_path, duration_s=120), "response_p99_ms < 500").verdict == "PASS"


def test_a_figure_at_the_limit_is_told_apart_from_too_little_load(tmp_path):
    result = result_of(make_run(tmp_path, duration_s=40), "qps > 99.975")
    assert result.verdict == "INCONCLUSIVE"
    assert "too near the limit" in result.needed


def test_errors_and_timeouts_count_as_over_any_latency_limit(tmp_path):
    outcomes = dict.fromkeys(range(0, 13_000, 20), "timeout")
    result = result_of(make_run(tmp_path, outcomes=outcomes, **LONG), "response_p99_ms < 100000")
    assert (result.verdict, result.value) == ("FAIL", None)


def test_a_server_that_answers_nothing_has_infinite_times_and_says_so_where_json_can_not(tmp_path):
    result = result_of(make_run(tmp_path, outcomes=dict.fromkeys(range(4_000), "timeout")), "response_p99_ms < 500")
    assert (result.verdict, result.value, result.low, result.high) == ("FAIL", None, None, None)
    assert result.infinite == ["value", "low", "high"]
    short = result_of(make_run(tmp_path, number=1), "response_p99_ms < 500")
    assert (short.verdict, short.high, short.infinite) == ("INCONCLUSIVE", None, ["high"])


def test_a_figure_that_is_missing_is_not_infinite(tmp_path):
    result = result_of(make_run(tmp_path, stack_samples=0), "cpu_work_pct < 60")
    assert (result.value, result.infinite) == (None, [])


def test_what_was_counted_has_no_confidence_and_what_was_estimated_has_one(tmp_path):
    run = make_run(tmp_path, response_ms=np.full(4_000, 90.0))
    verdict = verdict_on(run, "modalities_covered >= 1", "response_p50_ms < 500")
    assert [(c.low == c.value == c.high, c.confidence) for c in verdict.criteria] == [(True, None), (True, 0.95)]


@pytest.mark.parametrize(("n_errors", "verdict"), [(0, "PASS"), (3, "INCONCLUSIVE"), (60, "FAIL")])
def test_an_error_rate_is_judged_by_its_bounds(tmp_path, n_errors, verdict):
    outcomes = dict.fromkeys(range(0, n_errors * 60, 60), "http_error")
    run = make_run(tmp_path, duration_s=40, outcomes=outcomes)
    assert result_of(run, "error_rate < 0.001", more="design_effect = 1\n").verdict == verdict


def test_cpu_is_judged_on_the_busiest_rank(tmp_path):
    run = make_run(tmp_path, cpu_pct={"scheduler_TP1": 90.0}, work_share=0.9, stack_samples=4000)
    result = result_of(run, "cpu_work_pct < 60")
    assert result.verdict == "FAIL"
    assert "scheduler_TP1" in result.evidence
    assert result.low < result.value < result.high
    assert result_of(run, "cpu_total_pct < 95").verdict == "PASS"


def test_a_rank_that_burnt_nothing_at_all_is_no_evidence_of_little_work(tmp_path):
    result = result_of(make_run(tmp_path, cpu_pct={"scheduler_TP1": 0.0}), "cpu_work_pct < 60")
    assert result.verdict == "INCONCLUSIVE"
    assert result.needed == "scheduler_TP1 burnt no CPU at all in the measure window: that is no figure of work"


def test_without_stacks_work_is_unknown_and_no_pass(tmp_path):
    result = result_of(make_run(tmp_path, stack_samples=0), "cpu_work_pct < 60")
    assert (result.verdict, result.value) == ("INCONCLUSIVE", None)
    assert "--profile" in result.needed


def test_a_poor_profile_is_no_evidence(tmp_path):
    run = make_run(tmp_path)
    profile = run.manifest.profile
    poor = [msgspec.structs.replace(file, error="py-spy died") for file in profile.files]
    changed = msgspec.structs.replace(profile, files=poor)
    write_document(run.layout.manifest, msgspec.structs.replace(run.manifest, profile=changed))
    assert result_of(Run(run.layout.path), "cpu_work_pct < 60").needed == "scheduler_TP0: py-spy died"


def test_a_missing_baseline_is_inconclusive_and_gives_the_command(tmp_path):
    result = result_of(
        make_run(tmp_path),
        "qps_ratio > 0.95 vs original",
        absent={"original": "no run of original to compare with: make one"},
    )
    assert result.verdict == "INCONCLUSIVE"
    assert result.needed == "no run of original to compare with: make one"


def pair(folder, **truths):
    both = {"tp": 4, "duration_s": 40.0}
    baseline = make_run(folder, "original", number=0, **{"build_ms": EVERY_RANK, **both, **truths.pop("baseline", {})})
    candidate = make_run(folder, number=1, **{"build_ms": {"tokenizer": 2.0}, **both, **truths})
    return {"run": candidate, "baselines": {"original": baseline}}


def against(sides, check):
    return result_of(sides["run"], f"{check} vs original", baselines=sides["baselines"])


def test_saved_build_cpu_is_judged_at_four_ranks_and_more(tmp_path):
    result = against(pair(tmp_path), "build_cpu_saved > 0.70")
    assert (result.verdict, result.value) == ("PASS", pytest.approx(0.75, abs=0.01))


def test_at_two_ranks_saved_build_cpu_is_shown_as_a_share_of_the_possible(tmp_path):
    sides = pair(
        tmp_path,
        tp=2,
        build_ms={"tokenizer": 2.4},
        baseline={"tp": 2, "build_ms": {f"scheduler_TP{r}": 2.0 for r in (0, 1)}},
    )
    result = against(sides, "build_cpu_saved > 0.70")
    assert (result.verdict, result.value) == ("SKIPPED", pytest.approx(0.4, abs=0.01))
    assert result.needed == "at TP 2 at most 50% can be saved: 80% of that is; judged at TP 4 and more"
    assert against(sides, "handoff_cpu_saved > 0").verdict == "PASS"


def test_a_server_without_counters_saves_nothing_that_is_known(tmp_path):
    result = against(pair(tmp_path, build_ms=None), "build_cpu_saved > 0.70")
    assert (result.verdict, result.value) == ("INCONCLUSIVE", None)


def test_no_regression_is_shown_by_bounds_and_not_by_the_absence_of_a_difference(tmp_path):
    sides = pair(tmp_path, seed=5)
    assert against(sides, "qps_ratio > 0.90").verdict == "PASS"
    assert against(sides, "response_p99_ratio < 1.001").verdict == "INCONCLUSIVE"
    assert against(sides, "response_p99_ratio < 1.2").verdict == "PASS"
    assert against(sides, "cpu_work_ratio < 1.2").verdict == "PASS"


def test_a_p99_ratio_of_few_bursts_says_how_much_more_decides_it(tmp_path):
    one_burst = {"response_ms": np.where(np.arange(4_000) // 60 == 20, 900.0, 60.0)}
    result = against(pair(tmp_path, **one_burst, baseline=one_burst), "response_p99_ratio < 20")
    assert (result.verdict, "order statistics" in result.evidence) == ("INCONCLUSIVE", True)
    assert result.needed.endswith(" s of the same load)")
    assert "more requests (" in result.needed


@pytest.mark.parametrize("every", [1, 20])
def test_a_candidate_whose_p99_is_infinite_fails_against_a_baseline_that_answers(tmp_path, every):
    sides = pair(tmp_path, **LONG, baseline=LONG, outcomes=dict.fromkeys(range(0, 13_000, every), "timeout"))
    result = against(sides, "response_p99_ratio < 1.05")
    assert (result.verdict, result.value, result.infinite) == ("FAIL", None, ["value", "low", "high"])


@pytest.mark.parametrize("every", [1, 20])
def test_a_baseline_whose_p99_is_infinite_is_nothing_to_compare_with(tmp_path, every):
    errors = {"outcomes": dict.fromkeys(range(0, 4_000, every), "timeout")}
    result = against(pair(tmp_path, baseline=errors), "response_p99_ratio < 1.05")
    assert (result.verdict, result.value, result.infinite) == ("INVALID", None, [])
    assert "of its requests failed" in result.evidence


def test_a_baseline_that_answers_in_no_time_at_all_is_nothing_to_compare_with(tmp_path):
    at_once = {"response_ms": np.zeros(4_000), "lag_ms": 0.0}
    result = against(pair(tmp_path, baseline=at_once), "response_p99_ratio < 1.05")
    assert (result.verdict, result.needed) == ("INCONCLUSIVE", "the p99 of the baseline is 0")


def test_identical_answers_are_shown_item_by_item(tmp_path):
    check = "outputs_identical == 1"
    assert against(pair(tmp_path), check).verdict == "PASS"
    result = against(pair(tmp_path / "other", answers=("red", "green", "pink", "grey")), check)
    assert (result.verdict, result.value) == ("FAIL", 0.0)
    assert "same-2" in result.evidence


@pytest.mark.parametrize("answers", [(), ("red",), ("red", "red", "red")])
def test_identical_answers_mean_nothing_where_items_are_not_told_apart(tmp_path, answers):
    sides = pair(tmp_path, answers=answers, baseline={"answers": answers})
    assert against(sides, "outputs_identical == 1").verdict == "INCONCLUSIVE"


def test_an_item_that_the_candidate_did_not_answer_is_a_difference(tmp_path):
    assert against(pair(tmp_path, answers=("red", "green")), "outputs_identical == 1").verdict == "FAIL"


def test_a_leak_is_judged_in_a_long_run_only(tmp_path):
    run = make_run(tmp_path, duration_s=20, rss_bytes=lambda s: 5e8 + 1e5 * s)
    path = tmp_path / "leak.toml"
    path.write_text("about = 'x'\n[[criteria]]\ncheck = 'rss_growth_mb_per_h < 10'\nmin_duration_s = 1800\n")
    result = judge(load_gate(str(path)), on_main([run])).criteria[0]
    assert result.verdict == "INCONCLUSIVE"
    assert result.needed == "1,780 s more: it is judged over 1,800 s and longer"
    assert result_of(run, "rss_growth_mb_per_h < 10").verdict == "FAIL"


def test_broadcasts_are_counted_for_each_receive_batch(tmp_path):
    assert result_of(make_run(tmp_path, tp=4, build_ms=EVERY_RANK), "broadcasts_per_batch < 1.05").verdict == "PASS"


@pytest.mark.parametrize(
    "truth",
    [
        {"lag_ms": 40.0},
        {"stall_ms": 900.0},
        {"outcomes": dict.fromkeys(range(50), "dropped")},
        {"validity": ["the profiler stopped the server"]},
        {"status": "partial", "ends_after_s": 20.0},
        {"status": "running", "ends_after_s": 20.0},
        {"status": "partial", "concurrency": 8},
    ],
)
def test_a_run_that_can_not_be_trusted_is_invalid_in_every_criterion(tmp_path, truth):
    verdict = verdict_on(make_run(tmp_path, **truth), "qps > 1", "error_rate < 0.9")
    assert [c.verdict for c in verdict.criteria] == ["INVALID", "INVALID"]
    assert (verdict.verdict, exit_code(verdict.verdict)) == ("INVALID", 4)


def test_requests_that_a_kill_left_without_a_record_make_a_run_invalid(tmp_path):
    run = make_run(tmp_path, status="running")
    lines = run.layout.requests.read_text().splitlines(keepends=True)
    run.layout.requests.write_text("".join(lines[:-20]))
    result = result_of(Run(run.layout.path), "qps > 1")
    assert result.verdict == "INVALID"
    assert "20 of 4,000 scheduled requests were not delivered" in result.evidence


def test_a_run_ended_before_its_last_answers_is_not_held_against_the_server(tmp_path):
    run = make_run(tmp_path, status="partial", outcomes={3_990: "connection_error"})
    run.layout.requests.write_text(run.layout.requests.read_text().replace("planted: connection_error", CUT_OFF))
    result = result_of(Run(run.layout.path), "error_rate < 0.1")
    assert (result.verdict, "before 1 requests" in result.evidence) == ("INVALID", True)


def test_a_run_interrupted_after_its_window_is_judged(tmp_path):
    assert result_of(make_run(tmp_path, status="partial"), "qps > 70").verdict == "PASS"


def test_a_plan_may_ask_more_of_the_generator_but_not_less(tmp_path):
    wide = make_run(tmp_path, lag_ms=40.0, limits=GeneratorLimits(lag_p99_ms=50))
    narrow = make_run(tmp_path, number=1, lag_ms=4.0, limits=GeneratorLimits(lag_p99_ms=2))
    assert [result_of(run, "qps > 1").verdict for run in (wide, narrow)] == ["INVALID", "INVALID"]


@pytest.mark.parametrize("ends_after_s", [0.5, 20.0, 60.0])
def test_a_server_that_died_fails(tmp_path, ends_after_s):
    run = make_run(tmp_path, status="failed", error="scheduler_TP1 ended", ends_after_s=ends_after_s)
    result = result_of(run, "qps > 1")
    assert (result.verdict, "scheduler_TP1 ended" in result.evidence) == ("FAIL", True)


def test_a_late_generator_is_no_evidence_against_a_server_that_died(tmp_path):
    run = make_run(tmp_path, status="failed", error="scheduler_TP1 ended", lag_ms=9000.0, ends_after_s=20.0)
    result = result_of(run, "qps > 1")
    assert (result.verdict, "sent late" in result.evidence) == ("INVALID", True)


def test_what_was_not_sent_because_the_server_died_is_its_own_doing(tmp_path):
    dropped = dict.fromkeys(range(1000, 4000), "dropped")
    run = make_run(tmp_path, status="failed", error="planted: dropped", outcomes=dropped)
    assert result_of(run, "qps > 1").verdict == "FAIL"


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        (lambda lines: [*lines, lines[-1]], "1 requests have more than one record"),
        (lambda lines: lines[:-7], "7 of the requests that the generator saw done have no record"),
    ],
)
def test_records_that_are_not_one_for_each_request_make_a_run_invalid(tmp_path, edit, reason):
    run = make_run(tmp_path, duration_s=40)
    lines = run.layout.requests.read_text().splitlines(keepends=True)
    run.layout.requests.write_text("".join(edit(lines)))
    result = result_of(Run(run.layout.path), "qps > 1")
    assert (result.verdict, f"records damaged: {reason}" in result.evidence) == ("INVALID", True)


@pytest.mark.parametrize("validity", [None, ["the profiler stopped the server"]])
def test_a_run_without_its_records_is_not_judged_at_all(tmp_path, validity):
    run = make_run(tmp_path, duration_s=5, validity=validity)
    run.layout.requests.unlink()
    with pytest.raises(FolderError, match=r"requests\.jsonl is missing"):
        result_of(Run(run.layout.path), "qps > 1")


def test_a_closed_loop_that_was_to_send_more_is_damaged(tmp_path):
    enough, fewer = (make_run(tmp_path, number=n, concurrency=8, requests=4000 + n) for n in (0, 1))
    assert result_of(enough, "qps > 1").verdict == "PASS"
    result = result_of(fewer, "qps > 1")
    assert (result.verdict, "4,001 requests were to be measured, 4,000 have" in result.evidence) == ("INVALID", True)


@pytest.mark.parametrize(
    ("check", "verdict"), [("qps > 70", "INCONCLUSIVE"), ("qps > 40", "PASS"), ("qps < 70", "PASS")]
)
def test_a_rate_that_was_never_offered_is_not_held_against_the_server(tmp_path, check, verdict):
    run = make_run(tmp_path, rate_rps=50.0)
    result = result_of(run, check)
    assert (result.verdict, result.needed) == (verdict, None if verdict == "PASS" else "only 50 req/s were offered")


def test_a_closed_loop_offers_as_much_as_the_server_takes(tmp_path):
    assert result_of(make_run(tmp_path, rate_rps=50.0, concurrency=8), "qps > 70").verdict == "FAIL"


@pytest.mark.parametrize("metric", ["cpu_work_pct", "cpu_total_pct"])
@pytest.mark.parametrize(
    ("keep", "needed"),
    [
        (lambda line, n: "scheduler_TP1" not in line, "not sampled: rank 1 of 2"),
        (lambda line, n: "scheduler" not in line, "not sampled: rank 0, rank 1 of 2"),
        (
            lambda line, n: "scheduler_TP1" not in line or n < 200,
            "scheduler_TP1 was sampled over 56% of the measure window, not over 90%",
        ),
    ],
)
def test_no_rank_is_left_out_of_the_busiest(tmp_path, metric, keep, needed):
    run = make_run(tmp_path)
    lines = run.layout.processes.read_text().splitlines(keepends=True)
    run.layout.processes.write_text("".join(line for n, line in enumerate(lines) if keep(line, n)))
    result = result_of(Run(run.layout.path), f"{metric} < 60")
    assert (result.verdict, result.needed) == ("INCONCLUSIVE", needed)


def test_nor_is_a_rank_of_a_replica_that_has_the_number_of_another(tmp_path):
    run = make_run(tmp_path)
    lost = msgspec.structs.replace(run.manifest.ranks[0], name="scheduler_DP1_TP0")
    write_document(run.layout.manifest, msgspec.structs.replace(run.manifest, ranks=[*run.manifest.ranks, lost]))
    result = result_of(Run(run.layout.path), "cpu_total_pct < 60")
    assert (result.verdict, result.needed) == ("INCONCLUSIVE", "not sampled: scheduler_DP1_TP0 of 3")


def test_cpu_rests_on_as_many_blocks_as_the_window_has(tmp_path):
    runs = [make_run(tmp_path, number=n, duration_s=s) for n, s in enumerate((8.0, 40.0))]
    assert [result_of(run, "cpu_total_pct < 60").n for run in runs] == [8, 20]


def test_saved_build_cpu_is_not_bettered_by_a_queue_before_the_ranks(tmp_path):
    queue = dict.fromkeys(EVERY_RANK, 0.5)
    sides = pair(tmp_path, build_ms=EVERY_RANK, met=queue)
    assert against(sides, "build_cpu_saved > 0.70").value == pytest.approx(0.0, abs=0.02)


def test_an_invalid_baseline_invalidates_what_is_compared_with_it(tmp_path):
    sides = pair(tmp_path, baseline={"lag_ms": 40.0})
    verdict = verdict_on(sides["run"], "qps_ratio > 0.9 vs original", "qps > 1", baselines=sides["baselines"])
    assert [c.verdict for c in verdict.criteria] == ["INVALID", "PASS"]


@pytest.mark.parametrize(
    ("words", "verdict", "code"),
    [
        (["PASS", "PASS"], "PASS", 0),
        (["PASS", "FAIL", "INCONCLUSIVE"], "FAIL", 1),
        (["PASS", "INCONCLUSIVE"], "INCONCLUSIVE", 3),
        (["PASS", "SKIPPED"], "INCONCLUSIVE", 3),
        (["INVALID", "FAIL"], "INVALID", 4),
        (["PASS", "fail"], "PASS", 0),  # small letters: not required
        (["pass"], "INCONCLUSIVE", 3),
    ],
)
def test_the_verdict_is_the_worst_of_the_required_ones(words, verdict, code):
    blank = CriterionResult(
        metric="qps",
        op=">",
        limit=1,
        baseline=None,
        required=True,
        value=1,
        low=1,
        high=1,
        n=1,
        verdict="PASS",
        evidence="",
    )
    results = [msgspec.structs.replace(blank, verdict=w.upper(), required=w.isupper()) for w in words]
    assert (worst(results), exit_code(worst(results))) == (verdict, code)


def test_the_release_gate_judges_stored_runs_again_to_the_same_bytes(tmp_path):
    for number, variant in enumerate(("original", "rollback")):
        make_run(tmp_path, variant, number=number, tp=4, build_ms=EVERY_RANK, **LONG)
    make_run(tmp_path, "optimized", number=3, tp=4, build_ms={"tokenizer": 2.0}, **LONG)
    for number, variant in ((4, "original"), (5, "optimized")):
        make_run(tmp_path, variant, number=number, tp=1, duration_s=32.0)
        media = {"workload": "modalities", "rate_rps": 8.0, "modalities": ("image", "video", "audio")}
        make_run(tmp_path, variant, number=number + 2, tp=4, duration_s=10.0, **media)
    gate = load_gate("release")
    one, other = (msgspec.json.encode(judge(gate, choose_runs([], gate, also=list_runs(tmp_path)))) for _ in "ab")
    assert one == other
    verdict = judge(gate, choose_runs([], gate, also=list_runs(tmp_path)))
    assert {(c.on, c.metric): c.verdict for c in verdict.criteria if c.verdict != "PASS"} == {
        ("main", "rss_growth_mb_per_h"): "INCONCLUSIVE"
    }
    assert (verdict.verdict, verdict.baselines.keys()) == ("PASS", {"original", "rollback"})


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    """Verdicts of one ordinary run under any criterion, as a function."""
    run = make_run(tmp_path_factory.mktemp("law"), duration_s=40, response_ms=slow(4_000, 0.02))
    return cache(lambda check: result_of(run, check, more="design_effect = 1.5\n").verdict)


RANK = {"FAIL": 0, "INCONCLUSIVE": 1, "PASS": 2}


@settings(max_examples=60, deadline=None)
@given(
    metric=st.sampled_from(["response_p99_ms", "response_p50_ms", "error_rate", "qps", "cpu_work_pct"]),
    limits=st.tuples(st.floats(0, 1), st.floats(0, 1)).map(sorted),
)
def test_a_looser_limit_never_turns_pass_into_less(judged, metric, limits):
    scale = 1 if metric == "error_rate" else 1000
    op = ">" if metric == "qps" else "<"
    tight, loose = limits if op == "<" else limits[::-1]
    verdicts = [judged(f"{metric} {op} {scale * limit:.6f}") for limit in (tight, loose)]
    assert RANK[verdicts[0]] <= RANK[verdicts[1]]


def test_a_gate_with_an_unknown_metric_is_a_configuration_error(tmp_path):
    with pytest.raises(ConfigError):
        gate_of(tmp_path, "speed > 9000")
