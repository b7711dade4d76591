"""How much CPU each thread of a process burns: a profiler's samples say on what, and only these clocks say how much.

Threads that never run Python (gloo, ZMQ, BLAS) have no stacks, and a thread that wakes for a moment is sampled asleep.
"""

from __future__ import annotations

import time
from collections import defaultdict
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

ENDED = 0  # no thread has this id: it stands for those that ended
_NEW = 0.0, 0.0
_PROCESS_CLOCK = 2  # linux/posix-timers.h: the clock of a process is ~pid << 3 | CPUCLOCK_SCHED


class ThreadCpu:
    """What the threads of one process burnt between each `begin` and `end`.

    spent_s: thread id -> CPU seconds; ENDED has those of threads that did not live to the `end`. waited_s: thread id ->
    seconds that it was ready to run and had no core. names: thread id -> the kernel's name for it. seconds: how long it
    was looked at. A process that is gone adds nothing.
    """

    def __init__(self, pid: int) -> None:
        self.spent_s: defaultdict[int, float] = defaultdict(float)
        self.waited_s: defaultdict[int, float] = defaultdict(float)
        self.names: dict[int, str] = {}
        self.seconds = 0.0
        self._pid = pid
        self._begun: _Reading | None = None

    def begin(self) -> None:
        self._begun = _read(self._pid)

    def end(self) -> None:
        begun, now = self._begun, _read(self._pid)
        self._begun = None
        if begun is None or now is None:
            return
        lived_s = 0.0
        for tid, (cpu_s, waited_s) in now.threads_s.items():
            before = begun.threads_s.get(tid, _NEW)
            cpu_before_s, waited_before_s = before if before[0] <= cpu_s else _NEW  # less: another thread got the id
            self.spent_s[tid] += cpu_s - cpu_before_s
            self.waited_s[tid] += waited_s - waited_before_s
            lived_s += cpu_s - cpu_before_s
        self.spent_s[ENDED] += max(0.0, now.process_s - begun.process_s - lived_s)
        self.seconds += now.t_s - begun.t_s
        self.names |= {tid: name for tid in now.threads_s.keys() - self.names.keys() if (name := _name(self._pid, tid))}


class _Reading(NamedTuple):
    """process_s: CPU of all threads that there ever were. threads_s: thread id -> its CPU, and its wait for a core."""

    t_s: float
    process_s: float
    threads_s: dict[int, tuple[float, float]]


def _read(pid: int) -> _Reading | None:
    """None when the process is gone, or where the kernel does not count by thread."""
    threads_s = {}
    try:
        for task in Path(f"/proc/{pid}/task").iterdir():
            with suppress(FileNotFoundError, ProcessLookupError):  # it ended just now
                cpu_ns, waited_ns, _ = (task / "schedstat").read_text().split()
                threads_s[int(task.name)] = int(cpu_ns) / 1e9, int(waited_ns) / 1e9
        process_s = time.clock_gettime_ns(~pid << 3 | _PROCESS_CLOCK) / 1e9
    except OSError:
        return None
    return _Reading(time.monotonic(), process_s, threads_s) if threads_s else None


def _name(pid: int, tid: int) -> str:
    """Empty when it is gone."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/task/{tid}/comm").read_text(errors="replace").strip()
    return ""
