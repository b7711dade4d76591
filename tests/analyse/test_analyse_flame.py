"""What stacks cost, as trees of functions, and which of them differ."""

import re
from collections import Counter

import msgspec
import numpy as np
import pytest
from factory import make_run
from hypothesis import given, settings
from hypothesis import strategies as st
from planted_stacks import with_stacks

from mmload.analyse.flame import FlameProfile, ProcessFlame, StackCost, flame_profile
from mmload.analyse.flame_diff import changes, differences
from mmload.analyse.flame_document import ALL_RANKS, flame_document
from mmload.analyse.flame_rows import flame_table
from mmload.analyse.flame_select import Selection, phase_costs, selected
from mmload.analyse.flame_slow import document_of_slow
from mmload.analyse.flame_tree import Frames, forest
from mmload.analyse.phases import Judge
from mmload.analyse.slow import PhaseWall, SlowRequests, StackWall, ThreadWall
from mmload.analyse.summary import summarise
from mmload.errors import FolderError
from mmload.model.flame import CHANGE_WORDS, VALUE_UNIT_MS
from mmload.plan.phases import PHASES, rules_for
from mmload.store.read import Run
from mmload.store.stacks import ProcessThreads, ThreadStacks, write_threads

JUDGE = Judge(rules_for("standin"), {})
SHORT = {"rate_rps": 20, "duration_s": 20.0, "warmup_s": 0.0}
FUNCTIONS = ("event_loop", "hash_feature", "from_dict", "poll_for_work", "unpickle_object", "f;g", "<b>", "")


def stack_of(*functions):
    return ";".join(
        f"{function.replace(';', ':')} (mmload/standin/rank.py:{line})" for line, function in enumerate(functions)
    )


def costs(samples, tick_ms=0.01):
    """Stacks whose samples weigh alike."""
    return {stack: StackCost(count, count * tick_ms, count * tick_ms**2) for stack, count in samples.items()}


def profile(stacks, run_id="this", unit="cpu_ms_per_request"):
    processes = {
        name: ProcessFlame(name=name, role="scheduler" if "TP" in name else "tokenizer", stacks=costs(found))
        for name, found in stacks.items()
    }
    return FlameProfile(name=run_id, variant=run_id, unit=unit, processes=processes, judge=JUDGE)


def one_forest(*sides):
    return forest([[(costs(side), JUDGE)] for side in sides], Frames())


stacks_of_any_kind = st.dictionaries(
    st.lists(st.sampled_from(FUNCTIONS), min_size=1, max_size=6).map(lambda found: stack_of(*found)),
    st.integers(1, 1000),
    min_size=1,
    max_size=30,
)


# What is conserved


@given(this=stacks_of_any_kind, base=stacks_of_any_kind)
def test_every_view_holds_all_samples_of_its_folded_files_and_no_other(this, base):
    sides = profile({"scheduler_TP0": this, "scheduler_TP1": base}), profile({"scheduler_TP0": base, "tokenizer": this})
    views = {view.id: view for view in flame_document(*sides).views}
    for name, view in views.items():
        for side, (samples, total) in enumerate(
            ((view.nodes.samples, view.samples), (view.nodes.base_samples, view.base_samples))
        ):
            members = ["scheduler_TP0", "scheduler_TP1"] if name == ALL_RANKS else [name]
            held = [sides[side].processes[one].samples for one in members if one in sides[side].processes]
            assert sum(samples) == total == sum(held)


@given(stacks=stacks_of_any_kind)
def test_each_phase_has_the_samples_of_its_stacks(stacks):
    nodes = flame_document(profile({"scheduler_TP0": stacks})).views[0].nodes
    by_node, by_stack = Counter(), Counter()
    for phase, samples in zip(nodes.phase, nodes.samples, strict=True):
        by_node[PHASES[phase]] += samples
    for stack, samples in stacks.items():
        by_stack[JUDGE.phase(stack)] += samples
    assert +by_node == by_stack


@given(stacks=stacks_of_any_kind)
def test_parents_stand_before_their_children_and_cost_at_least_as_much(stacks):
    grown = one_forest(stacks)
    for node, parent in enumerate(grown.parent.tolist()):
        assert parent < node
        if parent >= 0:
            assert grown.total.samples[0, parent] >= grown.total.samples[0, node]
    assert grown.total.samples[0, grown.parent < 0].sum() == sum(stacks.values())


@given(stacks=stacks_of_any_kind)
def test_the_order_of_stacks_changes_no_view(stacks):
    backwards = dict(reversed(stacks.items()))
    for one, other in zip(one_forest(stacks).total, one_forest(backwards).total, strict=True):
        assert np.allclose(np.sort(one), np.sort(other))


def test_lines_of_a_function_are_one_node_and_phases_are_several():
    stacks = {
        "event_loop (mmload/standin/rank.py:1);hash_feature (mmload/standin/inputs.py:1)": 3,
        "event_loop (mmload/standin/rank.py:2);hash_feature (mmload/standin/inputs.py:9)": 4,
        "event_loop (mmload/standin/rank.py:2)": 5,
    }
    nodes = flame_document(profile({"scheduler_TP0": stacks})).views[0].nodes
    assert (nodes.up, nodes.samples) == ([0, 1], [5, 7])
    assert [PHASES[phase] for phase in nodes.phase] == ["schedule", "hash"]


# What a run's stacks cost


def test_a_phase_costs_a_request_what_the_summary_says(tmp_path):
    run = with_stacks(make_run(tmp_path, **SHORT), {"scheduler_TP0": {"hash": 30, "forward": 60, "poll": 10}})
    summary = summarise(run)
    view = next(view for view in flame_document(flame_profile(run)).views if view.id == "scheduler_TP0")
    nodes = view.nodes
    hashing = sum(v for v, phase in zip(nodes.value, nodes.phase, strict=True) if PHASES[phase] == "hash")
    told = summary.cpu["scheduler_TP0"].by_phase["hash"].ms_per_request
    assert hashing * VALUE_UNIT_MS == pytest.approx(told.value, rel=1e-3)
    assert view.value_ms == pytest.approx(10 * summary.cpu["scheduler_TP0"].total_pct / summary.achieved_rate_rps)


def test_what_a_native_thread_burns_has_a_width_and_no_samples(tmp_path):
    run = make_run(tmp_path, **SHORT)
    threads = [
        ThreadStacks(tid=1, name="MainThread", cpu_s=1.0, stacks={stack_of("event_loop"): 100}),
        ThreadStacks(tid=2, name="ZMQ", cpu_s=3.0),
    ]
    run.layout.folded("scheduler_TP0").write_text(stack_of("event_loop") + " 100\n")
    write_threads(run.layout, "scheduler_TP0", ProcessThreads(seconds=10.0, rate_hz=100, threads=threads))
    process = flame_profile(Run(run.layout.path)).processes["scheduler_TP0"]
    assert process.samples == 100
    assert process.stacks["ZMQ (native thread:0)"].samples == 0
    assert process.stacks["ZMQ (native thread:0)"].ms == pytest.approx(0.75 * process.ms)


def test_a_process_that_was_only_ever_asleep_costs_nothing(tmp_path):
    found = flame_profile(with_stacks(make_run(tmp_path, **SHORT), {"tokenizer": {"sleep": 300}}))
    assert found.unit == "cpu_ms_per_request"
    assert (found.processes["tokenizer"].samples, found.processes["tokenizer"].ms) == (300, 0)


def test_without_answers_widths_are_the_cpu_of_the_profile_window(tmp_path):
    run = make_run(tmp_path, **SHORT, outcomes=dict.fromkeys(range(400), "timeout"))
    found = flame_profile(run)
    assert found.unit == "cpu_ms_per_s"
    assert found.processes["scheduler_TP0"].ms == pytest.approx(
        1000 * 1000 / run.manifest.profile.rate_hz / run.plan.profile.duration_s
    )


def test_profiles_of_different_length_of_one_process_do_not_differ(tmp_path):
    profiles = []
    for number, seconds in enumerate((5.0, 15.0)):
        run = make_run(tmp_path, number=number, **SHORT, stack_samples=0)
        stack = stack_of("event_loop", "from_dict")
        thread = ThreadStacks(tid=1, name="MainThread", cpu_s=0.6 * seconds, stacks={stack: round(60 * seconds)})
        run.layout.folded("scheduler_TP0").write_text(f"{stack} {round(60 * seconds)}\n")
        write_threads(run.layout, "scheduler_TP0", ProcessThreads(seconds=seconds, rate_hz=100, threads=[thread]))
        profiles.append(flame_profile(Run(run.layout.path), per_request=False))
    document = flame_document(*profiles)
    assert document.views[0].value_ms == pytest.approx(document.views[0].base_value_ms) == pytest.approx(600)
    assert {change.word for change in document.views[0].changes} == {"within noise"}


def test_all_of_a_part_is_as_much_a_matter_of_chance_as_the_part():
    stacks = {"run_batch": 900, "hash_feature": 8}
    sides = [
        profile({"scheduler_TP0": {stack_of("event_loop", name): count for name, count in of.items()}}, run_id)
        for run_id, of in (("this", stacks), ("base", stacks | {"hash_feature": 3}))
    ]
    document = flame_document(*sides)
    (part,) = selected(document, document.views, Selection(phases=("hash",)))
    _, words = phase_costs(document, part)
    assert words[PHASES.index("hash")] == words[-1] == "within noise"


def test_profiles_of_different_modes_are_not_judged(tmp_path):
    one = profile({"scheduler_TP0": {stack_of("event_loop"): 1000}})
    other = profile({"scheduler_TP0": {stack_of("event_loop"): 10}})
    sides = [msgspec.structs.replace(side, modes=(mode,)) for side, mode in ((one, "gil"), (other, "native"))]
    view = flame_document(*sides).views[0]
    assert {CHANGE_WORDS[word] for word in view.nodes.word} == {"not judged"}
    assert {change.word for change in view.changes} == {change.own_word for change in view.changes} == {"not judged"}


def test_a_run_without_stacks_says_why(tmp_path):
    with pytest.raises(FolderError, match="has no stacks"):
        flame_profile(make_run(tmp_path, **SHORT, stack_samples=0))


def test_several_runs_cost_what_they_cost_on_the_average_and_hold_the_samples_of_all(tmp_path):
    stacks = ({"hash": 100, "pickle": 300}, {"hash": 300, "receive": 100})
    runs = [
        with_stacks(make_run(tmp_path, number=number, **SHORT), {"scheduler_TP0": counts})
        for number, counts in enumerate(stacks)
    ]
    each = [flame_profile(run).processes["scheduler_TP0"] for run in runs]
    together = flame_profile(*runs)
    process = together.processes["scheduler_TP0"]
    assert (together.name, together.runs) == (f"{together.variant}, 2 runs", 2)
    assert process.samples == sum(one.samples for one in each) == 800
    assert process.ms == pytest.approx(sum(one.ms for one in each) / 2)
    hashing = next(stack for stack in process.stacks if "hash_feature" in stack)
    assert process.stacks[hashing].variance == pytest.approx(sum(one.stacks[hashing].variance for one in each) / 4)


def test_a_run_without_stacks_is_left_out_of_several_and_named(tmp_path):
    bare, run = make_run(tmp_path, **SHORT, stack_samples=0), make_run(tmp_path, number=2, **SHORT)
    document = flame_document(flame_profile(bare, run))
    assert document.this == run.run_id
    assert f"{bare.run_id} has no stacks and is left out" in document.notes


def _mean_of(side, runs):
    processes = {name: msgspec.structs.replace(one, runs=runs) for name, one in side.processes.items()}
    return msgspec.structs.replace(side, runs=runs, processes=processes)


def test_a_rank_that_one_of_several_runs_lost_is_the_mean_of_fewer():
    side = profile({"scheduler_TP0": {stack_of("event_loop"): 100}, "scheduler_TP1": {stack_of("event_loop"): 100}})
    several = _mean_of(side, 3)
    processes = several.processes | {"scheduler_TP1": side.processes["scheduler_TP1"]}
    document = flame_document(msgspec.structs.replace(several, processes=processes))
    assert {view.id: view.runs for view in document.views} == {ALL_RANKS: 1, "scheduler_TP0": 3, "scheduler_TP1": 1}


def test_more_runs_of_each_side_leave_less_to_chance():
    one, other = (profile({"scheduler_TP0": {stack_of("event_loop"): count}}) for count in (1000, 800))
    widths = []
    for runs in (1, 4):
        sides = [_mean_of(side, runs) for side in (one, other)]
        change = flame_document(*sides).views[0].changes[0]
        widths.append(change.high_ms - change.low_ms)
    assert widths[1] < widths[0]


def test_two_units_are_no_difference():
    with pytest.raises(ValueError, match="different units"):
        flame_document(profile({"a": {"f (g:1)": 1}}), profile({"a": {"f (g:1)": 1}}, unit="cpu_ms_per_s"))


# What differs


def draws(rates, rng):
    return {stack: int(count) for stack, count in zip(rates, rng.poisson(list(rates.values())), strict=True) if count}


def many_stacks(rng, functions=300):
    """Expected samples, as real profiles have them: few stacks with many, many with few."""
    paths = [stack_of("event_loop", f"f{n % 17}", f"g{n % 61}", f"h{n}") for n in range(functions)]
    return dict(zip(paths, 400 * rng.pareto(1.1, functions).clip(0, 20) / 20, strict=True))


@pytest.mark.parametrize("scale", [0.2, 1.0, 10.0])
def test_two_profiles_of_one_truth_differ_in_at_most_one_node_of_twenty(scale):
    rng = np.random.default_rng(0)
    coloured = nodes = 0
    for _ in range(20):
        rates = {stack: scale * rate for stack, rate in many_stacks(rng).items()}
        grown = one_forest(draws(rates, rng), draws(rates, rng))
        coloured += int((differences(grown.total).word > 0).sum())
        nodes += len(grown.parent)
    assert coloured / nodes <= 0.05


def test_a_planted_hot_function_tops_the_differences():
    rng = np.random.default_rng(1)
    rates = many_stacks(rng)
    hot = stack_of("event_loop", "f3", "planted")
    frames = Frames()
    sides = [[(costs(draws(found, rng)), JUDGE)] for found in (rates | {hot: 80.0}, rates)]
    first = changes(forest(sides, frames))[0]
    assert (frames.frames[first.frame].function, first.own_word, first.word) == ("planted", "appeared", "appeared")
    assert first.own_low_ms > 0


@pytest.mark.parametrize(
    ("this", "base", "word"),
    [
        (400, 100, "more"),
        (100, 400, "less"),
        (40, 0, "appeared"),
        (0, 40, "vanished"),
        (3, 0, "within noise"),
        (0, 3, "within noise"),
        (105, 100, "within noise"),
        (100_500, 100_000, "within noise"),
    ],
)
def test_a_difference_is_named_where_it_is_more_than_chance_and_than_two_starts_differ(this, base, word):
    there, always = stack_of("event_loop", "changing"), stack_of("event_loop", "steady")
    grown = one_forest({there: this, always: 50}, {there: base, always: 50})
    found = changes(grown)[0]
    assert (found.own_word, found.word) == (word, word)
    assert word == "within noise" or found.own_ms - found.base_own_ms == pytest.approx((this - base) * 0.01)


def test_a_saving_elsewhere_changes_no_other_function():
    before = {stack_of("event_loop", "heavy"): 5000, stack_of("event_loop", "untouched"): 500}
    after = {stack_of("event_loop", "untouched"): 500}
    frames = Frames()
    words = {
        frames.frames[change.frame].function: change.own_word
        for change in changes(forest([[(costs(side), JUDGE)] for side in (after, before)], frames))
    }
    assert words == {"heavy": "vanished", "untouched": "within noise", "event_loop": "within noise"}


def test_a_function_that_calls_itself_counts_once():
    found = changes(one_forest({stack_of("f", "f", "f"): 10}, {stack_of("f"): 10}))
    assert [(change.total_ms, change.base_total_ms) for change in found] == [(pytest.approx(0.1), pytest.approx(0.1))]


@settings(max_examples=30)
@given(this=stacks_of_any_kind, base=stacks_of_any_kind)
def test_bounds_hold_the_difference_and_words_follow_from_them(this, base):
    for change in changes(one_forest(this, base)):
        for difference, low, high, word in (
            (change.total_ms - change.base_total_ms, change.low_ms, change.high_ms, change.word),
            (change.own_ms - change.base_own_ms, change.own_low_ms, change.own_high_ms, change.own_word),
        ):
            assert low - 1e-9 <= difference <= high + 1e-9
            assert (word == "within noise") == (low <= 0 <= high)
            assert word in CHANGE_WORDS


# Rows for a terminal


def table(stacks, most=50, base=None, **selection):
    document = flame_document(*[profile({"scheduler_TP0": side}) for side in (stacks, base) if side is not None])
    return flame_table(document, selected(document, document.views, Selection(**selection)), most)


def test_rows_are_the_hottest_paths_in_their_tree():
    stacks = {stack_of("a", "b", "c"): 60, stack_of("a", "b", "d"): 30, stack_of("a", "e"): 10}
    rows = table(stacks).rows
    assert [(row.depth, row.skipped, row.frame.function) for row in rows] == [
        (0, 0, "a"), (1, 0, "b"), (2, 0, "c"), (2, 0, "d"), (1, 0, "e"),
    ]  # fmt: skip
    assert [round(row.total_ms[0], 3) for row in rows] == [1.0, 0.9, 0.6, 0.3, 0.1]


def test_what_only_passes_on_is_counted_and_left_out():
    rows = table({stack_of("main", "run", "loop", "work"): 60, stack_of("main", "run", "loop", "rest"): 40}).rows
    assert [(row.depth, row.skipped, row.frame.function) for row in rows] == [
        (0, 2, "loop"), (1, 0, "work"), (1, 0, "rest"),
    ]  # fmt: skip


def test_no_more_rows_than_asked_and_the_rest_is_counted():
    found = table({stack_of("a", f"b{n}"): 100 - n for n in range(20)}, most=5)
    assert (len(found.rows), found.left_out) == (5, 16)
    assert [row.frame.function for row in found.rows] == ["a", "b0", "b1", "b2", "b3"]


def test_a_phase_and_a_function_select_stacks():
    stacks = {stack_of("event_loop", "hash_feature"): 30, stack_of("event_loop", "other"): 70}
    assert table(stacks, phases=("hash",)).total_ms == [pytest.approx(0.3)]
    assert table(stacks, function=re.compile("^oth")).total_ms == [pytest.approx(0.7)]
    assert table(stacks, function=re.compile("nothing")).rows == []


@given(this=stacks_of_any_kind, base=stacks_of_any_kind, most=st.integers(1, 60))
def test_rows_never_cost_more_than_what_they_are_below(this, base, most):
    above = []
    for row in table(this, most, base).rows:
        del above[row.depth :]
        if above:
            assert row.total_ms[0] <= above[-1][0] + 1e-9
            assert row.base_total_ms[0] <= above[-1][1] + 1e-9
        assert len(above) == row.depth
        above.append((row.total_ms[0], row.base_total_ms[0]))


# What slow requests waited for


def slow_view(spells=3, **stacks):
    """stacks: function -> (ms while a slow one waited, ms that a wait as long usually has). Its phase is named, and 100
    ms more are chance."""
    walls = {
        stack_of("event_loop", function): StackWall(slow, usual, round(slow / 10), round(usual))
        for function, (slow, usual) in stacks.items()
    }
    phases = {
        JUDGE.phase(stack): PhaseWall(
            slow_ms=wall.slow_ms,
            rest_ms=1.0,
            more_ms=500.0,
            low_ms=400.0,
            high_ms=600.0,
            named=JUDGE.phase(stack) == "hash",
        )
        for stack, wall in walls.items()
    }
    waits = [sum(wall[side] for wall in walls.values()) for side in (0, 1)]
    found = SlowRequests(
        slow=3,
        rest=297,
        spells=spells,
        slow_wait_ms=waits[0],
        rest_wait_ms=waits[1],
        threads={"scheduler_TP1": ThreadWall(process="scheduler_TP1", phases=phases, stacks=walls)},
        sentences=["the slowest 3 of 300 requests waited"],
    )
    return document_of_slow(found, JUDGE)


def test_a_planted_stall_tops_the_slow_view():
    document = slow_view(hash_feature=(600.0, 4.0), run_batch=(320.0, 90.0))
    (view,) = document.views
    words = {document.frames[change.frame].function: change.own_word for change in view.changes}
    assert next(iter(words)) == "hash_feature"
    assert words == {"hash_feature": "more", "run_batch": "within noise", "event_loop": "within noise"}
    coloured = {document.frames[view.nodes.frame[place]].function for place, word in enumerate(view.nodes.word) if word}
    assert coloured == {"hash_feature"}
    assert document.unit == "wall_ms_per_request"
    assert view.value_ms == pytest.approx(920)
    assert "the slowest 3 of 300 requests waited" in document.notes


@pytest.mark.parametrize(
    "stacks", [{"run_batch": (350.0, 110.0)}, {"hash_feature": (80.0, 0.0), "run_batch": (150.0, 110.0)}]
)
def test_what_no_sentence_names_or_chance_may_have_is_grey(stacks):
    (view,) = slow_view(**stacks).views
    assert {change.own_word for change in view.changes} == {"within noise"}
    assert set(view.nodes.word) == {0}
