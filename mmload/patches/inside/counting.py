"""Counters without a reader but the log."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager


class Counters:
    """What the handoff did in this process, by name; from any of its threads."""

    def __init__(self) -> None:
        self._counts: dict[str, float] = {}
        self._lock = threading.Lock()

    def add(self, name: str, amount: float = 1) -> None:
        with self._lock:
            self._counts[name] = self._counts.get(name, 0) + amount

    @contextmanager
    def timed(self, stage: str) -> Iterator[None]:
        """Adds the wall seconds of what happens inside it."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.add(f"{stage}_seconds", time.perf_counter() - start)

    def __str__(self) -> str:
        with self._lock:
            return ", ".join(f"{name} {count:.6g}" for name, count in sorted(self._counts.items()))
