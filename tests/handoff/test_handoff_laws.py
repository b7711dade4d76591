"""What must hold for every variant, whatever comes in whatever order: threads as ranks, and a search for the exception."""

import logging
import tempfile
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ranks_in_threads import BROKEN, MALFORMED, PATIENCE_S, Group, made_in, truth

from mmload.handoff.registry import STRATEGIES

SMALL_CACHES = {
    "batch-broadcast": {"entries": 3},
    "dynamic-batch": {"entries": 3, "fewest": 2},
    "async-batch": {"entries": 3},
    "async-broadcast": {"entries": 3},
    "combined": {"entries": 3},
    "delta": {"entries": 3, "features": 3, "feature_bytes": 100},
}
NAMES = st.sampled_from("abcdefgh")
TURNS = st.lists(
    st.lists(
        st.one_of(
            st.tuples(st.just("request"), NAMES, st.sampled_from([MALFORMED, BROKEN, 0, 1, 2, 3, 4])),
            st.tuples(st.just("abort"), NAMES),
        ),
        max_size=7,
    ),
    max_size=5,
)


@pytest.fixture(autouse=True, scope="module")
def no_warnings():
    """Of what fails as it should, thousands of times."""
    logging.disable(logging.WARNING)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("variant", sorted(set(STRATEGIES) - {"stock"}))
@settings(max_examples=40, deadline=None)
@given(turns=TURNS, size=st.integers(1, 4), small=st.booleans(), drop_aborted=st.booleans())
def test_all_ranks_issue_the_same_broadcasts_and_end_with_the_same_inputs(variant, turns, size, small, drop_aborted):
    if variant in ("optimized", "shm"):  # what can't be built never leaves the tokenizer
        turns = [[m for m in turn if m[0] == "abort" or m[2] >= 0] for turn in turns]
    with tempfile.TemporaryDirectory() as folder:
        group = Group(made_in(Path(folder), variant, **SMALL_CACHES.get(variant, {}) if small else {}), size)
        outcomes = group.play(turns, drop_aborted)
        settle(group)
        assert outcomes == [list(expected(turns, drop_aborted))] * size
        assert list(Path(folder).iterdir()) == []
        group.close()
    logs = [host.log for host in group.hosts]
    assert [by_channel(log) for log in logs] == [by_channel(logs[0])] * size
    assert not any(thread.name.startswith("mmload-") for thread in threading.enumerate())
    assert all(not strategy._ready for strategy in group.ranks if hasattr(strategy, "_ready"))


def expected(turns, drop_aborted):
    for turn in turns:
        gone = set()
        for kind, name, *number in turn:
            if kind == "abort":
                gone.add(name)
            elif not (drop_aborted and name in gone):
                yield truth(*number)


def by_channel(log):
    """What was issued on each channel, in order; on the main one, in which turn."""
    return [entry for entry in log if entry[0] == "main"], [entry for entry in log if entry[0] == "second"]


@pytest.mark.parametrize("variant", ["async-broadcast", "async-batch", "combined"])
@settings(max_examples=40, deadline=None)
@given(turns=TURNS)
def test_an_abort_takes_no_operation_out_of_the_order(variant, turns):
    """The same requests with and without their aborts: as many broadcasts."""
    without = [[message for message in turn if message[0] == "request"] for turn in turns]
    counts = []
    for played in (turns, without):
        group = Group(variant, 3)
        group.play(played, drop_aborted=True)
        settle(group)
        counts.append(group.counted("background_broadcasts"))
        group.close()
    assert counts[0] == counts[1]


def settle(group):
    """Wait until each rank's background has done all that it was told to."""

    def wait(strategy):
        background = getattr(strategy, "_background", None)
        if background is not None:
            done = threading.Event()
            background._worker.give(done.set)
            assert done.wait(PATIENCE_S)

    group.on_all(wait)
