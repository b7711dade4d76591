"""Whether the work share of a process is what it says: against targets that poll and work in known shares.

    python bench/known_truth.py [TRIALS] [SECONDS]

A target polls a socket in one function and works in others (hashing, Python, matrices), in turns of some milliseconds
whose CPU it counts itself. Its work stands on few frames or on forty: a deep stack that changes while it is read is
torn, innermost frames of one turn on outermost of the next. Its native threads are none, idle (BLAS's, asleep) or busy
(BLAS's, at work: what they burn is in no stack and is work). Prints the error of each kind of target and how often the
truth lay inside the interval. Fails when a bias is over 2 points, or when that happened so seldom that an interval of
95 % would do so in one of twenty benches only.
"""

from __future__ import annotations

import mmap
import os
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable
from math import comb
from pathlib import Path
from statistics import fmean, stdev
from typing import NamedTuple

from mmload.analyse.cpu_work import work_share
from mmload.discover import from_pids
from mmload.model.plan import ProfilePlan
from mmload.observe.stacks import Profiler
from mmload.plan.phases import rules_for
from mmload.store.append import create_run_folder
from mmload.store.read import read_folded
from mmload.store.stacks import read_source, read_threads
from mmload.tether import tethered

_LEVEL = 0.95
_MOST_BIAS = 0.02
_TURNS_MS = ((4, 1), (2, 3), (30, 30), (5, 20), (60, 10))
_NATIVE = ("none", "idle", "busy")
_DEPTHS = (0, 40)
_ENVIRONMENT = {**os.environ, "OPENBLAS_NUM_THREADS": "4"}

# It has the names of a rank's functions, which configs/phases/standin.toml knows.
_TARGET = """
import hashlib, itertools, mmap, select, socket, struct, sys, time

poll_ms, work_ms, depth = float(sys.argv[1]), float(sys.argv[2]), int(sys.argv[4])
native, truth = sys.argv[3], sys.argv[5]
if native != "none":
    import numpy
    matrix = numpy.ones((300, 300))
with open(truth, "r+b") as file:
    page = mmap.mmap(file.fileno(), 16)
here, there = socket.socketpair()
poller = select.poll()
poller.register(here, select.POLLIN)
feature = bytes(100_000)


def poll_for_work(cpu_s):
    end_s = time.thread_time() + cpu_s
    while time.thread_time() < end_s:
        poller.poll(0)


def hash_feature(deeper=depth):
    if deeper:
        hash_feature(deeper - 1)
    else:
        hashlib.sha256(feature).digest()


def from_dict(deeper=depth):
    return from_dict(deeper - 1) if deeper else [str(number) for number in range(300)]


def run_batch():
    matrix @ matrix


def work(cpu_s):
    end_s = time.thread_time() + cpu_s
    while time.thread_time() < end_s:
        hash_feature()
        from_dict()
        if native == "busy":
            run_batch()


poll_s = 0.0
for turn in itertools.count():
    before_s = time.thread_time()
    poll_for_work(poll_ms / 1e3)
    poll_s += time.thread_time() - before_s
    work(work_ms / 1e3)
    page[:] = struct.pack("2d", poll_s, time.process_time())
    if turn == 0:
        print("ready", flush=True)
"""


class Trial(NamedTuple):
    """truth: the share of work in the target's CPU while the profiler looked; value, low, high: what mmload says."""

    kind: str
    truth: float
    value: float
    low: float
    high: float

    @property
    def holds(self) -> bool:
        return self.low <= self.truth <= self.high


def main(trials: int = 60, seconds: float = 3.0) -> int:
    done = []
    for number in range(trials):
        native, depth, turns_ms = (kinds[number % len(kinds)] for kinds in (_NATIVE, _DEPTHS, _TURNS_MS))
        trial = trial_of(turns_ms, native, depth, seconds)
        done.append(trial)
        said = f"{trial.value:.3f} ({trial.low:.3f} to {trial.high:.3f})"
        print(f"{trial.kind:>42}: truth {trial.truth:.3f}, said {said}{'' if trial.holds else '  <- outside'}")
    return _judge(done)


def trial_of(turns_ms: tuple[float, float], native: str, depth: int, seconds: float) -> Trial:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        layout = create_run_folder(folder, "run")
        truth = folder / "truth"
        truth.write_bytes(bytes(16))
        command = tethered([sys.executable, "-c", _TARGET, *map(str, (*turns_ms, native, depth, truth))])
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=_ENVIRONMENT) as target, truth.open("r+b") as file:
            try:
                assert target.stdout
                target.stdout.readline()
                page = mmap.mmap(file.fileno(), 16)
                profiler = Profiler(from_pids([target.pid]), layout, ProfilePlan(), segment_s=seconds)
                profiler.start()
                profiler.wait_until_sampling()
                before = struct.unpack("2d", page[:])
                time.sleep(seconds)
                after = struct.unpack("2d", page[:])
                info = profiler.stop()
            finally:
                target.kill()
        polled_s, burnt_s = (now - then for now, then in zip(after, before, strict=True))
        assert info.files[0].error is None, info.files[0].error
        process = info.files[0].process
        threads, stacks = read_threads(layout, process), read_folded(layout.folded(process))
        share = work_share(threads, stacks, rules_for("standin"), read_source(layout))
        assert share is not None
        assert share.work is not None
        poll_ms, work_ms = turns_ms
        kind = f"work {work_ms:g} ms of {poll_ms + work_ms:g}, {depth:2} deep, native {native}"
        return Trial(kind, 1 - polled_s / burnt_s, share.work.value, share.work.low, share.work.high)


def _judge(trials: list[Trial]) -> int:
    errors = _errors(trials)
    held, n = sum(trial.holds for trial in trials), len(trials)
    kinds = [f"native {native}" for native in _NATIVE] + [f"{depth} deep" for depth in _DEPTHS]
    biases = {kind: fmean(_errors(trial for trial in trials if kind in trial.kind)) for kind in kinds}
    said = ", ".join(f"{kind} {100 * bias:+.2f}" for kind, bias in biases.items())
    print(f"{n} trials: bias {100 * fmean(errors):+.2f} points ({said})")
    print(f"standard deviation {100 * stdev(errors):.2f} points; the truth was inside {held} of {n} intervals")
    chance = sum(comb(n, k) * _LEVEL**k * (1 - _LEVEL) ** (n - k) for k in range(held + 1))
    print(f"an interval of {_LEVEL:.0%} does so {held} times or less with probability {chance:.3f}")
    return int(abs(fmean(errors)) > _MOST_BIAS or max(map(abs, biases.values())) > _MOST_BIAS or chance < 0.05)


def _errors(trials: Iterable[Trial]) -> list[float]:
    return [trial.value - trial.truth for trial in trials]


if __name__ == "__main__":
    sys.exit(main(*(float(word) if "." in word else int(word) for word in sys.argv[1:])))
