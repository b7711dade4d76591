"""stacks/PROCESS.stamped.json: what the threads of a process were in and since when, waits included."""

from __future__ import annotations

from typing import Annotated

import msgspec

from mmload.errors import FolderError
from mmload.model.records import Count, Nanoseconds
from mmload.store.append import write_document
from mmload.store.layout import RunLayout
from mmload.store.read import read_document

UNKNOWN = -1  # a stack that could not be read


class StampedThread(msgspec.Struct, frozen=True, kw_only=True):
    """One thread. t_ns: when the profiler first saw it in each of its stacks, on the average 1 / rate_hz after it came
    to be there. stack: a place in the stacks of its process, or UNKNOWN. It is in a stack until the next begins."""

    name: str
    t_ns: list[Nanoseconds]
    stack: list[Annotated[int, msgspec.Meta(ge=UNKNOWN)]]


class StampedStacks(msgspec.Struct, frozen=True, kw_only=True):
    """One process from start_ns to end_ns. clock_error_ns: the most that all times can be wrong by together. rate_hz:
    how often a second it was looked at, as it came about. errors: how often the stacks could not be read. threads: the
    main thread first; of the others those that were in more than one stack. still: how many were not."""

    start_ns: Nanoseconds
    end_ns: Nanoseconds
    clock_error_ns: Nanoseconds
    rate_hz: Annotated[float, msgspec.Meta(ge=1, le=1000)]
    errors: Count = 0
    stacks: list[str]
    threads: list[StampedThread]
    still: Count = 0


def write_stamped(layout: RunLayout, process: str, stamped: StampedStacks) -> None:
    """Raises FolderError."""
    write_document(layout.stamped(process), stamped)


def read_stamped(layout: RunLayout, process: str) -> StampedStacks | None:
    """None where there are none of it. Raises FolderError on damage."""
    path = layout.stamped(process)
    if not path.exists():
        return None
    stamped = read_document(path, StampedStacks)
    if why := contradiction(stamped):
        raise FolderError(f"{path} is damaged: {why}")
    return stamped


def contradiction(stamped: StampedStacks) -> str | None:
    """What in it can't be so; None where there is nothing."""
    if stamped.end_ns < stamped.start_ns or stamped.clock_error_ns < 0:
        return "a window or an error below 0"
    for thread in stamped.threads:
        if len(thread.t_ns) != len(thread.stack):
            return f"{len(thread.t_ns)} times and {len(thread.stack)} stacks of one thread"
        if thread.t_ns != sorted(thread.t_ns):
            return "times that go back"
        if thread.t_ns and not stamped.start_ns <= thread.t_ns[0] <= thread.t_ns[-1] <= stamped.end_ns:
            return "times outside its own window"
        if max(thread.stack, default=UNKNOWN) >= len(stamped.stacks):
            return "a stack that it does not have"
    return None
