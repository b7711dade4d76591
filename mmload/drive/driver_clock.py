"""Commands and records, put onto another host's clock."""

from __future__ import annotations

import msgspec

from mmload.drive.job import Closed, Command, Open
from mmload.model.records import RequestRecord


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
