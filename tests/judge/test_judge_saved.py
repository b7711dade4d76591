"""What is saved where the server counts nothing, and which totals may be compared."""

import pytest
from factory import make_run
from planted_stacks import with_stacks

from mmload.judge.choice import on_main
from mmload.judge.definition import load_gate
from mmload.judge.gate import judge

RANKS = [f"scheduler_TP{rank}" for rank in range(4)]
BUILDS_ON_EVERY_RANK = {key: {"hash": 2400, "forward": 1600} for key in RANKS} | {"tokenizer": {"http": 4000}}
BUILDS_ONCE = {key: {"forward": 4000} for key in RANKS} | {"tokenizer": {"hash": 3600, "http": 400}}


def pair(folder, candidate, baseline, **truth):
    known = {"tp": 4, "duration_s": 20.0, **truth}
    return [
        with_stacks(make_run(folder, variant, number=number, **known), stacks)
        for number, (variant, stacks) in enumerate((("original", baseline), ("optimized", candidate)))
    ]


def result(runs, check):
    baseline, candidate = runs
    path = candidate.layout.path.parent / "mine.toml"
    path.write_text(f"about = 'x'\n[[criteria]]\ncheck = '{check} vs original'\n")
    return judge(load_gate(str(path)), on_main([candidate], {"original": [baseline]})).criteria[0]


def test_without_counters_what_is_saved_comes_from_the_stacks_and_says_so(tmp_path):
    runs = pair(tmp_path, BUILDS_ONCE, BUILDS_ON_EVERY_RANK)
    saved = result(runs, "build_cpu_saved > 0.70")
    assert saved.value == pytest.approx(1 - 0.9 * 20 / (4 * 0.6 * 30), abs=0.01)
    assert saved.low < saved.value < saved.high < 1
    assert "by stack samples" in saved.evidence
    assert result(runs, "handoff_cpu_saved > 0").verdict == "PASS"


def test_counters_of_one_run_are_not_held_against_samples_of_the_other(tmp_path):
    without, _ = pair(tmp_path, BUILDS_ONCE, BUILDS_ON_EVERY_RANK)
    _, counted = pair(tmp_path / "other", BUILDS_ONCE, BUILDS_ON_EVERY_RANK, build_ms={"tokenizer": 99.0})
    saved = result((without, counted), "build_cpu_saved > 0.70")
    assert "by stack samples" in saved.evidence
    assert saved.value > 0.7


@pytest.mark.parametrize(
    ("candidate", "obstacle"),
    [
        ({name: stacks for name, stacks in BUILDS_ONCE.items() if name != "tokenizer"}, "not of every process stacks"),
        ({key: {"forward": 4000} for key in [*RANKS, "tokenizer"]}, "no stack sample of the build"),
    ],
)
def test_stacks_that_show_no_build_or_not_all_of_it_are_no_evidence_of_a_saving(tmp_path, candidate, obstacle):
    saved = result(pair(tmp_path, candidate, BUILDS_ON_EVERY_RANK), "build_cpu_saved > 0.70")
    assert (saved.verdict, saved.value) == ("INCONCLUSIVE", None)
    assert obstacle in saved.needed


def policies(folder, ours, theirs):
    baseline = make_run(folder, "original", number=0, duration_s=20.0, idle_policy=theirs)
    return [baseline, make_run(folder, number=1, duration_s=20.0, idle_policy=ours)]


def test_totals_are_compared_between_runs_with_the_same_idle_policy(tmp_path):
    ratio = result(policies(tmp_path, "poll", "poll"), "cpu_total_ratio < 1.1")
    assert (ratio.verdict, ratio.value) == ("PASS", pytest.approx(1.0, abs=0.01))


@pytest.mark.parametrize("theirs", ["poll", "unknown"])
def test_totals_of_runs_with_different_idle_policies_are_refused_in_words_and_their_work_is_compared(tmp_path, theirs):
    runs = policies(tmp_path, "sleep", theirs)
    total = result(runs, "cpu_total_ratio < 1.1")
    assert (total.verdict, total.value) == ("INCONCLUSIVE", None)
    assert total.needed == (
        f"idle policies differ (sleep, the baseline's {theirs}): their totals can't be compared; cpu_work_ratio can"
    )
    work = result(runs, "cpu_work_ratio < 1.2")
    assert work.verdict == "PASS"
    assert "idle policies differ" in work.evidence
