"""The CPU of gloo's own threads, which do the copying of a broadcast while the thread that called it waits.

torch names them (seen in 2.9 and 2.13); where it does not, their CPU is in no counter, and the rank says so in its log.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mmload.handoff.counters import Counters

_NAMES = ("pt_gloo_runloop", "gloo_tcp_loop")
_THREAD_CPU = 6  # time(7), linux/posix-timers.h: a thread's clock is ~tid << 3 | CPUCLOCK_PERTHREAD | CPUCLOCK_SCHED
_log = logging.getLogger("mmload.overlay")


class GlooThreads:
    """Some of this process's threads of gloo."""

    def __init__(self, but: frozenset[int] = frozenset()) -> None:
        """All that there are now. but: thread ids that are left out."""
        self.tids = _named() - but
        self._clocks = [~tid << 3 | _THREAD_CPU for tid in self.tids]
        if not self._clocks:
            _log.warning("gloo's threads can't be told by name: the CPU that they burn is in no counter")

    @contextmanager
    def broadcasting(self, counters: Counters) -> Iterator[None]:
        """A context that is booked as `broadcast`, with what these threads burn meanwhile."""
        before_ns = self._burnt_ns()
        try:
            with counters.timed("broadcast"):
                yield
        finally:
            burnt_ns = sum(ns - before_ns[clock] for clock, ns in self._burnt_ns().items())
            counters.add("broadcast_cpu_seconds", burnt_ns / 1e9)

    def _burnt_ns(self) -> dict[int, int]:
        """By clock; without the threads that have ended."""
        burnt_ns = {}
        for clock in self._clocks:
            with suppress(OSError):
                burnt_ns[clock] = time.clock_gettime_ns(clock)
        return burnt_ns


def _named() -> frozenset[int]:
    found = set()
    for task in Path(f"/proc/{os.getpid()}/task").iterdir():
        with suppress(OSError):
            if (task / "comm").read_text().strip() in _NAMES:
                found.add(int(task.name))
    return frozenset(found)
