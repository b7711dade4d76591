"""Calls that run at the same time in greenlets that are kept."""

import gevent
import gevent.event
import pytest

from mmload.drive.couriers import Couriers


def test_calls_run_at_the_same_time():
    couriers, gate, begun = Couriers(), gevent.event.Event(), []
    for number in range(5):
        couriers.run(lambda number=number: (begun.append(number), gate.wait()))
    gevent.sleep(0)
    assert begun == [0, 1, 2, 3, 4]
    gate.set()
    couriers.join()


def test_one_call_after_another_runs_in_one_greenlet():
    couriers, greenlets = Couriers(), []
    for _ in range(5):
        couriers.run(lambda: greenlets.append(gevent.getcurrent()))
        couriers.join()
    assert len(greenlets) == 5
    assert len(set(greenlets)) == 1


def test_a_call_begins_at_the_next_turn_of_the_loop():
    couriers, begun = Couriers(), []
    for _ in range(2):  # the first in a new greenlet, the second in a kept one
        couriers.run(lambda: begun.append(1))
        before = len(begun)
        couriers.join()
        assert len(begun) == before + 1


def test_joining_without_a_call_returns_at_once():
    joining = gevent.spawn(Couriers().join)
    joining.join(timeout=5)
    assert joining.successful()


def test_killing_reaches_calls_that_wait_and_calls_that_have_not_begun():
    couriers, ends = Couriers(), []

    def call(name):
        try:
            gevent.event.Event().wait()
        except gevent.GreenletExit:
            ends.append(name)

    couriers.run(lambda: None)
    couriers.join()
    couriers.run(lambda: call("kept"))
    couriers.run(lambda: call("new"))
    couriers.kill()
    assert sorted(ends) == ["kept", "new"]
    couriers.run(lambda: ends.append("after"))
    couriers.join()
    assert ends[-1] == "after"


def test_a_call_that_fails_is_not_waited_for_and_hurts_no_other():
    couriers, done = Couriers(), []

    def fail():
        raise ZeroDivisionError

    hub = gevent.get_hub()
    handle_error, hub.handle_error = hub.handle_error, lambda *_: None
    try:
        couriers.run(fail)
        couriers.run(lambda: done.append(1))
        couriers.join()
    finally:
        hub.handle_error = handle_error
    assert done == [1]


@pytest.mark.parametrize("calls", [1, 3])
def test_joining_waits_for_the_last_call(calls):
    couriers, left = Couriers(), list(range(calls))
    for _ in range(calls):
        couriers.run(lambda: (gevent.sleep(0.001), left.pop()))
    couriers.join()
    assert left == []
