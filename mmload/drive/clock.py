"""Waking up when a request is due.

gevent's loop sleeps in whole milliseconds (libev rounds its timeout up for epoll_wait), which alone bends Poisson
arrivals at 100/s enough to fail a Kolmogorov-Smirnov test. A timerfd that the loop watches fires on CLOCK_MONOTONIC
to some tens of microseconds. Where there is no timerfd (outside Linux) `gevent.sleep` is what is left.
"""

from __future__ import annotations

import ctypes
import os
import sys
import time
from typing import Protocol

import gevent

_CLOCK_MONOTONIC = 1
_TFD_TIMER_ABSTIME = 1
_TFD_NONBLOCK_CLOEXEC = os.O_NONBLOCK | os.O_CLOEXEC


class Clock(Protocol):
    """A place to wait. One greenlet waits on a clock at a time."""

    def sleep_until(self, due_ns: int) -> None:
        """Return at `due_ns` (CLOCK_MONOTONIC) or, if that has passed, at once without yielding."""

    def close(self) -> None: ...


class _Timespec(ctypes.Structure):
    _fields_ = (("seconds", ctypes.c_long), ("nanoseconds", ctypes.c_long))


class _TimerSpec(ctypes.Structure):
    _fields_ = (("interval", _Timespec), ("value", _Timespec))


class TimerfdClock:
    """Linux: a timerfd in gevent's loop. Setting it again clears what it had to say, so it is never read; once it has
    fired and nobody waits, it is disarmed, or the loop would spin on it."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._fd = self._libc.timerfd_create(_CLOCK_MONOTONIC, _TFD_NONBLOCK_CLOEXEC)
        if self._fd < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        self._spec = _TimerSpec()
        self._hub = gevent.get_hub()
        self._watcher = self._hub.loop.io(self._fd, 1)
        self._waiter: gevent.Greenlet | None = None
        self._watcher.start(self._wake)

    def sleep_until(self, due_ns: int) -> None:
        while time.monotonic_ns() < due_ns:
            self._set(due_ns)
            self._waiter = gevent.getcurrent()
            try:
                self._hub.switch()
            finally:
                self._waiter = None

    def close(self) -> None:
        self._watcher.stop()
        self._watcher.close()
        os.close(self._fd)

    def _set(self, due_ns: int) -> None:
        self._spec.value.seconds, self._spec.value.nanoseconds = divmod(due_ns, 1_000_000_000)
        if self._libc.timerfd_settime(self._fd, _TFD_TIMER_ABSTIME, ctypes.byref(self._spec), None) != 0:
            raise OSError(ctypes.get_errno(), "timerfd_settime")

    def _wake(self) -> None:
        if self._waiter is not None:
            self._waiter.switch()
        else:
            self._set(0)


class CoarseClock:
    """Elsewhere: gevent's own timer, to the millisecond."""

    def sleep_until(self, due_ns: int) -> None:
        while (left_ns := due_ns - time.monotonic_ns()) > 0:
            gevent.sleep(left_ns / 1e9)

    def close(self) -> None:
        """Nothing is held."""


def precise_clock() -> Clock:
    return TimerfdClock() if sys.platform.startswith("linux") else CoarseClock()
