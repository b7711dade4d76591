"""SIGINT, SIGTERM and SIGHUP as a flag that the run looks at between two steps: nothing is torn down half-way.

They nest: a campaign catches them around its runs. A signal that a run caught too late to obey is handed to who catches
them around it, when the run's block ends.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FrameType

from mmload.errors import Interrupted


class Interruption:
    """The first signal is remembered; a second one is obeyed at once."""

    def __init__(self) -> None:
        self.signal: int | None = None

    def check(self) -> None:
        """Raise Interrupted if a signal has come."""
        if self.signal is not None:
            raise Interrupted(self.signal)

    def take(self, number: int, _frame: FrameType | None) -> None:
        if self.signal is not None:
            raise Interrupted(number)
        self.signal = number


@contextmanager
def interruption() -> Iterator[Interruption]:
    """Catch SIGINT, SIGTERM and, unless nohup has it ignored, SIGHUP (main thread only) for as long as the block
    runs."""
    caught = Interruption()
    numbers = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        numbers.append(signal.SIGHUP)
    before = {number: signal.signal(number, caught.take) for number in numbers}
    try:
        yield caught
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        _hand_on(caught, before)


def _hand_on(caught: Interruption, before: Mapping[signal.Signals, object]) -> None:
    handler = None if caught.signal is None else before.get(signal.Signals(caught.signal))
    outer = getattr(handler, "__self__", None)
    if isinstance(outer, Interruption) and outer.signal is None:
        outer.signal = caught.signal
