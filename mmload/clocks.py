"""Whose CLOCK_MONOTONIC is it, and what does another host's say?"""

from __future__ import annotations

import os
from collections import deque
from pathlib import Path
from typing import NamedTuple

_KEPT = 32


class Reading(NamedTuple):
    """The other's clock = this host's + offset_ns, give or take error_ns."""

    offset_ns: int
    error_ns: int


SAME_CLOCK = Reading(0, 0)


class OtherClock:
    """Reads another host's clock by round trips: it was read between sending and receiving, so the shortest of the last
    trips bounds the offset best (the clock filter of NTP, RFC 5905, section 10)."""

    def __init__(self) -> None:
        self._readings: deque[Reading] = deque(maxlen=_KEPT)

    @property
    def is_read(self) -> bool:
        return bool(self._readings)

    def take(self, sent_ns: int, other_ns: int, received_ns: int) -> None:
        """A round trip on this host's clock, and what the other's clock said on the way."""
        self._readings.append(Reading(other_ns - (sent_ns + received_ns) // 2, (received_ns - sent_ns + 1) // 2))

    def read(self) -> Reading:
        """The best there is; raises ValueError before the first round trip."""
        return min(self._readings, key=lambda reading: reading.error_ns)


def clock_id() -> str:
    """Processes with the same one read the same CLOCK_MONOTONIC: one boot of one kernel, one time namespace."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return f"{boot} {os.stat('/proc/self/ns/time').st_ino}"  # noqa: PTH116 (Path.stat would do as well, and no better)


def boot_of(clock: str) -> str:
    """Processes with the same one are on one host."""
    return clock.partition(" ")[0]
