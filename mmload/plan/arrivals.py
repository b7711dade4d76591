"""The schedule of a run: when each request is due, which item it carries and to which phase it belongs.

A run has two segments, each with an origin (t0) of its own:

    main      |-- warmup --|-------- measure --------|
    profile   |- lead -|---- profile window ----|         starts once the requests of main are answered

Arrivals of each window and the order of items come from random streams of their own, so that a longer profile leaves
the measured schedule as it was.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from mmload.errors import FolderError, UsageError
from mmload.model.plan import OpenLoop, Plan
from mmload.model.records import RequestPhase
from mmload.plan.arrivals_trace import Trace
from mmload.plan.arrivals_window import window_arrivals
from mmload.plan.randomness import Purpose, stream
from mmload.plan.workload import workload_of

PHASES: tuple[RequestPhase, ...] = ("warmup", "measure", "profile", "identity")  # by the code in Schedule.phase
PROFILE_LEAD_S = 2.0  # a drained server fills up again before the profile window counts

_REQUEST = np.dtype([("due_offset_ns", "<i8"), ("item", "<i4"), ("phase", "u1")], align=True)


class Window(NamedTuple):
    """A phase of a segment; offsets from the segment's t0, in nanoseconds."""

    phase: RequestPhase
    start_ns: int
    end_ns: int


class Schedule:
    """The requests of one segment, sorted by `due_offset_ns`.

    due_offset_ns (int64): from the segment's t0. item (int32): number of the load item, to be asked of a PoolReader.
    phase (uint8): index into PHASES.
    """

    def __init__(self, requests: NDArray[np.void]) -> None:
        self._requests = requests
        self.due_offset_ns: NDArray[np.int64] = requests["due_offset_ns"]
        self.item: NDArray[np.int32] = requests["item"]
        self.phase: NDArray[np.uint8] = requests["phase"]

    @classmethod
    def of(cls, due_offset_ns: NDArray[np.int64], item: NDArray[np.int32], phase: NDArray[np.uint8]) -> Self:
        requests = np.zeros(len(due_offset_ns), _REQUEST)
        requests["due_offset_ns"], requests["item"], requests["phase"] = due_offset_ns, item, phase
        return cls(requests)

    def __len__(self) -> int:
        return len(self._requests)

    def share(self, worker: int, workers: int) -> Schedule:
        """The requests of one of `workers` workers (counted from 0): every `workers`-th, so that all shares together
        are this schedule and each is an even sample of it. Request k of the share is k * workers + worker here."""
        return Schedule(self._requests[worker::workers])

    def sha256(self) -> str:
        digest = hashlib.sha256()
        for column in (self.due_offset_ns, self.item, self.phase):
            digest.update(column.tobytes())
        return digest.hexdigest()

    def save(self, path: Path) -> None:
        """Write to `path` (.npy); raises FolderError where that can't be done."""
        try:
            with path.open("wb") as file:
                np.save(file, self._requests)
        except OSError as error:
            raise FolderError(f"cannot write {path}: {error.strerror}") from error

    @classmethod
    def load(cls, path: Path) -> Self:
        """A saved schedule, mapped: workers on one host share its pages. Raises FolderError on damage."""
        try:
            return cls(np.load(path, mmap_mode="r").view(np.ndarray))  # a memmap's own indexing is slow Python
        except (OSError, ValueError) as error:
            raise FolderError(f"cannot read {path}: {error}") from error


class RunSchedule(NamedTuple):
    """Both segments of an open loop. profile: None without a profile window.

    `main.sha256()` is the digest by which runs are compared: runs with profiles of different length have the same.
    """

    main: Schedule
    profile: Schedule | None


class PoolSize(NamedTuple):
    """How many load items a run asks for: the first `main` by the segment main, all `total` with the profile's."""

    main: int
    total: int


def main_windows(plan: Plan) -> tuple[Window, Window]:
    """Warmup and measure. In an open loop `plan.requests` decides how long measure is: requests / rate."""
    measure_s = plan.duration_s
    if plan.requests is not None and isinstance(plan.load, OpenLoop):
        measure_s = plan.requests / plan.load.rate_rps
    end_of_warmup_ns = round(plan.warmup_s * 1e9)
    return (
        Window("warmup", 0, end_of_warmup_ns),
        Window("measure", end_of_warmup_ns, end_of_warmup_ns + round(measure_s * 1e9)),
    )


def profile_window(plan: Plan) -> Window | None:
    """While profilers are at work, from PROFILE_LEAD_S into their segment on; None when the plan wants no profile."""
    if not plan.profile.enabled:
        return None
    start_ns = round(PROFILE_LEAD_S * 1e9)
    return Window("profile", start_ns, start_ns + round(plan.profile.window_s * 1e9))


def build_schedule(plan: Plan) -> RunSchedule | None:
    """The schedule of an open loop, made from the plan alone; None in a closed loop, where nothing is due beforehand.

    Every window has exactly round(rate x duration) requests. Raises UsageError when the measure window has none.
    """
    if not isinstance(plan.load, OpenLoop):
        return None
    warmup, measure = main_windows(plan)
    numbers = _item_numbers(plan)
    main = _segment(plan, plan.load, (warmup, measure), numbers)
    if not (main.phase == PHASES.index("measure")).any():
        raise UsageError(
            f"{plan.load.rate_rps:g} requests/s over {(measure.end_ns - measure.start_ns) / 1e9:g} s is no request",
            "give a higher --rate, a longer --duration, or --requests",
        )
    window = profile_window(plan)
    if window is None:
        return RunSchedule(main, None)
    lead_and_window = window._replace(start_ns=0)
    return RunSchedule(main, _segment(plan, plan.load, (lead_and_window,), numbers))


def measured_due_ns(plan: Plan) -> NDArray[np.int64] | None:
    """When the schedule wants the measured requests sent (int64, sorted): offsets from the start of the measure window.
    None in a closed loop. Raises ConfigError when the plan's trace is gone or has changed."""
    if not isinstance(plan.load, OpenLoop):
        return None
    _, measure = main_windows(plan)
    return _arrivals(plan.load, measure, plan.seed).due_offset_ns


def pool_size(plan: Plan, schedule: RunSchedule | None) -> PoolSize:
    """How many load items the run needs. In a closed loop nobody knows: the rate that the workload is meant for,
    over the planned time."""
    if schedule is not None:
        segments = [part for part in schedule if part is not None and len(part)]
        return PoolSize(int(schedule.main.item.max()) + 1, max(int(part.item.max()) for part in segments) + 1)
    rate_rps = workload_of(plan).rate_rps
    warmup, measure = main_windows(plan)
    profile = profile_window(plan)
    requests = plan.requests or rate_rps * (measure.end_ns - measure.start_ns) / 1e9
    main = math.ceil(requests + rate_rps * warmup.end_ns / 1e9)
    return PoolSize(main, main + math.ceil(rate_rps * profile.end_ns / 1e9 if profile else 0))


def closed_loop_items(plan: Plan, worker: int = 0, workers: int = 1) -> Iterator[int]:
    """The item numbers of one worker's requests, in order and without end; all workers' shares together are the
    sequence of an open loop."""
    return islice(_item_numbers(plan), worker, None, workers)


def _segment(plan: Plan, load: OpenLoop, windows: tuple[Window, ...], numbers: Iterator[int]) -> Schedule:
    parts = [_part(load, window, plan.seed, numbers) for window in windows]
    return Schedule.of(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _part(load: OpenLoop, window: Window, seed: int, numbers: Iterator[int]) -> tuple[NDArray[Any], ...]:
    """Due offsets, items and phases of one window."""
    arrivals = _arrivals(load, window, seed)
    count = len(arrivals.due_offset_ns)
    items = arrivals.item if arrivals.item is not None else np.fromiter(islice(numbers, count), np.int32, count)
    return arrivals.due_offset_ns + window.start_ns, items, np.full(count, PHASES.index(window.phase), np.uint8)


def _arrivals(load: OpenLoop, window: Window, seed: int) -> Trace:
    rng = stream(seed, Purpose[f"{window.phase.upper()}_ARRIVALS"])
    return window_arrivals(load, window.phase, (window.end_ns - window.start_ns) / 1e9, rng)


def _item_numbers(plan: Plan, block: int = 4096) -> Iterator[int]:
    """A request carries the next fresh item or, with the workload's `reuse` as probability, one of all earlier ones."""
    reuse, rng = workload_of(plan).reuse, stream(plan.seed, Purpose.ITEM_NUMBERS)
    fresh = 0
    while True:
        is_fresh = rng.random(block) >= reuse
        is_fresh[0] |= fresh == 0
        seen = fresh + np.cumsum(is_fresh)
        earlier = (rng.random(block) * seen).astype(np.int64)
        yield from np.where(is_fresh, seen - 1, earlier).tolist()
        fresh = int(seen[-1])
