"""What the CPU time of threads went to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmload.analyse import cpu_time as module
from mmload.analyse.cpu_time import CROWDED, SYSTEMATIC, wilson
from mmload.plan.phases import IDLE_PHASES, PHASES, rules_for
from mmload.store.stacks import ProcessThreads, ThreadStacks

RULES = rules_for("standin")
FRAMES = {"poll": "poll_for_work", "work": "hash_feature", "asleep": "wait_for_work", "unknown": "what"}
STACKS = {kind: f"Scheduler.{function} (mmload/standin/rank.py:1)" for kind, function in FRAMES.items()}
POLL, WORK = STACKS["poll"], STACKS["work"]


def cpu_time(threads, rules, source, errors=0, rate_hz=0):
    process = ProcessThreads(seconds=10.0, rate_hz=rate_hz, errors=errors, threads=threads)
    return module.cpu_time(process, rules, source)


def thread(cpu_s, name="", waited_s=0.0, **samples):
    stacks = {STACKS[kind]: count for kind, count in samples.items() if count}
    return ThreadStacks(tid=1, name=name, cpu_s=cpu_s, waited_s=waited_s, stacks=stacks)


def test_a_thread_has_as_much_time_as_it_burnt_however_often_it_was_sampled():
    time = cpu_time([thread(3.0, poll=10, work=20), thread(1.0, work=4000)], RULES, {})
    assert time.seconds == pytest.approx({POLL: 1.0, WORK: 3.0})
    assert time.work.value == pytest.approx(0.75)
    assert {phase: (share.value, share.samples) for phase, share in time.shares.items()} == {
        "idle-poll": (pytest.approx(0.25), 10),
        "hash": (pytest.approx(0.75), 4020),
    }


def test_what_a_thread_without_stacks_burns_is_work_under_its_name():
    time = cpu_time([thread(1.0, poll=100), thread(3.0, name="gloo;loop")], RULES, {})
    assert time.seconds == {POLL: 1.0, "gloo:loop (native thread:0)": 3.0}
    assert (time.native, time.work.value, time.shares["other"].samples) == (0.75, 0.75, 0)
    assert time.work.high - time.work.low < 0.03, "what was counted and not sampled has no uncertainty"


COLLECTIVE = "Scheduler.recv_requests (sglang/srt/managers/scheduler.py:1);broadcast (torch/distributed/c10d.py:1)"
FORWARD = "Scheduler.run_batch (sglang/srt/managers/scheduler.py:2);all_reduce (torch/distributed/c10d.py:2)"


def test_what_gloos_threads_burn_is_divided_as_the_samples_within_collectives_are():
    main = ThreadStacks(tid=1, name="MainThread", cpu_s=1.0, stacks={COLLECTIVE: 30, FORWARD: 10, WORK: 160})
    time = cpu_time([main, thread(2.0, name="gloo_tcp_loop")], rules_for("sglang"), {})
    gloo = ";gloo_tcp_loop (native thread:0)"
    assert time.seconds[COLLECTIVE + gloo] == pytest.approx(1.5)
    assert time.seconds[FORWARD + gloo] == pytest.approx(0.5)
    assert time.native == pytest.approx(2 / 3)
    forward = time.shares["forward"]
    assert forward.value == pytest.approx((0.05 + 0.5) / 3)
    assert forward.low < (0.05 + 2 * 10 / 100) / 3, "a call may burn a third of what another burns as long"
    assert forward.high > (0.05 + 2 * 30 / 60) / 3


def test_gloos_threads_of_a_rank_that_was_seen_in_no_collective_are_unknown():
    main = ThreadStacks(tid=1, name="MainThread", cpu_s=1.0, stacks={WORK: 10})
    time = cpu_time([main, thread(1.0, name="gloo_tcp_loop")], rules_for("sglang"), {})
    assert time.seconds["gloo_tcp_loop (native thread:0)"] == 1.0
    assert time.work.value == 1.0


def test_a_wait_that_sleeps_stands_for_no_time():
    assert cpu_time([thread(1.0, asleep=900, work=100)], RULES, {}).seconds == {WORK: 1.0}


RECEIVE = (
    "Collective.broadcast (mmload/standin/collective.py:70);Collective._receive (mmload/standin/collective.py:135)"
)


def test_a_thread_that_may_have_slept_has_no_more_samples_there_than_its_time_leaves_room_for():
    rank = ThreadStacks(tid=1, name="", cpu_s=1.0, stacks={WORK: 60, RECEIVE: 140})
    time = cpu_time([rank], RULES, {}, rate_hz=100)
    assert time.seconds == pytest.approx({WORK: 0.6, RECEIVE: 0.4})
    assert time.shares["broadcast"].samples == 40
    crowded = ThreadStacks(tid=1, name="", cpu_s=1.0, waited_s=1.0, stacks=rank.stacks)
    assert cpu_time([crowded], RULES, {}, rate_hz=100).seconds == pytest.approx({WORK: 0.3, RECEIVE: 0.7})


def test_one_who_waits_for_a_core_may_have_been_woken_where_it_sleeps():
    stacks = {WORK: 600, RECEIVE: 1400}
    threads = [ThreadStacks(tid=1, name="", cpu_s=cpu_s, waited_s=10.0, stacks=stacks) for cpu_s in (10.0, 20.0)]
    crowded, sure = (cpu_time([one], RULES, {}, rate_hz=100).shares for one in threads)
    assert crowded["hash"].value == sure["hash"].value == pytest.approx(0.3)
    assert crowded["hash"].high > 0.6 > sure["hash"].high + 0.2
    assert crowded["broadcast"].low < 0.4 < sure["broadcast"].low - 0.2


def test_what_a_process_does_that_burnt_nothing_nobody_knows():
    share = cpu_time([thread(0.0)], RULES, {}).share_of(["hash"])
    assert (share.low, share.high) == (0.0, 1.0)


def test_a_wait_that_burns_what_its_samples_say_keeps_them():
    rank = ThreadStacks(tid=1, name="", cpu_s=2.0, stacks={WORK: 60, RECEIVE: 140})
    assert cpu_time([rank], RULES, {}, rate_hz=100).seconds == pytest.approx({WORK: 0.6, RECEIVE: 1.4})


def test_a_thread_that_was_only_seen_asleep_has_burnt_something_all_the_same():
    time = cpu_time([thread(1.0, name="pool", asleep=5)], RULES, {})
    assert (time.samples, time.work.value, time.seconds) == (0, 1.0, {"pool (thread without samples:0)": 1.0})


def test_of_a_process_that_burnt_nothing_nobody_knows_what_else_it_would_do():
    for threads in ([thread(0.0, work=1)], []):
        time = cpu_time(threads, RULES, {})
        assert (time.seconds, time.shares, time.samples) == ({}, {}, 0)
        assert (time.work.value, time.work.low, time.work.high) == (1.0, 0.0, 1.0)


def test_threads_that_wait_for_a_core_widen_the_interval():
    quiet, crowded = (cpu_time([thread(1.0, waited_s=waited_s, poll=500, work=500)], RULES, {}) for waited_s in (0, 1))
    assert crowded.work.high - quiet.work.high == pytest.approx(CROWDED / 2)
    assert quiet.work.low - crowded.work.low == pytest.approx(CROWDED / 2)


def test_samples_that_failed_may_all_have_been_of_one_phase():
    sure, unsure = (cpu_time([thread(1.0, poll=600, work=300)], RULES, {}, errors).work for errors in (0, 100))
    assert unsure.value == sure.value
    assert unsure.high - sure.high == pytest.approx(0.1 * 2 / 3)
    assert sure.low - unsure.low == pytest.approx(0.1 / 3)


profiles = st.lists(
    st.builds(
        lambda cpu_s, samples: thread(cpu_s, **samples),
        st.floats(1e-6, 10) | st.just(0.0),
        st.fixed_dictionaries({kind: st.integers(0, 1000) for kind in FRAMES}),
    ),
    max_size=5,
)


@given(profiles)
def test_no_time_is_lost_and_every_share_lies_in_its_interval(profile):
    time = cpu_time(profile, RULES, {})
    total_s = sum(one.cpu_s for one in profile)
    if not total_s:
        return
    assert sum(time.seconds.values()) == pytest.approx(total_s)
    assert sum(share.value for share in time.shares.values()) == pytest.approx(1)
    for share in (time.work, *time.shares.values()):
        assert -1e-9 <= share.low <= share.value + 1e-9
        assert share.value <= share.high + 1e-9 <= 1 + 2e-9
    idle = sum(share.value for phase, share in time.shares.items() if phase in IDLE_PHASES)
    assert time.work.value == pytest.approx(1 - idle)
    assert list(time.shares) == [phase for phase in PHASES if phase in time.shares]


@given(profiles, st.randoms())
def test_the_order_of_threads_does_not_matter(profile, random):
    shuffled = list(profile)
    random.shuffle(shuffled)
    one, other = (cpu_time(each, RULES, {}) for each in (profile, shuffled))
    assert one.work.value == pytest.approx(other.work.value)
    assert one.work.high == pytest.approx(other.work.high)


@given(st.integers(0, 500), st.integers(1, 500))
def test_an_interval_holds_its_share_and_narrows_with_samples(count, total):
    count = min(count, total)
    small, large = wilson(count, total), wilson(100 * count, 100 * total)
    assert -1e-9 <= small.low <= small.value <= small.high <= 1 + 1e-9
    assert large.high - large.low <= small.high - small.low + 1e-9


def test_no_number_of_samples_makes_the_interval_narrower_than_the_systematic_term():
    certain = cpu_time([thread(1.0, poll=500_000_000, work=500_000_000)], RULES, {}).work
    assert certain.high - certain.low == pytest.approx(2 * SYSTEMATIC, rel=0.01)


def test_2300_samples_tell_a_share_of_60_percent_to_2_points_besides_the_systematic_term():
    figure = wilson(1380, 2300)
    assert figure.high - figure.value == pytest.approx(0.02, abs=0.0005)
