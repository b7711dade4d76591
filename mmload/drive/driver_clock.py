"""What the driver's monotonic clock says, seen from another host."""

from __future__ import annotations

from collections import deque
from typing import NamedTuple

import msgspec

from mmload.drive.job import Closed, Command, Open
from mmload.model.records import RequestRecord

_KEPT = 32


class Reading(NamedTuple):
    """driver's clock = this host's + offset_ns, give or take error_ns."""

    offset_ns: int
    error_ns: int


class DriverClock:
    """Reads the driver's clock by round trips: it was read between sending and receiving, so the shortest of the last
    trips bounds the offset best (the clock filter of NTP, RFC 5905, section 10)."""

    def __init__(self) -> None:
        self._readings: deque[Reading] = deque(maxlen=_KEPT)

    @property
    def is_read(self) -> bool:
        return bool(self._readings)

    def take(self, sent_ns: int, driver_ns: int, received_ns: int) -> None:
        """A round trip on this host's clock, and what the driver's clock said on the way."""
        self._readings.append(Reading(driver_ns - (sent_ns + received_ns) // 2, (received_ns - sent_ns + 1) // 2))

    def read(self) -> Reading:
        """The best there is; raises ValueError before the first round trip."""
        return min(self._readings, key=lambda reading: reading.error_ns)


SAME_CLOCK = Reading(0, 0)


def command_here(command: Command, offset_ns: int) -> Command:
    """A driver's command on this host's clock."""
    if isinstance(command, Open | Closed):
        return msgspec.structs.replace(command, start_ns=command.start_ns - offset_ns)
    return command


def record_there(record: RequestRecord, offset_ns: int) -> RequestRecord:
    """A record of this host on the driver's clock."""
    if not offset_ns:
        return record

    def there(t_ns: int | None) -> int | None:
        return None if t_ns is None else t_ns + offset_ns

    return msgspec.structs.replace(
        record,
        due_ns=record.due_ns + offset_ns,
        sent_ns=there(record.sent_ns),
        first_byte_ns=there(record.first_byte_ns),
        first_token_ns=there(record.first_token_ns),
        done_ns=there(record.done_ns),
        token_ns=[t_ns + offset_ns for t_ns in record.token_ns],
    )
