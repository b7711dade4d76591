import pytest
from factory import make_run

from mmload.errors import FolderError, UsageError
from mmload.judge.choice import choose_runs, command_for, differences
from mmload.judge.definition import load_gate
from mmload.model.plan import ClosedLoop, OpenLoop, Plan
from mmload.store.lock import writing
from mmload.store.read import Run, list_runs

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
        ({"timeout_s": 5.0}, "timeout: 5 s, not 30 s"),
    ],
)
def test_what_differs_between_two_runs_is_listed(tmp_path, changes, difference):
    candidate = make_run(tmp_path, number=0, **SHORT)
    assert difference in differences(candidate, make_run(tmp_path, number=1, **{**SHORT, **changes}))
    assert differences(candidate, make_run(tmp_path, number=2, **SHORT)) == []


@pytest.mark.parametrize(
    ("changes", "difference"),
    [({"warmup_s": 4.0}, "warm-up: 4 s, not 2 s"), ({"requests": 400}, "requests: 400, not None")],
)
def test_a_closed_loop_has_no_schedule_so_what_it_would_say_is_compared(tmp_path, changes, difference):
    candidate = make_run(tmp_path, number=0, concurrency=8, **SHORT)
    assert differences(candidate, make_run(tmp_path, number=1, concurrency=8, **SHORT, **changes)) == [difference]


def test_a_baseline_with_many_errors_is_refused(tmp_path):
    few, many = dict.fromkeys(range(5), "timeout"), dict.fromkeys(range(6), "timeout")
    sound = make_run(tmp_path, "original", number=0, outcomes=few, **SHORT)
    make_run(tmp_path, "original", number=1, outcomes=many, **SHORT)
    make_run(tmp_path, "rollback", number=2, outcomes=many, **SHORT)
    make_run(tmp_path, "optimized", number=3, **SHORT)
    assert chosen(tmp_path)[1] == {"original": sound.run_id}
    absent = choose_runs(list_runs(tmp_path), GATE).absent
    assert "1.2% of its requests failed, of a baseline's at most 1% may" in absent["rollback"]


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


def test_a_named_run_comes_before_a_newer_one_that_is_stored(tmp_path):
    named, candidate, newer = make(tmp_path, "original", "optimized", "original")
    rollback = make_run(tmp_path, "rollback", number=9, **SHORT)
    found = choose_runs([named, candidate], GATE, also=list_runs(tmp_path))
    assert {name: run.run_id for name, run in found.baselines.items()} == {
        "original": named.run_id,
        "rollback": rollback.run_id,
    }
    assert newer.run_id not in found.baselines.values()


def test_a_named_run_that_will_not_do_is_not_replaced_by_a_stored_one(tmp_path):
    make(tmp_path, "original", "optimized")
    stored = list_runs(tmp_path)
    named = make_run(tmp_path, "original", number=7, seed=9, **SHORT)
    found = choose_runs([named, stored[0]], GATE, also=stored)
    assert "seed: 9, not 0" in found.absent["original"]


def test_without_named_runs_all_are_taken_from_the_stored_ones(tmp_path):
    original, optimized = make(tmp_path, "original", "optimized")
    found = choose_runs([], GATE, also=list_runs(tmp_path))
    assert (found.candidate.run_id, found.baselines["original"].run_id) == (optimized.run_id, original.run_id)


def test_a_run_that_is_still_being_written_is_no_choice_and_naming_it_an_error(tmp_path):
    original, optimized = make(tmp_path, "original", "optimized")
    going_on = [make_run(tmp_path, name, number=8, status="running", **SHORT) for name in ("original", "optimized")]
    with writing(going_on[0].layout.plan), writing(going_on[1].layout.plan):
        found = choose_runs([], GATE, also=list_runs(tmp_path))
        assert (found.candidate.run_id, found.baselines["original"].run_id) == (optimized.run_id, original.run_id)
        fresh = [Run(run.layout.path) for run in going_on]
        with pytest.raises(UsageError, match="is still being written"):
            choose_runs([fresh[1]], GATE, also=list_runs(tmp_path))
        with pytest.raises(UsageError, match="is still being written"):
            choose_runs([], GATE, baselines={"original": fresh[0]}, also=list_runs(tmp_path))


def test_stock_on_the_stand_in_is_original_by_both_names(tmp_path):
    stock, optimized = make(tmp_path, "stock", "optimized")
    assert chosen(tmp_path) == (optimized.run_id, {"original": stock.run_id})
    assert [chosen(tmp_path, candidate=name)[0] for name in ("stock", "original")] == [stock.run_id] * 2


def test_stock_of_another_engine_is_itself(tmp_path):
    make(tmp_path, "stock", "optimized", engine="sglang")
    with pytest.raises(FolderError, match="no run of original"):
        chosen(tmp_path, candidate="original")


def test_an_unknown_variant_is_a_usage_error_with_the_nearest_names(tmp_path):
    own, _ = make(tmp_path, "my-patch", "optimized")
    assert chosen(tmp_path, candidate="my-patch")[0] == own.run_id
    for options in ({"candidate": "optimised"}, {"baselines": {"optimised": own}}):
        with pytest.raises(UsageError, match="unknown variant 'optimised'") as caught:
            chosen(tmp_path, **options)
        assert "optimized" in caught.value.hint


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
        (
            Plan(
                variant="optimized",
                workload_name="cats",
                workload={"dataset": "/data/my cats.jsonl"},
                load=OpenLoop(rate_rps=33.3333333),
                duration_s=1_209_600.0,
                timeout_s=2.5,
                workers=4,
                extra_body={"top_p": 0.5},
            ),
            (
                "--items '/data/my cats.jsonl' --rate 33.3333333 --arrival poisson --duration 1209600s --warmup 5s --seed 0 "
                "--timeout 2.5s --workers 4 --extra-body '{\"top_p\": 0.5}' --engine standin --tp 2"
            ),
        ),
    ],
)
def test_the_command_for_a_baseline_repeats_the_candidates_conditions(plan, command):
    assert command_for("original", plan) == f"mmload run --variant original {command}"
