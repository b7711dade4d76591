import shutil

import msgspec
import pytest
from factory import make_run

from mmload.errors import FolderError, UsageError
from mmload.judge.choice import choose_runs
from mmload.judge.choice_campaign import campaign_of_newest, choice_of_campaign
from mmload.judge.comparable import differences
from mmload.judge.definition import gate_of, load_gate
from mmload.judge.stored import command_for
from mmload.model.campaign import MAIN_SCENE, Attempt, Campaign, Scene, Slot
from mmload.model.manifest import Membership
from mmload.model.plan import ClosedLoop, OpenLoop, Plan
from mmload.store.append import write_document
from mmload.store.lock import writing
from mmload.store.read import Run, list_runs

SHORT = {"duration_s": 5}
GATE = load_gate("release")  # against original and rollback


def make(folder, *variants, **truth):
    return [make_run(folder, variant, number=n, **{**SHORT, **truth}) for n, variant in enumerate(variants)]


def main_scene(choice):
    return choice.scenes[MAIN_SCENE]


def ids(choice):
    """The newest run of the candidate, and that of each baseline."""
    baselines = main_scene(choice).baselines
    return choice.candidate.run_id, {name: max(run.run_id for run in runs) for name, runs in baselines.items()}


def chosen(folder, **options):
    return ids(choose_runs([], GATE, also=list_runs(folder), **options))


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
    absent = main_scene(choose_runs([], GATE, also=list_runs(tmp_path))).absent
    assert absent["rollback"].startswith("no run of rollback to compare with: mmload run --variant rollback --workload")
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
        ({"idle_policy": "poll"}, "idle policy: poll, not sleep"),
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
    absent = main_scene(choose_runs([], GATE, also=list_runs(tmp_path))).absent
    assert "1.2% of its requests failed, of a baseline's at most 1% may" in absent["rollback"]


def test_a_given_baseline_that_differs_is_refused_with_every_difference(tmp_path):
    baseline = make_run(tmp_path, "original", number=0, seed=9, tp=4, **SHORT)
    make_run(tmp_path, "optimized", number=1, **SHORT)
    with pytest.raises(UsageError, match=r"tp: 4, not 2; seed: 9, not 0") as caught:
        chosen(tmp_path, baselines={"original": [baseline]})
    assert "mmload run --variant original" in caught.value.hint


def test_a_given_baseline_of_another_variant_is_refused(tmp_path):
    commit, _ = make(tmp_path, "commit", "optimized")
    with pytest.raises(UsageError, match="is a run of commit, not of original"):
        chosen(tmp_path, baselines={"original": [commit]})


def test_a_given_baseline_that_the_gate_does_not_ask_for_is_refused(tmp_path):
    commit, _ = make(tmp_path, "commit", "optimized")
    with pytest.raises(UsageError, match="does not compare with commit"):
        chosen(tmp_path, baselines={"commit": [commit]})


def test_a_run_is_not_its_own_baseline(tmp_path):
    (run,) = make(tmp_path, "original")
    with pytest.raises(UsageError, match="its own baseline"):
        chosen(tmp_path, baselines={"original": [run]})


def test_runs_may_be_given_in_any_order_and_baselines_found_elsewhere(tmp_path):
    original, older, newer = make(tmp_path, "original", "optimized", "commit")
    found = choose_runs([older, newer], GATE, also=[original])
    assert ids(found) == (newer.run_id, {"original": original.run_id})
    assert found.warnings[0] == f"{older.run_id} was named, and no criterion looks at a run of optimized like that"


def test_a_named_run_comes_before_a_newer_one_that_is_stored(tmp_path):
    named, candidate, newer = make(tmp_path, "original", "optimized", "original")
    rollback = make_run(tmp_path, "rollback", number=9, **SHORT)
    found = choose_runs([named, candidate], GATE, also=list_runs(tmp_path))
    assert ids(found)[1] == {"original": named.run_id, "rollback": rollback.run_id}
    assert newer.run_id not in ids(found)[1].values()


def test_a_named_run_that_will_not_do_is_not_replaced_by_a_stored_one(tmp_path):
    make(tmp_path, "original", "optimized")
    stored = list_runs(tmp_path)
    named = make_run(tmp_path, "original", number=7, seed=9, **SHORT)
    with pytest.raises(UsageError, match="seed: 9, not 0"):
        choose_runs([named, stored[0]], GATE, also=stored)


def test_without_named_runs_all_are_taken_from_the_stored_ones(tmp_path):
    original, optimized = make(tmp_path, "original", "optimized")
    found = choose_runs([], GATE, also=list_runs(tmp_path))
    assert ids(found) == (optimized.run_id, {"original": original.run_id})


def test_a_run_that_is_still_being_written_is_no_choice_and_naming_it_an_error(tmp_path):
    original, optimized = make(tmp_path, "original", "optimized")
    going_on = [make_run(tmp_path, name, number=8, status="running", **SHORT) for name in ("original", "optimized")]
    with writing(going_on[0].layout.plan), writing(going_on[1].layout.plan):
        found = choose_runs([], GATE, also=list_runs(tmp_path))
        assert ids(found) == (optimized.run_id, {"original": original.run_id})
        fresh = [Run(run.layout.path) for run in going_on]
        with pytest.raises(UsageError, match="is still being written"):
            choose_runs([fresh[1]], GATE, also=list_runs(tmp_path))
        with pytest.raises(UsageError, match="is still being written"):
            choose_runs([], GATE, baselines={"original": [fresh[0]]}, also=list_runs(tmp_path))


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
    for options in ({"candidate": "optimised"}, {"baselines": {"optimised": [own]}}):
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
            "--workload mix --concurrency 96 --requests 512 --warmup 5s --seed 0 --url http://127.0.0.1:1",
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


def rounds(folder, variant, seeds, first=0, **truth):
    """Their ids and the runs; first: the number of that with seed 0."""
    made = [make_run(folder, variant, number=first + 10 * seed, seed=seed, **{**SHORT, **truth}) for seed in seeds]
    return [run.run_id for run in made], made


def named(*runs, gate=GATE, **options):
    return choose_runs(runs, gate, **options)


def test_several_named_runs_of_a_variant_are_its_rounds_in_the_order_of_their_seeds(tmp_path):
    ours, candidates = rounds(tmp_path, "optimized", [2, 0, 1])
    theirs, baselines = rounds(tmp_path, "original", [0, 1, 2], first=5)
    scene = main_scene(named(*candidates, *baselines))
    assert [run.run_id for run in scene.candidate] == [ours[1], ours[2], ours[0]]
    assert [run.run_id for run in scene.baselines["original"]] == theirs
    assert scene.forced == {}


def test_a_run_named_twice_is_one_round(tmp_path):
    _, (run, *_) = rounds(tmp_path, "optimized", [0])
    assert len(main_scene(named(run, Run(run.layout.path))).candidate) == 1


def test_runs_that_are_no_rounds_of_each_other_are_refused_with_the_list_of_differences(tmp_path):
    _, (one,) = rounds(tmp_path, "optimized", [0])
    _, (other,) = rounds(tmp_path, "optimized", [1], tp=4, idle_policy="poll")
    with pytest.raises(
        UsageError, match="no rounds of each other: tp: 4, not 2; idle policy: poll, not sleep"
    ) as caught:
        named(one, other)
    assert "--force" in caught.value.hint
    forced = main_scene(named(one, other, force=True)).forced
    assert forced == {"optimized": ("tp: 4, not 2", "idle policy: poll, not sleep")}


@pytest.mark.parametrize(
    ("theirs", "truth", "difference"),
    [
        ([0, 1, 3], {}, "seeds: 0, 1, 3, not 0, 1, 2"),
        ([0, 1], {}, "seeds: 0, 1, not 0, 1, 2"),
        (
            [0, 1, 2],
            {"rate_rps": 50.0},
            "load: 50 req/s, not 100 req/s; other requests or other times with seed 0, 1, 2",
        ),
    ],
)
def test_sides_whose_rounds_met_other_requests_are_refused_unless_forced(tmp_path, theirs, truth, difference):
    _, candidates = rounds(tmp_path, "optimized", [0, 1, 2])
    _, baselines = rounds(tmp_path, "original", theirs, first=5, **truth)
    with pytest.raises(UsageError, match=difference):
        named(*candidates, *baselines)
    assert main_scene(named(*candidates, *baselines, force=True)).forced == {"original": tuple(difference.split("; "))}


def test_for_each_round_of_the_candidate_a_stored_run_of_the_baseline_is_found(tmp_path):
    _, candidates = rounds(tmp_path, "optimized", [0, 1])
    theirs, _ = rounds(tmp_path, "original", [0, 1], first=5)
    make_run(tmp_path, "rollback", number=6, seed=1, **SHORT)
    scene = main_scene(named(*candidates, also=list_runs(tmp_path)))
    assert [run.run_id for run in scene.baselines["original"]] == theirs
    assert "seed: 1, not 0" in scene.absent["rollback"]


def test_by_force_a_stored_run_that_cannot_be_compared_is_taken_where_there_is_no_other(tmp_path):
    _, candidates = rounds(tmp_path, "optimized", [0])
    theirs, _ = rounds(tmp_path, "original", [0], first=5, tp=4)
    scene = main_scene(named(*candidates, also=list_runs(tmp_path), force=True))
    assert [run.run_id for run in scene.baselines["original"]] == theirs
    assert scene.forced == {"original": ("tp: 4, not 2",)}


SCENES = """
[[criteria]]
check = "qps_ratio > 0.9 vs original"
[[criteria]]
check = "outputs_identical == 1 vs original"
on = "alone"
[run]
tp = 2
rate = 100
[run.scenes.alone]
tp = 1
rate = 50
"""
ALONE = {"tp": 1, "rate_rps": 50.0, "duration_s": 4}


def scenes_gate():
    return gate_of(SCENES, "scenes", "scenes.toml")


def test_a_stored_run_that_has_the_load_of_a_scene_is_judged_on_it(tmp_path):
    main, _ = rounds(tmp_path, "optimized", [0])
    older = make_run(tmp_path, number=3, **ALONE)
    newest = make_run(tmp_path, number=4, **ALONE)
    other_engine = make_run(tmp_path, number=5, engine="sglang", **ALONE)
    baseline = make_run(tmp_path, "original", number=6, **ALONE)
    found = choose_runs([], scenes_gate(), also=list_runs(tmp_path))
    assert found.candidate.run_id == main[0]
    alone = found.scenes["alone"]
    assert [run.run_id for run in alone.candidate] == [newest.run_id]
    assert [run.run_id for run in alone.baselines["original"]] == [baseline.run_id]
    assert {older.run_id, other_engine.run_id}.isdisjoint(run.run_id for run in alone.candidate)


def test_a_named_run_that_has_the_load_of_a_scene_is_of_that_scene(tmp_path):
    _, (main,) = rounds(tmp_path, "optimized", [0])
    alone = make_run(tmp_path, number=3, **ALONE)
    found = choose_runs([main, alone], scenes_gate())
    assert {name: [run.run_id for run in scene.candidate] for name, scene in found.scenes.items()} == {
        "main": [main.run_id],
        "alone": [alone.run_id],
    }


def test_a_named_run_of_a_scene_on_another_server_is_refused(tmp_path):
    _, (main,) = rounds(tmp_path, "optimized", [0])
    alone = make_run(tmp_path, number=3, model="another", **ALONE)
    with pytest.raises(UsageError, match="model: another, not stand-in"):
        choose_runs([main, alone], scenes_gate())


def test_without_a_run_of_a_scene_the_command_that_makes_one_is_said(tmp_path):
    rounds(tmp_path, "optimized", [0])
    absent = choose_runs([], scenes_gate(), also=list_runs(tmp_path)).scenes["alone"].absent
    assert absent["optimized"] == (
        "no run of optimized on the scene alone (images-small at TP 1, 50 req/s): mmload run --variant optimized "
        "--workload images-small --rate 50 --arrival poisson --duration 40s --warmup 5s --seed 0 --engine standin --tp 1"
    )


def test_a_run_that_was_made_for_a_scene_is_of_that_scene_whatever_its_load(tmp_path):
    main, _ = rounds(tmp_path, "optimized", [0])
    member = Membership(campaign="c", scene="alone", round=0, place=3)
    make_run(tmp_path, number=3, member=member, **SHORT)
    assert choose_runs([], scenes_gate(), also=list_runs(tmp_path)).candidate.run_id == main[0]


def campaign_of(runs, *, kind="gate", candidate="optimized", **facts):
    """A campaign on one scene that made these runs, (round, variant) -> run, None for one that it lacks."""
    slots = [
        Slot(scene=MAIN_SCENE, round=number, variant=variant, run_id=run and run.run_id)
        for (number, variant), run in runs.items()
    ]
    variants = list(dict.fromkeys(variant for _, variant in runs))
    scene = Scene(plan=next(run for run in runs.values() if run).plan, rounds=2)
    campaign = Campaign(
        campaign_id="20261120T000000Z-gate-0000",
        kind=kind,
        variants=variants,
        scenes={MAIN_SCENE: scene},
        slots=slots,
        candidate=candidate,
        **facts,
    )
    return campaign, {run.run_id: run for run in runs.values() if run}


def two_rounds(folder):
    _, (our_first, our_second) = rounds(folder, "optimized", [0, 1])
    _, (their_first, their_second) = rounds(folder, "original", [0, 1], first=5)
    return {
        (0, "original"): their_first,
        (0, "optimized"): our_first,
        (1, "optimized"): our_second,
        (1, "original"): their_second,
    }


def test_the_runs_of_a_campaign_are_judged_as_it_made_them(tmp_path):
    runs = two_rounds(tmp_path)
    attempt = Attempt(run_id="lost", reasons=["late"])
    campaign, by_id = campaign_of(runs, earlier=["one", "two"])
    again = msgspec.structs.replace(campaign.slots[0], attempts=[attempt])
    choice = choice_of_campaign(msgspec.structs.replace(campaign, slots=[again, *campaign.slots[1:]]), by_id, GATE)
    scene = main_scene(choice)
    assert scene.candidate == (runs[0, "optimized"], runs[1, "optimized"])
    assert scene.baselines == {"original": (runs[0, "original"], runs[1, "original"])}
    assert (choice.campaign, choice.look) == (campaign.campaign_id, 3)
    assert choice.warnings[:1] == ("lost does not count and was made again: late",)


def test_a_campaign_that_is_not_complete_is_judged_by_the_rounds_that_are_there(tmp_path):
    campaign, by_id = campaign_of(two_rounds(tmp_path) | {(1, "original"): None})
    choice = choice_of_campaign(campaign, by_id, GATE)
    assert [len(main_scene(choice).candidate), len(main_scene(choice).baselines["original"])] == [2, 1]
    assert choice.warnings[:1] == (f"1 of 4 runs of {campaign.campaign_id} were not made",)


def test_the_runs_of_a_campaign_must_be_comparable_too(tmp_path):
    polling = make_run(tmp_path, "original", number=7, idle_policy="poll", **SHORT)
    campaign, by_id = campaign_of(two_rounds(tmp_path) | {(0, "original"): polling})
    with pytest.raises(UsageError, match="idle policy: poll, not sleep"):
        choice_of_campaign(campaign, by_id, GATE)
    assert main_scene(choice_of_campaign(campaign, by_id, GATE, force=True)).forced["original"]


def test_variants_of_a_campaign_that_the_gate_does_not_ask_for_are_not_looked_at(tmp_path):
    other = make_run(tmp_path, "commit", number=7, idle_policy="poll", **SHORT)
    campaign, by_id = campaign_of({(0, "commit"): other} | two_rounds(tmp_path))
    assert main_scene(choice_of_campaign(campaign, by_id, GATE)).baselines.keys() == {"original"}


def test_another_variant_of_a_campaign_can_be_the_candidate_and_only_one_of_its_own(tmp_path):
    campaign, by_id = campaign_of(two_rounds(tmp_path), candidate=None)
    assert choice_of_campaign(campaign, by_id, GATE).candidate.manifest.variant == "optimized"
    assert choice_of_campaign(campaign, by_id, GATE, "original").candidate.manifest.variant == "original"
    with pytest.raises(UsageError, match="has no run of shm"):
        choice_of_campaign(campaign, by_id, GATE, "shm")


@pytest.mark.parametrize(("kind", "on"), [("gate", "mmload gate --run goes"), ("compare", "compare --continue")])
def test_a_campaign_without_a_run_of_the_candidate_is_nothing_to_judge(tmp_path, kind, on):
    runs = two_rounds(tmp_path)
    campaign, by_id = campaign_of({(0, "original"): runs[0, "original"], (0, "optimized"): None}, kind=kind)
    with pytest.raises(FolderError, match="has no run of optimized yet") as error:
        choice_of_campaign(campaign, by_id, GATE)
    assert on in error.value.hint


def test_the_campaign_of_the_newest_candidate_is_known(tmp_path):
    make(tmp_path, "original", "optimized")
    assert campaign_of_newest(list_runs(tmp_path), GATE) is None
    member = Membership(campaign="mine", scene=MAIN_SCENE, round=0, place=0)
    make_run(tmp_path, number=4, member=member, **SHORT)
    make_run(tmp_path, "original", number=5, **SHORT)
    assert campaign_of_newest(list_runs(tmp_path), GATE) == "mine"


def rewritten(run, document, **changes):
    """The run, of whose plan or manifest some fields are others."""
    path = getattr(run.layout, document)
    write_document(path, msgspec.structs.replace(getattr(run, document), **changes))
    return Run(run.layout.path)


def copy_of(run, **changes):
    """The same run under another id."""
    twin = Run(shutil.copytree(run.layout.path, run.layout.path.with_name(f"{run.run_id[:-4]}beef")))
    return rewritten(twin, "manifest", **changes) if changes else twin


def link_to(run):
    path = run.layout.path.with_name(f"{run.run_id[:-4]}beef")
    path.symlink_to(run.layout.path)
    return Run(path)


@pytest.mark.parametrize(
    "again", [copy_of, link_to, lambda run: copy_of(run, run_id="20261120T000000Z-optimized-beef", seed=1)]
)
@pytest.mark.parametrize("force", [False, True])
def test_a_copy_of_a_run_is_no_further_round_whatever_it_is_called(tmp_path, again, force):
    _, (run,) = rounds(tmp_path, "optimized", [0])
    with pytest.raises(UsageError, match="is the same run as") as refusal:
        named(run, again(run), force=force)
    assert "a copy is no further evidence" in refusal.value.hint


def test_a_copy_of_the_candidate_is_no_baseline_either(tmp_path):
    _, (run,) = rounds(tmp_path, "optimized", [0])
    with pytest.raises(UsageError, match="is the same run as"):
        named(run, copy_of(run, variant="original", run_id="another"), force=True)


def test_rounds_of_one_seed_are_refused_unless_forced(tmp_path):
    first, again = make(tmp_path, "optimized", "optimized")
    with pytest.raises(UsageError, match="seed 0 twice: the same requests again"):
        named(first, again)
    assert main_scene(named(first, again, force=True)).forced == {
        "optimized": ("seed 0 twice: the same requests again",)
    }


def test_a_campaign_that_names_one_run_twice_is_refused(tmp_path):
    runs = two_rounds(tmp_path)
    campaign, by_id = campaign_of(runs | {(1, "optimized"): runs[0, "optimized"]})
    with pytest.raises(UsageError, match="is given twice"):
        choice_of_campaign(campaign, by_id, GATE, force=True)


@pytest.mark.parametrize(
    "other",
    [
        {"variant": "commit"},
        {"member": Membership(campaign="20261120T000000Z-gate-0000", scene="alone", round=1, place=0)},
        {"member": Membership(campaign="20261120T000000Z-gate-0000", scene=MAIN_SCENE, round=2, place=0)},
        {"member": Membership(campaign="another", scene=MAIN_SCENE, round=1, place=0)},
    ],
)
def test_a_campaign_with_a_run_that_it_did_not_make_in_that_place_is_damaged(tmp_path, other):
    runs = two_rounds(tmp_path)
    strange = rewritten(runs[1, "optimized"], "manifest", **other)
    campaign, by_id = campaign_of(runs | {(1, "optimized"): strange})
    with pytest.raises(FolderError, match="as its round 1 of optimized on main, which that run is not"):
        choice_of_campaign(campaign, by_id, GATE)


def test_only_the_rounds_of_a_baseline_that_are_compared_are_named(tmp_path):
    runs = two_rounds(tmp_path) | {(1, "optimized"): None}
    campaign, by_id = campaign_of(runs)
    assert main_scene(choice_of_campaign(campaign, by_id, GATE)).baselines == {"original": (runs[0, "original"],)}


def test_who_names_some_of_the_rounds_that_a_campaign_made_is_told_so(tmp_path):
    made = [
        make_run(
            tmp_path, number=n, seed=n, member=Membership(campaign="mine", scene="main", round=n, place=n), **SHORT
        )
        for n in range(3)
    ]
    warning = "2 of the 3 rounds of optimized that mine made are judged"
    assert warning in named(*made[:2], also=made).warnings
    assert warning not in named(*made, also=made).warnings


def test_a_run_under_another_load_than_the_gate_declares_is_a_warning(tmp_path):
    _, (slower,) = rounds(tmp_path, "optimized", [0], rate_rps=50.0)
    _, (asked,) = rounds(tmp_path, "optimized", [1], tp=4)
    warning = "the gate asks for images-small, 100 req/s, TP 4; {} had images-small, 50 req/s, TP 2"
    assert named(slower).warnings == (warning.format(slower.run_id),)
    assert named(asked).warnings == ()


@pytest.mark.parametrize(
    ("document", "theirs", "difference"),
    [
        ("plan", {"engine_args": ("--mem", "0.5")}, "engine arguments: --mem 0.5, not none"),
        ("manifest", {"flags": {"dtype": "float16", "random_seed": 1}}, "server's dtype: float16, not float32"),
    ],
)
def test_another_configuration_of_the_server_is_a_difference(tmp_path, document, theirs, difference):
    ours, other = (
        rewritten(run, "manifest", flags={"dtype": "float32", "random_seed": 2}) for run in make(tmp_path, "a", "b")
    )
    assert differences(ours, rewritten(other, document, **theirs)) == [difference]
