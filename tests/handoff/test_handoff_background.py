import pickle
import threading
import time
from concurrent.futures import Future

import pytest
from ranks_in_threads import PATIENCE_S, Group, Lost, truth

from mmload.handoff.background import BackgroundBroadcast, Worker, wait_for_broadcast
from mmload.handoff.counters import Counters

BACKGROUND = ["async-broadcast", "async-batch", "combined"]


def test_a_worker_does_its_jobs_in_the_order_in_which_they_were_given():
    worker, done = Worker("mmload-test"), []
    for number in range(100):
        worker.give(lambda number=number: done.append(number))
    finished = threading.Event()
    worker.give(finished.set)
    assert finished.wait(PATIENCE_S)
    worker.close()
    assert done == list(range(100))


@pytest.mark.parametrize("variant", BACKGROUND)
def test_closing_leaves_no_thread_waiting_for_what_never_comes(variant):
    group = Group(variant, 2)
    strategy = group.ranks[1]
    strategy.on_receive(pickle.loads(group.at_tokenizer([("request", f"r{n}", n) for n in range(5)])))
    while not group.second.arrived[0]:  # the first waits for rank 0, which never comes, and the others for the first
        time.sleep(0.001)
    workers = [strategy._background._worker, *([strategy._builder] if variant == "combined" else [])]
    group.close()
    for worker in workers:
        worker._thread.join(PATIENCE_S)
        assert not worker._thread.is_alive()


def test_a_worker_that_is_stuck_holds_up_the_end_no_longer_than_its_patience():
    worker, begun, stuck = Worker("mmload-test"), threading.Event(), threading.Event()
    worker.give(begun.set)
    worker.give(stuck.wait)
    assert begun.wait(PATIENCE_S)
    while worker._jobs.qsize():
        time.sleep(0.001)
    worker.close(patience_s=0.01)
    assert worker._thread.is_alive()
    assert worker._thread.daemon  # nor does the interpreter wait for it
    stuck.set()
    worker._thread.join(PATIENCE_S)


@pytest.mark.parametrize("variant", BACKGROUND)
def test_closing_wakes_a_background_that_waits_for_another_rank(variant):
    group = Group(variant, 2)
    waiting = group.ranks[1]._background.send(lambda: None)  # to which rank 0 never comes
    while not group.second.arrived[0]:
        time.sleep(0.001)
    waiting_thread = group.ranks[1]._background._worker._thread
    group.close()
    assert isinstance(waiting.exception(PATIENCE_S), Lost)
    waiting_thread.join(PATIENCE_S)
    assert not waiting_thread.is_alive()


@pytest.mark.parametrize("variant", BACKGROUND)
def test_a_rank_that_is_lost_while_others_wait_for_it_is_said_to_them(variant):
    group = Group(variant, 3)
    strategy = group.ranks[0]
    messages = group.at_tokenizer([("request", "r", 1)])
    waiting = threading.Thread(target=lambda: outcomes.append(raised(group, strategy, messages)))
    outcomes = []
    waiting.start()
    while not group.second.arrived[0]:
        time.sleep(0.001)
    group.ranks[2].close()
    waiting.join(PATIENCE_S)
    assert outcomes == [Lost]
    group.close()


def raised(group, strategy, messages):
    try:
        group.take_turn(strategy, pickle.loads(messages), drop_aborted=False)
    except Lost as error:
        return type(error)
    return None


@pytest.mark.parametrize("variant", BACKGROUND)
def test_a_background_that_fails_ends_the_channel_for_the_other_ranks_too(variant):
    group = Group(variant, 2)

    def fail(_):
        raise MemoryError("no room for what comes")

    failing, other = (strategy._background for strategy in group.ranks[::-1])
    failing._channel.broadcast_object = fail
    futures = [background.send(lambda: truth(1)) for background in (failing, other)]
    assert isinstance(futures[0].exception(PATIENCE_S), MemoryError)
    assert isinstance(futures[1].exception(PATIENCE_S), Lost)
    group.close()


def test_what_is_cancelled_in_time_is_not_made_and_still_takes_its_turn():
    group = Group("commit", 2)
    backgrounds = [BackgroundBroadcast(host) for host in group.hosts]
    begun, goes_on, made = threading.Event(), threading.Event(), []

    def slow():
        begun.set()
        goes_on.wait(PATIENCE_S)
        return "slow"

    def make(name):
        made.append(name)
        return name

    futures = [
        [each.send(slow), each.send(lambda: make("cancelled")), each.send(lambda: make("last"))] for each in backgrounds
    ]
    assert begun.wait(PATIENCE_S)
    assert all(of_rank[1].cancel() for of_rank in futures)
    goes_on.set()
    assert [of_rank[2].result(PATIENCE_S) for of_rank in futures] == ["last", "last"]
    assert made == ["last"]
    assert [host.counters["background_broadcasts"] for host in group.hosts] == [3, 3]
    for each in backgrounds:
        each.close()


def test_the_wait_for_a_background_is_booked_as_broadcast_and_raises_what_ended_it():
    counters, future = Counters(), Future()
    threading.Timer(0.02, future.set_exception, [Lost("gone")]).start()
    with pytest.raises(Lost):
        wait_for_broadcast(future, counters)
    assert counters["broadcast_wall_seconds"] > counters["broadcast_cpu_seconds"]
