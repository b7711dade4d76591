"""The profile window inside its load segment, and what follows it there: stacks with their times."""

from __future__ import annotations

import time

from mmload.model.manifest import ProfileInfo, StampedInfo
from mmload.model.records import RequestRecord
from mmload.observe.observer import StackProfiler, Stamper
from mmload.session.ledger import Ledger


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

    def note(self, ledger: Ledger) -> None:
        """Close it, and put what it brought into the manifest."""
        info = self.close()
        ledger.note(profile=info)
        ledger.warn(*self._profiler.warnings)
        if info.mode != "none":
            ledger.warn(*(f"poor profile of {file.process}: {file.error}" for file in info.files if file.error))
        if self.start_ns is not None:
            ledger.phase("profile", self.start_ns, min(self._end_ns, time.monotonic_ns()))


class StampedWindow:
    """Takes stacks with their times from `start_ns` to `end_ns`, after the profile; not at all where these are the
    same, or the profile was refused."""

    def __init__(self, stamper: Stamper, profile: ProfileWindow, start_ns: int, end_ns: int) -> None:
        self._stamper = stamper
        self._profile = profile
        self._start_ns = start_ns
        self._end_ns = end_ns
        self._started = False
        self._info: StampedInfo | None = None

    def turn(self) -> None:
        now_ns = time.monotonic_ns()
        if not self._started and self._start_ns <= now_ns < self._end_ns and not self._refused():
            self._started = True
            self._stamper.start()
        if now_ns >= self._end_ns:
            self.close()

    def close(self) -> StampedInfo | None:
        """End it, once, and say what it brought; None where it never began."""
        if self._started and self._info is None:
            self._info = self._stamper.stop()
        return self._info

    def note(self, ledger: Ledger) -> None:
        """Close it, and put what it brought into the manifest."""
        info = self.close()
        if info is None:
            if self._start_ns < self._end_ns <= time.monotonic_ns() and not self._refused():
                ledger.warn("no stacks with their times: the profile ended too late for them")
            return
        ledger.note(stamped=info)
        ledger.warn(*self._stamper.warnings)
        lost = [file for file in info.files if file.error]
        ledger.warn(*(f"no stacks with their times of {file.process}: {file.error}" for file in lost))
        starts_ns = [file.start_ns for file in info.files if file.start_ns is not None]
        ends_ns = [file.end_ns for file in info.files if file.end_ns is not None]
        if starts_ns and ends_ns:
            ledger.phase("stamped", min(starts_ns), max(ends_ns))

    def _refused(self) -> bool:
        """Whether the profile, which is over, was: it has said so."""
        return self._profile.close().mode == "none"
