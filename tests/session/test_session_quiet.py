"""How long a server may be quiet, and which of its processes are held: learned and counted from one look to the next."""

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmload.model.records import GeneratorSample
from mmload.observe.observer import KernelWord
from mmload.session.held import Held
from mmload.session.quiet import Quiet

STEP_NS = 250_000_000


class Worker:
    """A worker that reports four times a second, and what is made of it."""

    def __init__(self, quiet=None, number=0):
        self.quiet = quiet or Quiet()
        self.number = number
        self.t_ns = self.bytes_down = self.done = 0

    def sample(self, in_flight, step_ns=STEP_NS):
        self.t_ns += step_ns
        return GeneratorSample(
            t_ns=self.t_ns,
            worker=self.number,
            due=0,
            sent=0,
            done=self.done,
            in_flight=in_flight,
            stall_ms=0.0,
            cpu_s=0.0,
            bytes_down=self.bytes_down,
        )

    def hears_nothing(self, seconds, in_flight=4):
        for _ in range(round(seconds * 1e9 / STEP_NS)):
            self.quiet.hear([self.sample(in_flight)])

    def hears(self, in_flight=4):
        self.bytes_down += 100
        self.quiet.hear([self.sample(in_flight)])


@pytest.fixture
def worker():
    return Worker()


def test_nothing_is_too_long_before_two_answers_have_told_how_long_they_take(worker):
    worker.hears_nothing(300, in_flight=1)
    worker.hears()
    worker.hears_nothing(300, in_flight=1)
    assert worker.quiet.lasts_s == 300
    assert not worker.quiet.is_too_long


def test_a_fast_server_is_quiet_for_too_long_after_five_seconds(worker):
    for _ in range(50):
        worker.hears()
    worker.hears_nothing(5)
    assert not worker.quiet.is_too_long
    worker.hears_nothing(0.25)
    assert worker.quiet.is_too_long
    worker.hears()
    assert worker.quiet.lasts_s == 0
    assert worker.quiet.since_ns == worker.quiet.heard_ns == worker.t_ns


def test_one_whose_answers_take_ten_seconds_may_be_quiet_for_thirty(worker):
    for _ in range(2):
        worker.hears_nothing(9.75)
        worker.hears()
    worker.hears_nothing(30)
    assert not worker.quiet.is_too_long
    worker.hears_nothing(0.25)
    assert worker.quiet.is_too_long


def test_the_one_long_gap_of_a_compilation_is_no_habit_and_what_is_long_past_is_forgotten(worker):
    worker.hears_nothing(60, in_flight=1)
    for _ in range(3):
        worker.hears()
    assert worker.quiet.limit_s == 5
    worker.hears_nothing(20)
    worker.hears()
    assert worker.quiet.limit_s == pytest.approx(3 * 20.25)
    for _ in range(200):
        worker.hears()
    assert worker.quiet.limit_s == 5


def test_between_two_arrivals_nothing_is_quiet(worker):
    for _ in range(5):
        worker.hears(in_flight=0)
        worker.hears_nothing(60, in_flight=0)
    assert worker.quiet.lasts_s == 0
    assert worker.quiet.limit_s == 5


def test_timeouts_are_neither_silence_nor_a_sign_of_life(worker):
    for _ in range(100):
        worker.done += 1
        worker.quiet.hear([worker.sample(in_flight=4)])
    assert worker.quiet.lasts_s == 0
    assert worker.quiet.heard_ns == 0


def test_a_worker_or_a_driver_that_stood_still_does_not_make_the_server_quiet(worker):
    for _ in range(5):
        worker.hears()
    worker.quiet.hear([worker.sample(4, step_ns=60_000_000_000)])
    assert worker.quiet.lasts_s == 1
    frozen, other = worker.sample(4), Worker(worker.quiet, 1)
    for _ in range(100):
        worker.quiet.hear([frozen, other.sample(4)])
    assert worker.quiet.lasts_s <= 1.25


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 3)), max_size=200))
def test_the_limit_is_never_below_five_seconds_and_quiet_never_longer_than_the_clock_says(steps):
    worker = Worker()
    for heard, in_flight in steps:
        worker.bytes_down += heard
        worker.quiet.hear([worker.sample(in_flight)])
        assert worker.quiet.limit_s >= 5
        assert 0 <= worker.quiet.lasts_s <= worker.t_ns / 1e9
    assert math.isfinite(worker.quiet.limit_s) == (sum(heard for heard, _ in steps) >= 2)


def words(state, ran_ns=0):
    return {"scheduler_TP0": KernelWord(state="S"), "scheduler_TP1": KernelWord(state=state, ran_ns=ran_ns)}


@pytest.mark.parametrize("state", ["T", "t"])
def test_a_process_is_stopped_at_the_second_look_until_it_is_not(state):
    held = Held()
    held.look(words(state))
    assert held.words == []
    held.look(words(state))
    assert held.words == ["scheduler_TP1 is stopped"]
    held.look(words("S"))
    assert held.words == []


def test_a_stop_between_two_looks_that_find_it_running_is_none():
    held = Held()
    for state in ("T", "S", "T", "R"):
        held.look(words(state))
        assert held.words == []


def test_a_wait_in_the_kernel_counts_when_it_is_long_and_nothing_ran_meanwhile():
    held, ran_ns = Held(), itertools.count()
    for _ in range(30):
        held.look(words("D", next(ran_ns)))
    assert held.words == []
    for _ in range(9):
        held.look(words("D", 30))
    assert held.words == []
    for _ in range(2):
        held.look(words("D", 30))
    assert held.words == ["scheduler_TP1 waits in the kernel and can't be woken"]


def test_a_process_that_is_gone_is_not_held():
    held = Held()
    for _ in range(3):
        held.look(words("T"))
    held.look({})
    assert held.words == []
