"""The verdict over several scenes, rounds and looks, and that it depends on the stored runs alone."""

import shutil

import msgspec
import numpy as np
import pytest
from factory import make_run

from mmload.errors import UsageError
from mmload.judge.choice import Choice, SceneRuns, choose_runs, on_main
from mmload.judge.definition import gate_of
from mmload.judge.gate import judge
from mmload.model.campaign import MAIN_SCENE
from mmload.store.append import encode_document
from mmload.store.read import Run, list_runs

SHORT = {"duration_s": 5}
RUN = "[run]\ntp = 2\nrate = 100\n[run.scenes.alone]\ntp = 1\n[run.scenes.mixed]\nworkload = 'mix'\n"


def gate(*tables, more="", run=RUN):
    return gate_of(more + "".join(f"[[criteria]]\n{table}\n" for table in tables) + run, "mine", "mine.toml")


def check(text, **keys):
    return "\n".join(
        [f"check = '{text}'", *(f"{key} = {msgspec.json.encode(value).decode()}" for key, value in keys.items())]
    )


def made(folder, variant="optimized", seeds=(0,), first=0, **truth):
    return tuple(make_run(folder, variant, number=first + 10 * seed, seed=seed, **{**SHORT, **truth}) for seed in seeds)


def around(ms):
    return ms * np.exp(0.1 * np.random.default_rng(1).standard_normal(500))


def words(verdict):
    return [criterion.verdict for criterion in verdict.criteria]


def test_each_criterion_is_judged_on_the_runs_of_its_scene(tmp_path):
    scenes = {
        MAIN_SCENE: SceneRuns(candidate=made(tmp_path)),
        "alone": SceneRuns(candidate=made(tmp_path, first=1, tp=1, response_ms=around(900.0))),
    }
    asked = gate(*(check("response_p50_ms < 500", on=scene, design_effect=1) for scene in scenes))
    verdict = judge(asked, Choice(scenes=scenes))
    assert (words(verdict), verdict.verdict) == (["PASS", "FAIL"], "FAIL")
    assert [criterion.on for criterion in verdict.criteria] == [MAIN_SCENE, "alone"]
    assert {name: runs.candidate for name, runs in verdict.scenes.items()} == {
        name: [run.run_id for run in runs.candidate] for name, runs in scenes.items()
    }


def test_a_fault_of_one_scene_is_no_fault_of_the_others(tmp_path):
    scenes = {
        MAIN_SCENE: SceneRuns(candidate=made(tmp_path)),
        "alone": SceneRuns(candidate=made(tmp_path, first=1, lag_ms=40.0)),
        "mixed": SceneRuns(candidate=made(tmp_path, first=2, status="failed", error="scheduler_TP1 ended")),
    }
    asked = gate(check("qps > 1"), check("qps > 1", on="alone"), check("qps > 1", on="mixed"))
    assert words(judge(asked, Choice(scenes=scenes))) == ["PASS", "INVALID", "FAIL"]


def test_a_scene_without_a_run_is_inconclusive_and_says_what_makes_one(tmp_path):
    (run,) = made(tmp_path)
    verdict = judge(
        gate(check("qps > 1"), check("qps > 1", on="alone")), choose_runs([run], gate(check("qps > 1", on="alone")))
    )
    assert (words(verdict), verdict.verdict) == (["PASS", "INCONCLUSIVE"], "INCONCLUSIVE")
    assert "mmload run --variant optimized" in verdict.criteria[1].needed
    assert "--tp 1" in verdict.criteria[1].needed


@pytest.mark.parametrize("bad", [{"lag_ms": 40.0}, {"status": "failed", "error": "scheduler_TP1 ended"}])
def test_one_round_that_cannot_be_trusted_or_failed_decides_over_all_and_is_named(tmp_path, bad):
    good, worse = *made(tmp_path), *made(tmp_path, seeds=[1], **bad)
    (result,) = judge(gate(check("qps > 1")), on_main([good, worse])).criteria
    assert result.verdict == ("FAIL" if "status" in bad else "INVALID")
    assert result.evidence.startswith(f"manifest.json of {worse.run_id}: ")


def test_several_rounds_are_evidence_together(tmp_path):
    runs = made(tmp_path, seeds=range(4), duration_s=32)
    asked = gate(check("response_p99_ms < 500"))
    assert words(judge(asked, on_main(runs[:1]))) == ["INCONCLUSIVE"]
    (result,) = judge(asked, on_main(runs)).criteria
    assert (result.verdict, result.n) == ("PASS", 12_800)


def test_answers_on_one_rank_are_held_against_the_round_of_the_same_seed_on_several(tmp_path):
    one = {"tp": 1, "first": 1}
    baselines = (*made(tmp_path, "original", first=2), *made(tmp_path, "original", [1], first=3, answers="wxyz"))
    asked = gate(check("outputs_identical == 1 vs original", on="alone", baseline_on=MAIN_SCENE))

    def result(**truth):
        alone = SceneRuns(candidate=made(tmp_path / str(truth), **one, **truth))
        main = SceneRuns(candidate=made(tmp_path / str(truth)), baselines={"original": baselines})
        return judge(asked, Choice(scenes={MAIN_SCENE: main, "alone": alone})).criteria[0]

    same = result()
    assert (same.verdict, same.on, same.baseline_on) == ("PASS", "alone", MAIN_SCENE)
    assert result(answers="abcd").verdict == "FAIL"
    apart = result(seeds=[7])
    assert (apart.verdict, apart.needed) == ("INCONCLUSIVE", "no run of original of the same seed")


def test_only_the_rounds_that_both_sides_have_are_compared_and_the_evidence_says_so(tmp_path):
    ours = made(tmp_path, seeds=[0, 1, 2])
    theirs = made(tmp_path, "original", [1, 2], first=5)
    (result,) = judge(gate(check("qps_ratio > 0.5 vs original")), on_main(ours, {"original": theirs})).criteria
    assert result.verdict == "PASS"
    assert result.evidence.endswith("the 2 of 3 rounds that both have")


def test_what_was_judged_by_force_is_in_the_verdict_and_in_the_evidence(tmp_path):
    runs = [*made(tmp_path), *made(tmp_path, "original", first=5, timeout_s=5.0)]
    asked = gate(check("qps_ratio > 0.5 vs original"), check("qps > 1"))
    with pytest.raises(UsageError, match="timeout: 5 s, not 30 s"):
        choose_runs(runs, asked)
    verdict = judge(asked, choose_runs(runs, asked, force=True))
    assert verdict.forced == ["original on main: timeout: 5 s, not 30 s"]
    assert words(verdict) == ["PASS", "PASS"]
    assert "judged although they differ: timeout: 5 s, not 30 s" in verdict.criteria[0].evidence
    assert "differ" not in verdict.criteria[1].evidence


def test_totals_of_cpu_are_not_compared_across_idle_policies_even_by_force(tmp_path):
    runs = [*made(tmp_path, duration_s=20), *made(tmp_path, "original", first=5, duration_s=20, idle_policy="poll")]
    asked = gate(check("cpu_total_ratio < 9 vs original"), check("cpu_work_ratio < 9 vs original"))
    verdict = judge(asked, choose_runs(runs, asked, force=True))
    assert words(verdict) == ["INCONCLUSIVE", "PASS"]


def test_a_margin_moves_the_limit_in_the_lenient_direction_and_is_in_the_result(tmp_path):
    ours, theirs = (
        made(tmp_path, response_ms=around(72.0)),
        made(tmp_path, "original", response_ms=around(60.0)),
    )
    checks = [check("response_p50_ratio < 1 vs original", margin=margin) for margin in (0.0, 0.5)]
    verdict = judge(gate(*checks, more="design_effect = 1\n"), on_main(ours, {"original": theirs}))
    assert words(verdict) == ["FAIL", "PASS"]
    assert [(result.limit, result.margin) for result in verdict.criteria] == [(1.0, 0.0), (1.0, 0.5)]


def test_less_evidence_than_the_gate_asks_for_at_least_decides_nothing(tmp_path):
    runs = made(tmp_path, seeds=[0, 1])
    asked = gate(
        check("qps > 1", min_n=10_000), check("error_rate < 0.5", min_n=10_000), check("qps > 1", min_duration_s=8)
    )
    few, fewer, short = judge(asked, on_main(runs)).criteria
    assert {few.verdict, fewer.verdict, short.verdict} == {"INCONCLUSIVE"}
    assert fewer.needed == "9,000 observations more: it is judged on 10,000 and more"
    assert short.needed == "3 s more: it is judged over 8 s and longer"


def test_every_look_has_its_part_of_what_the_confidence_leaves(tmp_path):
    runs = made(tmp_path)
    once = judge(gate(check("qps > 1"), check("qps > 1", confidence=0.99)), on_main(runs))
    five = judge(gate(check("qps > 1"), more="looks = 5\n"), on_main(runs))
    assert [result.confidence for result in once.criteria] == [0.95, 0.99]
    assert five.criteria[0].confidence == pytest.approx(0.99)
    assert five.criteria[0].low < once.criteria[0].low
    assert (five.looks, five.look, five.warnings) == (5, 1, [])


@pytest.mark.parametrize(("look", "warned"), [(1, False), (2, False), (3, True)])
def test_more_looks_than_planned_are_a_warning(tmp_path, look, warned):
    choice = msgspec.structs.replace(on_main(made(tmp_path)), look=look)
    verdict = judge(gate(check("qps > 1"), more="looks = 2\n"), choice)
    assert verdict.look == look
    expected = "look 3 of 2 planned: a wrong PASS is likelier than the 5 % that the gate allows"
    assert verdict.warnings == ([expected] if warned else [])


def test_stored_runs_judged_again_elsewhere_give_the_same_bytes(tmp_path):
    asked = gate(
        check("response_p99_ms < 500"),
        check("qps_ratio > 0.9 vs original"),
        check("build_cpu_saved > 0.7 vs rollback"),
        check("outputs_identical == 1 vs original", on="alone", baseline_on=MAIN_SCENE),
    )
    here, there = tmp_path / "here", tmp_path / "there" / "deeper"
    runs = [*made(here, seeds=[0, 1]), *made(here, "original", [0, 1], first=5), *made(here, first=30, tp=1)]

    def judged(folder):
        named = [Run(folder / run.run_id) for run in runs]
        return encode_document(judge(asked, choose_runs(named, asked, also=list_runs(folder))))

    first = judged(here)
    shutil.copytree(here, there)
    shutil.rmtree(here)
    assert judged(there) == first
