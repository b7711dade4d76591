"""What a dump says of one process: where its threads stand by py-spy, and what the kernel says of it.

    Process 22540: sglang::scheduler_TP0
    Thread 22540 (idle): "MainThread"
        Collective.broadcast (mmload/standin/collective.py:69)
        Scheduler.recv_requests (mmload/standin/rank.py:98)
    Kernel: pid 22540, state S, waits in unix_stream_read_generic; its main thread ran 0.0 of 301 ms

The last line is mmload's own: it says something of a process without Python too, and of one that py-spy can't read.
"""

from __future__ import annotations

import re

import msgspec

GONE = "gone"
_KERNEL = re.compile(
    r"^Kernel: pid (?P<pid>\d+), (?:(?P<gone>gone)|state (?P<state>\S), waits in (?P<waits_in>\S+)"
    r"(?:; its main thread ran (?P<ran>[\d.]+) of (?P<over>[\d.]+) ms)?)$",
    re.MULTILINE,
)
_THREAD = re.compile(r"^Thread \S+ \([^)]*\)(?:: \"(?P<name>.*)\")?$")
_FRAME = re.compile(r"^    \S.* \(.*\)$")


class ThreadStack(msgspec.Struct, frozen=True, kw_only=True):
    """frames: `function (file:line)`, the innermost first."""

    name: str
    frames: list[str]


class ProcessDump(msgspec.Struct, frozen=True, kw_only=True):
    """state: the kernel's letter, or 'gone'; empty where the dump does not say. waits_in: the kernel function that its
    main thread sleeps in, empty where it runs or the kernel does not say. ran_share: of the time over which it was
    looked at; None where unknown. threads: the main thread first; empty for a process that could not be read."""

    name: str
    pid: int
    state: str
    waits_in: str
    ran_share: float | None
    threads: list[ThreadStack]


def kernel_line(pid: int, state: str, waits_in: str = "", ran_ms: float | None = None, over_ms: float = 0.0) -> str:
    """The line at the end of a dump."""
    if state == GONE:
        return f"Kernel: pid {pid}, gone"
    ran = "" if ran_ms is None else f"; its main thread ran {ran_ms:.1f} of {over_ms:.0f} ms"
    return f"Kernel: pid {pid}, state {state}, waits in {waits_in or 'nothing'}{ran}"


def parse_dump(name: str, text: str) -> ProcessDump:
    """The dump of the process `name`."""
    kernel = _KERNEL.search(text)
    said = kernel.groupdict() if kernel else {}
    waits_in = said.get("waits_in") or "nothing"
    over_ms = float(said.get("over") or 0)
    return ProcessDump(
        name=name,
        pid=int(said.get("pid") or 0),
        state=said.get("gone") or said.get("state") or "",
        waits_in="" if waits_in == "nothing" else waits_in,
        ran_share=float(said["ran"] or 0) / over_ms if over_ms else None,
        threads=_threads(text),
    )


def _threads(text: str) -> list[ThreadStack]:
    threads: list[ThreadStack] = []
    for line in text.split("\n"):
        if match := _THREAD.match(line):
            threads.append(ThreadStack(name=match["name"] or "", frames=[]))
        elif threads and _FRAME.match(line):
            threads[-1].frames.append(line.strip())
    return sorted(threads, key=lambda thread: thread.name != "MainThread")
