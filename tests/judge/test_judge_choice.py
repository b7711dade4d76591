import pytest
from factory import make_run

from mmload.errors import FolderError, UsageError
from mmload.judge.choice import choose_runs, command_for, differences
from mmload.judge.definition import load_gate
from mmload.model.plan import ClosedLoop, OpenLoop, Plan
from mmload.store.read import list_runs

SHORT = {"duration_s": 5}
GATE = load_gate("release")  # against original and rollback


def make(folder, *variants, **truth):
    return [make_run(folder, variant, number=n, **{**SHORT, **truth}) for n, variant in enumerate(variants)]


def chosen(folder, **options):
    found = choose_runs(list_runs(folder), GATE, **options)
    return found.candidate.run_id, {name: run.run_id for name, run in found.baselines.items()}


def test_the_candidate_is_the_newest_run_that_is_no_baseline(tmp_path):
    runs = make(tmp_path, "original", "commit", "optimized", "rollback")
    candidate, baselines = chosen(tmp_path)
    assert candidate == runs[2].run_id
    assert baselines == {"original": runs[0].run_id, "rollback": runs[3].run_id}


def test_the_candidate_can_be_named_even_if_it_is_a_baseline(tmp_path):
    runs = make(tmp_path, "original", "original", "optimized")
    candidate, baselines = chosen(tmp_path, candidate="original")
    assert (candidate, baselines) == (runs[1].run_id, {"original": runs[0].run_id})


def test_baselines_are_the_newest_that_can_be_compared(tmp_path):
    runs = make(tmp_path, "original", "original", "optimized")
    other = make_run(tmp_path, "original", number=8, seed=9, **SHORT)
    late = make_run(tmp_path, "original", number=9, lag_ms=50.0, **SHORT)
    assert chosen(tmp_path)[1] == {"original": runs[1].run_id}
    assert {other.run_id, late.run_id}.isdisjoint(chosen(tmp_path)[1].values())


def test_why_there_is_no_baseline_is_said(tmp_path):
    make_run(tmp_path, "original", number=0, workload="mix", **SHORT)
    make_run(tmp_path, "optimized", number=1, **SHORT)
    absent = choose_runs(list_runs(tmp_path), GATE).absent
    assert absent["rollback"] == "no run of rollback to compare with"
    assert "workload: mix, not images-small" in absent["original"]


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"tp": 4}, "tp: 4, not 2"),
        ({"model": "other"}, "model: other, not stand-in"),
        ({"engine": "sglang"}, "engine: sglang, not standin"),
        ({"host": "host-b"}, "host name: host-b, not host-a"),
        ({"seed": 3}, "seed: 3, not 0"),
        ({"rate_rps": 50.0}, "load: 50 req/s, not 100 req/s"),
        ({"concurrency": 8}, "load: 8 in flight, not 100 req/s"),
    ],
)
def test_what_differs_between_two_runs_is_listed(tmp_path, changes, difference):
    candidate = make_run(tmp_path, number=0, **SHORT)
    assert difference in differences(candidate, make_run(tmp_path, number=1, **{**SHORT, **changes}))
    assert differences(candidate, make_run(tmp_path, number=2, **SHORT)) == []


def test_a_given_baseline_that_differs_is_refused_with_every_difference(tmp_path):
    baseline = make_run(tmp_path, "original", number=0, seed=9, tp=4, **SHORT)
    make_run(tmp_path, "optimized", number=1, **SHORT)
    with pytest.raises(UsageError, match=r"tp: 4, not 2; seed: 9, not 0") as caught:
        chosen(tmp_path, baselines={"original": baseline})
    assert "mmload run --variant original" in caught.value.hint


def test_a_given_baseline_of_another_variant_is_refused(tmp_path):
    commit, _ = make(tmp_path, "commit", "optimized")
    with pytest.raises(UsageError, match="is a run of commit, not of original"):
        chosen(tmp_path, baselines={"original": commit})


def test_a_given_baseline_that_the_gate_does_not_ask_for_is_refused(tmp_path):
    commit, _ = make(tmp_path, "commit", "optimized")
    with pytest.raises(UsageError, match="does not compare with commit"):
        chosen(tmp_path, baselines={"commit": commit})


def test_a_run_is_not_its_own_baseline(tmp_path):
    (run,) = make(tmp_path, "original")
    with pytest.raises(UsageError, match="its own baseline"):
        chosen(tmp_path, baselines={"original": run})


def test_runs_may_be_given_in_any_order_and_baselines_found_elsewhere(tmp_path):
    original, older, newer = make(tmp_path, "original", "optimized", "commit")
    found = choose_runs([older, newer], GATE, also=[original])
    assert (found.candidate.run_id, found.baselines.keys()) == (newer.run_id, {"original"})


def test_stock_on_the_stand_in_is_original(tmp_path):
    stock, optimized = make(tmp_path, "stock", "optimized")
    assert chosen(tmp_path) == (optimized.run_id, {"original": stock.run_id})


def test_without_a_candidate_the_gate_ends_with_the_folders_exit_code(tmp_path):
    with pytest.raises(FolderError, match="no run to judge"):
        chosen(tmp_path)
    make(tmp_path, "original", "rollback")
    with pytest.raises(FolderError, match="only runs of the baselines"):
        chosen(tmp_path)
    with pytest.raises(FolderError, match="no run of commit"):
        chosen(tmp_path, candidate="commit")


def test_a_single_run_is_the_candidate_whatever_its_variant(tmp_path):
    (run,) = make(tmp_path, "rollback")
    assert chosen(tmp_path)[0] == run.run_id


@pytest.mark.parametrize(
    ("plan", "command"),
    [
        (
            Plan(variant="optimized", workload_name="images-small", workload={}, load=OpenLoop(rate_rps=100), tp=4),
            "--workload images-small --rate 100 --arrival poisson --duration 40s --warmup 5s --seed 0 --engine standin --tp 4",
        ),
        (
            Plan(
                variant="shm",
                workload_name="mix",
                workload={},
                load=ClosedLoop(concurrency=96),
                requests=512,
                engine=None,
                url="http://127.0.0.1:1",
                engine_args=("-x", "1"),
            ),
            "--workload mix --concurrency 96 --requests 512 --duration 40s --warmup 5s --seed 0 --url http://127.0.0.1:1 -- -x 1",
        ),
    ],
)
def test_the_command_for_a_baseline_repeats_the_candidates_conditions(plan, command):
    assert command_for("original", plan) == f"mmload run --variant original {command}"
