"""What a handoff costs, counted where it happens: one row of float64 a process, in a small file that all of them map.

Each process writes its own row in place and whoever serves /metrics reads them all: counting sends no message, and a
count survives until the last reader, whatever became of its process. An aligned float64 is stored in one piece, so a
reader never sees half of one.

    COLUMNS     requests, receive_batches                  with media; receive batches with such requests
                objects_built, broadcasts                  inputs objects made; a variant's own broadcasts, each rank's
                background_broadcasts                      those of them that a background thread took part in
                broadcast_bytes, received_bytes            pickled bytes sent to all (counted once); bytes unpickled
                cache_hits, fallbacks                      requests whose inputs were ready for them; requests that a
                                                           rank had to build for itself instead
                cache_evictions                            requests dropped from a full cache
                feature_hits, feature_evictions            features that went as their hash; dropped from a full memory
                shm_bytes, shm_segments, shm_unlinked      written to shared memory; segments made; segments removed
                handler_wall_seconds                       a rank's main thread in on_receive and materialise
                <stage>_cpu_seconds, <stage>_wall_seconds  for each of STAGES, over all threads

A stage's time excludes the stages timed inside it: `hash` within `build` is booked as hash alone. A thread that waits
for another's broadcast books that as `broadcast` too.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

STAGES = ("receive", "build", "hash", "pickle", "broadcast", "sample")
COLUMNS = (
    "requests",
    "receive_batches",
    "objects_built",
    "broadcasts",
    "background_broadcasts",
    "broadcast_bytes",
    "received_bytes",
    "cache_hits",
    "cache_evictions",
    "fallbacks",
    "feature_hits",
    "feature_evictions",
    "shm_bytes",
    "shm_segments",
    "shm_unlinked",
    "handler_wall_seconds",
    *(f"{stage}_{clock}_seconds" for stage in STAGES for clock in ("cpu", "wall")),
)
_INDEX = {name: column for column, name in enumerate(COLUMNS)}
_HEADER_BYTES = 4096
_running = threading.local()  # .timer: the innermost Timer of this thread


class Counters:
    """The counters of one process; safe to use from several of its threads."""

    def __init__(self, row: NDArray[np.float64] | None = None) -> None:
        self._row = np.zeros(len(COLUMNS)) if row is None else row
        self._lock = threading.Lock()

    def add(self, column: str, amount: float = 1.0) -> None:
        index = _INDEX[column]
        with self._lock:
            self._row[index] += amount

    def __getitem__(self, column: str) -> float:
        return float(self._row[_INDEX[column]])

    @contextmanager
    def on_the_clock(self, column: str) -> Iterator[None]:
        """A context that adds its wall seconds to `column`, stages and all."""
        start_ns = time.perf_counter_ns()
        try:
            yield
        finally:
            self.add(column, (time.perf_counter_ns() - start_ns) / 1e9)

    def timed(self, stage: str) -> Timer:
        """A context that books its thread's CPU seconds and its wall seconds under `stage` (one of STAGES)."""
        return Timer(self, stage)


class Timer:
    """One stage being timed. What an inner timer books is left out of the outer one."""

    __slots__ = ("_counters", "_cpu_ns", "_outer", "_stage", "_wall_ns", "inner_cpu_ns", "inner_wall_ns")

    def __init__(self, counters: Counters, stage: str) -> None:
        self._counters = counters
        self._stage = stage

    def __enter__(self) -> Self:
        self._outer: Timer | None = getattr(_running, "timer", None)
        _running.timer = self
        self.inner_cpu_ns = self.inner_wall_ns = 0
        self._wall_ns = time.perf_counter_ns()
        self._cpu_ns = time.thread_time_ns()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        cpu_ns = time.thread_time_ns() - self._cpu_ns
        wall_ns = time.perf_counter_ns() - self._wall_ns
        _running.timer = self._outer
        if self._outer is not None:
            self._outer.inner_cpu_ns += cpu_ns
            self._outer.inner_wall_ns += wall_ns
        self._counters.add(f"{self._stage}_cpu_seconds", (cpu_ns - self.inner_cpu_ns) / 1e9)
        self._counters.add(f"{self._stage}_wall_seconds", (wall_ns - self.inner_wall_ns) / 1e9)


class CounterTable:
    """The file: a header naming processes and columns, then a row for each process."""

    def __init__(self, path: Path) -> None:
        """Map an existing table; raises OSError where there is none, ValueError where it is another version's."""
        with path.open("rb") as file:
            header = json.loads(file.read(_HEADER_BYTES))
        if tuple(header["columns"]) != COLUMNS:
            raise ValueError(f"{path} has other columns than this version of mmload")
        self.processes: tuple[str, ...] = tuple(header["processes"])
        shape = (len(self.processes), len(COLUMNS))
        self._rows = np.memmap(path, dtype=np.float64, mode="r+", offset=_HEADER_BYTES, shape=shape)

    @classmethod
    def create(cls, path: Path, processes: Sequence[str]) -> CounterTable:
        header = json.dumps({"processes": list(processes), "columns": COLUMNS}).encode().ljust(_HEADER_BYTES)
        path.write_bytes(header + bytes(8 * len(processes) * len(COLUMNS)))
        return cls(path)

    def counters(self, process: str) -> Counters:
        """The counters of one of `processes`, to be written by that process alone."""
        return Counters(self._rows[self.processes.index(process)])

    def read(self) -> dict[str, dict[str, float]]:
        """process -> column -> value, as of now."""
        return {
            process: dict(zip(COLUMNS, row.tolist(), strict=True))
            for process, row in zip(self.processes, self._rows, strict=True)
        }


def prometheus_lines(rows: Mapping[str, Mapping[str, float]]) -> Iterable[str]:
    """The lines of /metrics, the same from every host. rows: as `CounterTable.read`."""
    columns = next(iter(rows.values()), {})
    for column in columns:
        yield f"# TYPE mmload_handoff_{column}_total counter"
        for process, row in rows.items():
            yield f'mmload_handoff_{column}_total{{process="{process}"}} {row[column]}'
