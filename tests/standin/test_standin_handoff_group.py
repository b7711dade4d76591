"""One variant's tokenizer and ranks without a server around them: what a batch costs, and that it arrived."""

import json
import os
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path

import msgspec
import psutil
import pytest
from command import gone

from mmload.handoff.registry import STRATEGIES
from mmload.model.handoff import Ended, GroupSpec, Order, Reading, Up, Word

pytestmark = pytest.mark.live

SIZE = 400_000
BUILT = {
    "commit": 1,
    "optimized": 1,
    "batch-broadcast": 1,
    "async-broadcast": 1,
    "async-batch": 1,
    "delta": 1,
    "shm": 1,
}
COPIES = {"optimized": 2, "original": 2, "rollback": 2, "dynamic-batch": 2, "shm": 0}  # unpickled by two ranks
VARIANTS = sorted(set(STRATEGIES) - {"stock"})
needs_torch = pytest.mark.skipif(find_spec("torch") is None, reason="real gloo wants torch (the extra `torch`)")


class Group:
    def __init__(self, variant, tp=2, build_ms=None, collective="standin"):
        spec = GroupSpec(variant=variant, tp=tp, build_ms=build_ms, parent_pid=os.getpid(), collective=collective)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "mmload.standin.handoff_group", msgspec.json.encode(spec).decode()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
        )

    def word(self):
        return msgspec.json.decode(self.process.stdout.readline(), type=Word)

    def order(self, size_bytes=SIZE, batch=1, repeats=1, mark=1):
        order = Order(size_bytes=size_bytes, batch=batch, repeats=repeats, mark=mark)
        self.process.stdin.write(msgspec.json.encode(order) + b"\n")
        self.process.stdin.flush()
        return [self.word() for _ in range(repeats)]

    def end(self):
        self.process.stdin.close()
        try:
            return self.process.wait(15)
        finally:
            self.process.kill()
            self.process.wait()
            self.process.stdout.close()


@pytest.fixture
def group():
    groups = []

    def start(*args, **options):
        groups.append(Group(*args, **options))
        return groups[-1]

    yield start
    for each in groups:
        if each.process.poll() is None:
            each.end()


@pytest.mark.parametrize("variant", VARIANTS)
def test_every_variant_hands_a_batch_over_with_the_work_that_it_claims(variant, group):
    started = group(variant)
    up = started.word()
    assert isinstance(up, Up)
    assert (up.variant, len(up.pids)) == (variant, 2)
    batch = 3  # fewer than make a batch for dynamic-batch
    for reading in started.order(batch=batch, repeats=2):
        counted = reading.counters
        assert counted["objects_built"] == batch * BUILT.get(variant, 2)
        assert counted["fallbacks"] == counted["feature_hits"] == 0
        assert counted["received_bytes"] == pytest.approx(batch * SIZE * COPIES.get(variant, 3), rel=0.01, abs=5000)
        assert counted["shm_bytes"] == (batch * SIZE if variant == "shm" else 0)
        assert counted["shm_unlinked"] == counted["shm_segments"]
        assert 0 < counted["hash_cpu_seconds"] < reading.tokenizer_cpu_s + reading.ranks_cpu_s
        assert reading.wall_s > 0
    assert started.end() == 0
    assert gone([psutil.Process(pid) for pid in up.pids if psutil.pid_exists(pid)])


@needs_torch
@pytest.mark.parametrize(
    ("variant", "tp"), [("original", 2), ("commit", 4), ("async-batch", 2), ("delta", 2), ("shm", 2)]
)
def test_real_gloo_brings_the_same_objects_for_the_same_counts(variant, tp, group):
    """What every rank read is checked in each batch, by the group; what was counted is compared here."""
    counted = []
    for collective in ("standin", "gloo"):
        started = group(variant, tp=tp, collective=collective)
        assert isinstance(started.word(), Up)
        readings = started.order(batch=3, repeats=2)
        counted.append([{k: v for k, v in each.counters.items() if "seconds" not in k} for each in readings])
        assert started.end() == 0
    assert counted[0] == counted[1]


@pytest.mark.parametrize(("variant", "broadcasts"), [("commit", 7), ("batch-broadcast", 1), ("dynamic-batch", 1)])
def test_a_batch_is_received_together(variant, broadcasts, group):
    """Seven requests: one receive batch on each of two ranks, however they came."""
    started = group(variant)
    started.word()
    for reading in started.order(batch=7, repeats=3):
        assert reading.counters["receive_batches"] == 2
        assert reading.counters["broadcasts"] == 2 * broadcasts


def test_a_modelled_build_is_slept_and_costs_no_cpu(group):
    started = group("original", build_ms=200.0)
    started.word()
    (reading,) = started.order(size_bytes=8_000_000, batch=2)
    assert reading.wall_s >= 0.4
    assert reading.counters["objects_built"] == 4
    assert reading.counters["build_cpu_seconds"] + reading.counters["hash_cpu_seconds"] < 0.005  # a real one: 0.016
    assert reading.counters["build_wall_seconds"] > 0.75


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_modelled_build_leaves_each_request_its_own(variant, group):
    """Features that are told apart by less than all of their bytes: no variant may take one for the other."""
    started = group(variant, build_ms=1.0)
    started.word()
    for reading in started.order(batch=4, repeats=3):
        assert isinstance(reading, Reading)
        assert reading.counters["feature_hits"] == 0


@pytest.mark.parametrize("variant", ["Dropped", "Stale"])
def test_a_variant_that_loses_features_has_no_figures(variant, group):
    started = group(f"faulty_strategies:{variant}")
    started.word()
    word = started.order(batch=4)[0]
    if isinstance(word, Reading):  # one false answer in 375 is right by chance, but not all of another four
        word = started.order(batch=4, mark=9)[0]
    assert isinstance(word, Ended)
    assert "a rank holds other features than were sent" in word.message
    assert started.process.wait(15) == 5


def test_a_tokenizer_that_has_no_room_for_features_says_so(group):
    started = group("faulty_strategies:SmallMemory")
    started.word()
    assert isinstance(started.order(size_bytes=100_000)[0], Reading)
    word = started.order(size_bytes=SIZE, mark=2)[0]
    assert isinstance(word, Ended)
    assert "no shared memory for 0.4 MB of features" in word.message
    assert started.process.wait(15) == 5


@pytest.mark.parametrize("collective", ["standin", pytest.param("gloo", marks=needs_torch)])
def test_a_rank_that_is_killed_ends_the_group_in_the_middle_of_a_batch(collective, group):
    started = group("commit", build_ms=500.0, collective=collective)
    pids = started.word().pids
    order = Order(size_bytes=SIZE, batch=20)
    started.process.stdin.write(msgspec.json.encode(order) + b"\n")
    started.process.stdin.flush()
    time.sleep(1.0)
    os.kill(pids[1], signal.SIGKILL)
    ended = started.word()
    assert isinstance(ended, Ended)
    assert "Scheduler rank 1" in ended.message
    assert "killed by signal 9" in ended.message
    assert started.process.wait(15) == 5


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_a_group_that_is_ended_takes_its_ranks_along(how, group):
    started = group("shm", build_ms=500.0)
    ranks = [psutil.Process(pid) for pid in started.word().pids]
    order = {"size_bytes": SIZE, "batch": 20}
    started.process.stdin.write(json.dumps(order).encode() + b"\n")
    started.process.stdin.flush()
    time.sleep(0.7)
    started.process.send_signal(how)
    started.process.wait(15)
    assert gone(ranks)
    left = list(Path("/dev/shm").glob(f"mmload-{started.process.pid}-*"))
    assert left == [] or how == signal.SIGKILL
    for path in left:
        path.unlink()
