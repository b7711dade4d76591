"""What the slowest requests waited for: nothing where a server is even, the planted stall where there is one."""

import re

import msgspec
import numpy as np
import pytest
from factory import S, make_run
from hypothesis import given
from hypothesis import strategies as st
from planted_waits import STACKS, serve, stamped

from mmload.analyse.flame_slow import slow_document
from mmload.analyse.phases import Judge
from mmload.analyse.slow import compare, slow_requests
from mmload.analyse.slow_known import why_none
from mmload.analyse.waiting import Kind, Timeline, Waits, timelines
from mmload.errors import FolderError
from mmload.model.manifest import ProfileInfo, StampedFile, StampedInfo
from mmload.model.plan import ProfilePlan
from mmload.model.records import RequestRecord
from mmload.plan.phases import PHASES, rules_for
from mmload.store.append import LineWriter, write_document
from mmload.store.read import Run
from mmload.store.stamped import StampedThread, read_stamped, write_stamped

JUDGE = Judge(rules_for("standin"), {})
RANKS = ("scheduler_TP0", "scheduler_TP1")


def observed(seed, rate_rps=20, stalls=(), **more):
    """Threads and waits of 5 s, as a profile and its records have them."""
    rng = np.random.default_rng(seed)
    served = serve(rng, rate_rps, 5.0, stalls, **more)
    threads = {}
    for rank in RANKS:
        threads |= timelines(rank, stamped(rng, served), JUDGE)
    return threads, Waits((served.due_s * 1e9).astype(np.int64), (served.done_s * 1e9).astype(np.int64))


def waits(*spans):
    due_ns, done_ns = zip(*spans, strict=True)
    return Waits(np.array(due_ns, np.int64), np.array(done_ns, np.int64))


spans = st.tuples(st.integers(0, 900), st.integers(1, 300)).map(lambda one: (one[0], sum(one)))
some_waits = st.lists(spans, min_size=1, max_size=12).map(lambda found: waits(*found))


@st.composite
def some_timelines(draw):
    edges = sorted(draw(st.sets(st.integers(1, 1199), max_size=9)))
    kinds = [Kind(phase, phase, blocks=False) for phase in ("receive", "hash", "forward")]
    places = [draw(st.sampled_from(range(len(kinds)))) for _ in range(len(edges) + 1)]
    return Timeline("rank", 100, np.array([0.0, *edges, 1200.0]), places, kinds)


@given(some_timelines(), some_waits)
def test_the_phases_of_a_wait_add_up_to_it(timeline, waited):
    assert sum(timeline.phases_ms(waited).values()) == pytest.approx(waited.ms)


@given(some_timelines(), some_waits)
def test_stacks_and_phases_say_the_same_of_all_waits_together(timeline, waited):
    phases = {phase: ms.sum() for phase, ms in timeline.phases_ms(waited).items() if ms.sum() > 1e-12}
    stacks = {kind.phase: ms for kind, ms in timeline.stacks_ms(waited).items() if ms > 1e-12}
    assert stacks == pytest.approx(phases)


@given(some_waits, some_waits)
def test_who_waited_beside_whom_is_who_overlaps(one, other):
    overlaps = [
        any(due < until and since < done for since, until in zip(*other, strict=True))
        for due, done in zip(*one, strict=True)
    ]
    assert one.beside(other).tolist() == overlaps


@given(some_waits)
def test_spells_are_groups_of_which_no_two_overlap(waited):
    starts, ends = waited.merged()
    assert (starts[1:] > ends[:-1]).all()
    assert all(((starts <= due) & (done <= ends)).sum() == 1 for due, done in zip(*waited, strict=True))


@pytest.mark.parametrize("seed", range(8))
def test_a_planted_stall_is_named_first_and_has_the_stack_with_the_largest_difference(seed):
    found = compare(*observed(seed, stalls=[(2.0, 0.6)]), share=0.01)
    who, first, *_ = found.sentences
    assert who.startswith("the slowest 3 of ")
    assert " ms of it in hash, mostly in hash_feature (while the rest waited: " in first
    for thread in found.threads.values():
        assert (
            max(thread.stacks, key=lambda stack: thread.stacks[stack].slow_ms - thread.stacks[stack].usual_ms)
            == (STACKS["hash"])
        )
        assert thread.phases["hash"].named
        assert thread.phases["hash"].low_ms > 0


@pytest.mark.parametrize("rate_rps", [8, 20, 50])
def test_an_even_server_names_nothing(rate_rps):
    for seed in range(12):
        found = compare(*observed(seed, rate_rps), share=0.01)
        assert len(found.sentences) == 1, found.sentences


def test_slow_requests_of_one_spell_count_as_one():
    threads, waited = observed(1, stalls=[(1.0, 0.5)])
    once = compare(threads, waited, 0.01)
    assert once.spells == 1
    threads, waited = observed(1, stalls=[(0.5, 0.5), (2.0, 0.5), (3.5, 0.5)])
    often = compare(threads, waited, 0.2)
    assert often.spells == 3


def test_the_wait_of_an_idle_thread_is_never_the_reason():
    found = compare(*observed(3, stalls=[(2.0, 0.8)], phase="idle-poll"), share=0.01)
    assert found.threads["scheduler_TP0"].phases["idle-poll"].more_ms > 100
    assert len(found.sentences) == 1


def test_who_slept_until_another_was_done_stands_behind_the_other():
    threads, waited = observed(2, stalls=[(2.0, 0.6)])
    sleeps = [kind._replace(blocks=kind.phase == "hash") for kind in threads["scheduler_TP0"].kinds]
    threads["scheduler_TP0"] = threads["scheduler_TP0"]._replace(kinds=sleeps)
    _, first, second = compare(threads, waited, 0.01).sentences
    assert first.startswith("TP1 spent ")
    assert second.startswith("TP0 spent ")
    assert "in hash, mostly in hash_feature, asleep until others had done their part (while" in second


def test_too_few_requests_say_nothing():
    threads, waited = observed(1)
    few = Waits(waited.due_ns[:22], waited.done_ns[:22])
    assert compare(threads, few, 0.01) is None


def test_of_other_threads_only_those_that_work_for_requests_are_looked_at():
    rng = np.random.default_rng(0)
    served = serve(rng, 20, 5.0)
    stacks = list(STACKS)
    busy = StampedThread(name="sender", t_ns=[1, 2], stack=[stacks.index("idle-poll"), stacks.index("hash")])
    idle = StampedThread(name="pool", t_ns=[1, 2], stack=[stacks.index("idle-poll"), -1])
    found = timelines("scheduler_TP0", stamped(rng, served, more_threads=[busy, idle]), JUDGE)
    assert list(found) == ["scheduler_TP0", "scheduler_TP0, thread sender"]


def test_stacks_that_could_not_be_read_are_no_phase():
    rng = np.random.default_rng(0)
    one = stamped(rng, serve(rng, 20, 5.0))
    unread = msgspec.structs.replace(one, threads=[StampedThread(name="MainThread", t_ns=[0, S], stack=[0, -1])])
    (timeline,) = timelines("scheduler_TP0", unread, JUDGE).values()
    assert sum(ms[0] for ms in timeline.phases_ms(waits((0, 4 * S))).values()) == pytest.approx(990)


@pytest.fixture
def stalled(tmp_path):
    """A run whose ranks were stalled once while stacks were stamped; two requests were under way at its ends."""
    run = make_run(tmp_path, "original")
    rng = np.random.default_rng(5)
    served = serve(rng, 20, 5.0, [(2.0, 0.6)])
    start_ns = max(phase.end_ns for phase in run.manifest.phases) + S
    for rank in RANKS:
        write_stamped(run.layout, rank, stamped(rng, served, start_ns))
    spans_s = [*zip(served.due_s, served.done_s, strict=True), (-0.5, 0.2), (5.9, 6.5)]
    with LineWriter(run.layout.requests) as lines:
        for number, (due_s, done_s) in enumerate(spans_s):
            due_ns, done_ns = (start_ns + round(t_s * 1e9) for t_s in (due_s, done_s))
            lines.write(
                RequestRecord(
                    id=f"late-{number}",
                    phase="profile",
                    item="one",
                    modality="image",
                    due_ns=due_ns,
                    sent_ns=due_ns,
                    done_ns=done_ns,
                    status=200,
                    outcome="ok",
                )
            )
    return Run(run.layout.path)


def test_a_run_tells_its_slow_requests_from_the_rest(stalled):
    found = slow_requests(stalled)
    assert found.slow == 3
    assert found.left_out >= 2
    assert found.slow + found.rest + found.left_out == len(stalled.requests.of_phase("profile"))
    assert "in hash" in found.sentences[1]
    assert found.slow_wait_ms > 5 * found.rest_wait_ms
    for thread in found.threads.values():
        assert thread.process in RANKS
        assert sum(wall.slow_ms for wall in thread.phases.values()) == pytest.approx(found.slow_wait_ms, rel=0.05)
        assert sum(stack.usual_ms for stack in thread.stacks.values()) == pytest.approx(found.slow_wait_ms, rel=0.05)
        assert set(thread.phases) <= set(PHASES)


def test_a_run_without_stamped_stacks_says_nothing(tmp_path):
    assert slow_requests(make_run(tmp_path, "original")) is None


def unsure_of(run, *ranks):
    """The same with a clock that is badly known."""
    for rank in ranks:
        one = msgspec.structs.replace(read_stamped(run.layout, rank), clock_error_ns=80_000_000)
        write_stamped(run.layout, rank, one)
    return Run(run.layout.path)


def noted(run, **fields):
    """The run with other fields of its manifest."""
    write_document(run.layout.manifest, msgspec.structs.replace(run.manifest, **fields))
    return Run(run.layout.path)


def planned(run, **fields):
    """The run with a plan whose profile is another."""
    write_document(run.layout.plan, msgspec.structs.replace(run.plan, profile=ProfilePlan(**fields)))
    return Run(run.layout.path)


def files(**errors):
    return StampedInfo(
        rate_hz=100, files=[StampedFile(process=name, pid=1, error=error) for name, error in errors.items()]
    )


def without(run):
    """No stacks with their times."""
    for rank in RANKS:
        run.layout.stamped(rank).unlink()
    return run


def asked(run):
    """There are none although the plan asks for them."""
    return planned(without(run), stamped_s=5)


def calm(run):
    """Nearly all requests were sent before."""
    lines = run.layout.requests.read_bytes().splitlines(keepends=True)
    late = [line for line in lines if b'"late-' in line]
    run.layout.requests.write_bytes(b"".join([line for line in lines if line not in late] + late[10:14]))
    return Run(run.layout.path)


UNSURE = "nothing is known of scheduler_TP1: its clock is known to 80 ms, not to 50 or better"


def test_a_process_of_which_nothing_is_known_is_named_with_the_reason(stalled):
    run = noted(unsure_of(stalled, "scheduler_TP1"), stamped=files(scheduler_TP0=None, tokenizer="py-spy hung"))
    found = slow_requests(run)
    assert found.notes == [UNSURE, "nothing is known of tokenizer: py-spy hung"]
    assert {thread.process for thread in found.threads.values()} == {"scheduler_TP0"}
    assert slow_document(run, found).notes[-2:] == found.notes
    assert slow_requests(noted(stalled, stamped=files(scheduler_TP0=None))).notes == [UNSURE]


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (lambda run: unsure_of(run, *RANKS), f"{UNSURE.replace('TP1', 'TP0')}; {UNSURE}"),
        (lambda run: noted(without(run), stamped=files(scheduler_TP0="py-spy hung")), "of scheduler_TP0: py-spy hung"),
        (lambda run: noted(without(run), stamped=files(scheduler_TP0=None)), "of scheduler_TP0: its file is gone"),
        (lambda run: noted(without(run), stamped=files()), "none of the server's processes was seen"),
        (calm, "4 requests began and ended while stacks were taken, and 23 are needed"),
        (lambda run: noted(without(run), kind="profile"), "a profile sends no requests"),
        (lambda run: planned(without(run), enabled=False, stamped_s=5), "took no stacks at all"),
        (lambda run: planned(without(run)), "took no stacks with their times"),
        (
            lambda run: noted(asked(run), status="partial", error="Ctrl-C"),
            r"ended before .* with their times \(Ctrl-C\)",
        ),
        (lambda run: noted(asked(run), profile=ProfileInfo()), "its profile was refused"),
        (asked, "its profile ended too late"),
    ],
)
def test_why_nothing_is_said_of_slow_requests_is_said(stalled, spoil, why):
    run = spoil(stalled)
    assert slow_requests(run) is None
    absence = why_none(run)
    assert re.search(why, absence.why)
    assert absence.mend


DAMAGE = {
    "a window or an error below 0": {"end_ns": 0},
    "times outside its own window": {"threads": [StampedThread(name="MainThread", t_ns=[1], stack=[0])]},
    "times that go back": {"threads": [StampedThread(name="MainThread", t_ns=[2, 1], stack=[0, 0])]},
    "2 times and 1 stacks of one thread": {"threads": [StampedThread(name="MainThread", t_ns=[1, 2], stack=[0])]},
    "a stack that it does not have": {"stacks": []},
}


@pytest.mark.parametrize("words", ["Input data was truncated", *DAMAGE])
def test_a_damaged_file_is_said(stalled, words):
    if words in DAMAGE:
        one = read_stamped(stalled.layout, RANKS[0])
        write_stamped(stalled.layout, RANKS[0], msgspec.structs.replace(one, **DAMAGE[words]))
    else:
        stalled.layout.stamped(RANKS[0]).write_text("{")
    with pytest.raises(FolderError, match=rf"scheduler_TP0\.stamped\.json is damaged: {words}"):
        slow_requests(stalled)
