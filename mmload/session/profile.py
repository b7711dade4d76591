"""The profile window inside its load segment."""

from __future__ import annotations

import time

from mmload.model.manifest import ProfileInfo
from mmload.model.records import RequestRecord
from mmload.observe.observer import StackProfiler


class ProfileWindow:
    """Starts the profiler at `attach_ns`, ends it at `end_ns`. `start_ns`: when it began to sample; None if never."""

    def __init__(self, profiler: StackProfiler, attach_ns: int, end_ns: int) -> None:
        self.start_ns: int | None = None
        self._profiler = profiler
        self._attach_ns = attach_ns
        self._end_ns = end_ns
        self._started = False
        self._info: ProfileInfo | None = None

    def turn(self, _records: list[RequestRecord]) -> None:
        now_ns = time.monotonic_ns()
        if not self._started and now_ns >= self._attach_ns:
            self._profiler.start()
            self._started = True
        if self._started and self.start_ns is None and self._profiler.wait_until_sampling(0):
            self.start_ns = now_ns
        if now_ns >= self._end_ns:
            self.close()

    def close(self) -> ProfileInfo:
        """End the profiler, once, and say what it brought."""
        if self._info is None:
            self._info = self._profiler.stop()
        return self._info
