"""What a comparison says of planted differences, and what it leaves out."""

import shutil

import msgspec
import numpy as np
import pytest
from factory import make_run
from hypothesis import given
from hypothesis import strategies as st

from mmload.analyse.cpu import Interval
from mmload.errors import UsageError
from mmload.judge.comparison import compare
from mmload.judge.comparison_figures import CONFIDENCE, FIGURE_CONFIDENCE, _needed
from mmload.judge.comparison_sides import host_warnings, sides_of_campaign, sides_of_runs
from mmload.model.campaign import Campaign, HostState, Scene, Slot
from mmload.model.plan import OpenLoop, Plan
from mmload.store.append import encode_document
from mmload.store.read import Run

ROUNDS = 3
CPU = ("tokenizer", "scheduler_TP0", "scheduler_TP1")


def rounds_of(out, variant, slower=1.0, cpu=1.0, first=0, rounds=ROUNDS, **truth):
    """Rounds of one variant: slower and cpu are factors on its response times and on its use of CPU."""
    runs = []
    for number in range(rounds):
        rng = np.random.default_rng([sum(variant.encode()), first, number])
        said = {
            "rate_rps": 50.0,
            "duration_s": 16.0,
            "seed": number,
            "response_ms": slower * 60 * np.exp(0.3 * rng.standard_normal(800)),
            "cpu_pct": {name: cpu * 30 * (1 + 0.01 * rng.standard_normal()) for name in CPU},
        }
        runs.append(make_run(out, variant, number=first + number, **(said | truth)))
    return runs


@pytest.fixture(scope="module")
def originals(tmp_path_factory):
    return rounds_of(tmp_path_factory.mktemp("original"), "original")


def side(comparison, name):
    return next(side for side in comparison.sides if side.name == name)


def words(comparison, name):
    return {one.figure: one.word for one in side(comparison, name).differences}


def test_less_cpu_is_better_and_its_interval_holds_what_was_planted(tmp_path, originals):
    found = compare({"original": originals, "shm": rounds_of(tmp_path, "shm", cpu=0.5, first=50)}, "original")
    assert words(found, "shm")["cpu_total_pct"] == "better"
    total = next(one for one in side(found, "shm").differences if one.figure == "cpu_total_pct")
    assert total.low < 0.5 < total.high
    assert words(found, "shm")["qps"] == "no difference seen"
    assert (side(found, "shm").word, side(found, "original").word) == ("better", "baseline")
    assert side(found, "original").differences == []


def test_a_variant_is_no_different_from_itself(tmp_path, originals):
    found = compare({"original": originals, "original#2": rounds_of(tmp_path, "original", first=50)}, "original")
    assert set(words(found, "original#2").values()) <= {"no difference seen", "not known"}
    assert side(found, "original#2").word == "no difference seen"
    assert side(found, "original#2").variant == "original"


def test_better_in_one_figure_and_worse_in_another_is_mixed(tmp_path, originals):
    runs = rounds_of(tmp_path, "shm", cpu=0.5, slower=1.5, first=50)
    found = compare({"original": originals, "shm": runs}, "original")
    assert words(found, "shm")["response_p50_ms"] == "worse"
    assert side(found, "shm").word == "mixed"


def test_other_answers_than_the_baselines_are_worse_whatever_the_figures_say(tmp_path, originals):
    runs = rounds_of(tmp_path, "shm", first=50, answers=("red", "green", "blue", "BLACK"))
    found = side(compare({"original": originals, "shm": runs}, "original"), "shm")
    assert (found.answers, found.word) == ("different", "worse")
    assert {one.item for one in found.answer_differences} == {"same-3"}


def test_more_errors_are_seen(tmp_path, originals):
    runs = rounds_of(tmp_path, "shm", first=50, outcomes=dict.fromkeys(range(0, 800, 4), "http_error"))
    assert words(compare({"original": originals, "shm": runs}, "original"), "shm")["error_rate"] == "worse"


def test_a_server_that_failed_is_said_of_its_variant_and_its_run_left_out(tmp_path, originals):
    *kept, lost = rounds_of(tmp_path, "shm", first=50)
    failed = make_run(tmp_path, "shm", number=90, seed=2, status="failed", error="rank 1 died", ends_after_s=9)
    found = compare({"original": originals, "shm": [*kept, failed]}, "original")
    shm = side(found, "shm")
    assert shm.word == "worse"
    assert shm.failed == [failed.run_id]
    assert shm.left_out == {failed.run_id: "the server failed: rank 1 died"}
    assert lost.run_id not in shm.runs
    assert side(found, "original").runs == [run.run_id for run in originals]


def test_an_invalid_run_is_left_out_with_its_reason(tmp_path, originals):
    runs = rounds_of(tmp_path, "shm", first=50, validity=["the generator lagged"])
    found = compare({"original": originals, "shm": runs}, "original")
    shm = side(found, "shm")
    assert (shm.runs, shm.levels, shm.differences, shm.word) == ([], {}, [], "not known")
    assert set(shm.left_out.values()) == {"INVALID: the generator lagged"}


def test_without_a_valid_baseline_nothing_is_compared(tmp_path, originals):
    runs = rounds_of(tmp_path, "rollback", validity=["the generator lagged"], first=50)
    found = compare({"rollback": runs, "original": originals}, "rollback")
    assert side(found, "original").word == "not known"
    assert side(found, "original").levels["qps"].value == pytest.approx(50, rel=0.05)


@pytest.mark.parametrize(
    ("truth", "difference"), [({"tp": 4}, "tp: 4, not 2"), ({"idle_policy": "poll"}, "idle policy: poll, not sleep")]
)
def test_runs_of_other_conditions_are_refused_with_what_differs_and_forced_on_the_record(
    truth, difference, tmp_path, originals
):
    sides = {"original": originals, "shm": rounds_of(tmp_path, "shm", first=50, **truth)}
    with pytest.raises(UsageError) as caught:
        compare(sides, "original")
    assert difference in str(caught.value)
    assert caught.value.exit_code == 2
    assert "--force" in caught.value.hint
    assert any(difference in text for text in compare(sides, "original", force=True).forced)


def test_runs_of_one_variant_under_two_loads_are_no_rounds_of_each_other(tmp_path, originals):
    other = make_run(tmp_path, "original", number=90, seed=9, rate_rps=20.0, duration_s=16.0)
    with pytest.raises(UsageError, match="load"):
        compare({"original": [*originals, other], "shm": rounds_of(tmp_path, "shm", first=50)}, "original")


def test_one_run_of_each_says_what_its_intervals_do_not_hold(tmp_path, originals):
    found = compare({"original": originals[:1], "shm": rounds_of(tmp_path, "shm", rounds=1, first=50)}, "original")
    assert any("may be that of one start" in text for text in found.warnings)


def test_rounds_without_one_of_the_baseline_beside_them_are_named(tmp_path, originals):
    found = compare({"original": originals[:2], "shm": rounds_of(tmp_path, "shm", first=50)}, "original")
    assert "shm: 1 of 3 runs without one of original beside it" in found.warnings


def test_comparing_again_elsewhere_and_in_another_order_gives_the_same_bytes(tmp_path, originals):
    sides = {"original": originals, "shm": rounds_of(tmp_path, "shm", first=50)}
    once = encode_document(compare(sides, "original"))
    elsewhere = {}
    for name, runs in reversed(sides.items()):
        elsewhere[name] = [
            Run(shutil.copytree(run.layout.path, tmp_path / "moved" / run.run_id)) for run in reversed(runs)
        ]
    again = encode_document(compare(elsewhere, "original"))
    assert once == again
    assert encode_document(msgspec.json.decode(once, type=type(compare(sides, "original")))) == once


def test_all_intervals_of_a_side_hold_together(tmp_path, originals):
    found = compare({"original": originals, "shm": rounds_of(tmp_path, "shm", first=50)}, "original")
    figures = len(side(found, "shm").differences)
    assert figures * (1 - FIGURE_CONFIDENCE) == pytest.approx(1 - CONFIDENCE)


@given(st.floats(0.011, 5.0), st.integers(1, 20))
def test_the_rounds_said_to_be_needed_are_enough_and_one_fewer_is_not(half, rounds):
    def with_rounds(number):
        shrunk = half * (rounds / number) ** 0.5
        return Interval(0.0, -shrunk, shrunk)

    said = _needed(with_rounds, rounds)
    if half <= 0.05:
        assert said is None
        return
    more = int(said.split()[0])
    widest = 0.05 if "5 %" in said else half / 2
    assert with_rounds(rounds + more).high <= widest * (1 + 1e-9)
    assert with_rounds(rounds + more - 1).high > widest * (1 - 1e-9)


def test_bounds_that_no_number_of_rounds_narrows_are_said_to_be_so():
    assert _needed(lambda _rounds: Interval(0.0, -1.0, 1.0), 4).startswith("not even 100 more rounds")


def test_runs_are_grouped_by_variant_and_a_baseline_given_by_run_is_a_side_of_its_own(tmp_path):
    runs = [make_run(tmp_path, v, number=n, duration_s=2.0) for n, v in enumerate(("shm", "original", "shm", "shm"))]
    assert sides_of_runs(runs) == {"shm": [runs[0], *runs[2:]], "original": [runs[1]]}
    assert sides_of_runs(runs, [runs[2]]) == {"shm": [runs[2]], "shm#2": [runs[0], runs[3]], "original": [runs[1]]}


PLAN = Plan(variant=None, workload_name="images-small", workload={}, load=OpenLoop(rate_rps=50))


def campaign_with(hosts):
    slots = [Slot(scene="main", round=n, variant="a", run_id=f"run-{n}", host=host) for n, host in enumerate(hosts)]
    slots += [Slot(scene="other", round=0, variant="a", run_id="run-x"), Slot(scene="main", round=9, variant="b")]
    scenes = {"main": Scene(plan=PLAN, rounds=1)}
    return Campaign(campaign_id="x", kind="compare", variants=["a", "b"], scenes=scenes, slots=slots)


def test_a_campaigns_sides_are_those_of_its_main_scene(tmp_path):
    runs = {f"run-{n}": object() for n in (0, "x")}
    assert sides_of_campaign(campaign_with([None]), runs) == {"a": [runs["run-0"]], "b": []}


def test_a_host_that_was_not_at_rest_is_named():
    def host(busy, throttled=None):
        return HostState(t_ns=0, load_1m=1.0, cpu_busy_pct=busy, memory_available_bytes=1, throttled=throttled)

    said = host_warnings(campaign_with([host(3.0, 5), host(61.0, 5), host(2.0, 8)]))
    assert said == ["the host was 61 % busy before run-1", "the processors were throttled for heat before run-2"]


@pytest.mark.parametrize(
    ("truth", "named"), [({"seed": 7}, "seed: 7, not 0"), ({"rate_rps": 40.0, "response_ms": None}, "load:")]
)
def test_runs_that_met_other_requests_are_refused_with_what_differs_and_can_be_forced(tmp_path, truth, named):
    sides = {"original": [make_run(tmp_path, "original")], "shm": [make_run(tmp_path, "shm", number=1, **truth)]}
    with pytest.raises(UsageError, match=named):
        compare(sides, "original")
    assert named in compare(sides, "original", force=True).forced[0]


def test_a_side_whose_p99_is_infinite_is_worse_than_one_that_answers(tmp_path):
    long = {"duration_s": 300.0}
    original = make_run(tmp_path, "original", **long)
    failing = make_run(tmp_path, "commit", number=1, outcomes=dict.fromkeys(range(30_000), "timeout"), **long)
    assert (
        words(compare({"original": [original], "commit": [failing]}, "original"), "commit")["response_p99_ms"]
        == "worse"
    )
