"""stacks/: the folded stacks of each process; what each of its threads burnt, with the thread's own stacks
(PROCESS.threads.json); and source.json, the text of the source lines that occur in them.

A call of a C function has no frame of its own; the text of the line that called it tells what it was, in any version
of the server.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

import msgspec

from mmload.errors import FolderError
from mmload.model.records import Count, Seconds
from mmload.store.append import write_document
from mmload.store.layout import RunLayout
from mmload.store.read import read_document


class SourceLines(msgspec.Struct, frozen=True):
    """'file:line', as in a frame, -> the line without its indentation."""

    lines: dict[str, str] = {}


class ThreadStacks(msgspec.Struct, frozen=True, kw_only=True):
    """One thread under the profiler. cpu_s: what it burnt meanwhile. waited_s: how long it was ready to run and had no
    core. stacks: stack -> samples, none where it ran no Python. tid 0: all threads that ended meanwhile."""

    tid: int
    name: str
    cpu_s: Seconds
    waited_s: Seconds = 0.0
    stacks: dict[str, Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]] = {}


class ProcessThreads(msgspec.Struct, frozen=True, kw_only=True):
    """The threads of one process, the busiest first. seconds: how long the profiler looked, rate_hz: how
    often a second (0: unknown). errors: how often it could not read the stacks."""

    seconds: float
    rate_hz: Count = 0
    errors: Count = 0
    threads: list[ThreadStacks]


def write_folded(path: Path, stacks: Mapping[str, int]) -> None:
    """Replace a file of folded stacks (stack -> samples) as a whole. Raises FolderError."""
    partial = path.with_name(path.name + ".part")
    try:
        partial.write_text("".join(f"{stack} {count}\n" for stack, count in sorted(stacks.items())), encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        raise FolderError(f"cannot write {path}: {error.strerror}", "make room on the disk") from error


def write_threads(layout: RunLayout, process: str, threads: ProcessThreads) -> None:
    """Raises FolderError."""
    write_document(layout.threads(process), threads)


def read_threads(layout: RunLayout, process: str) -> ProcessThreads | None:
    """None where nobody counted by thread. Raises FolderError on damage."""
    path = layout.threads(process)
    return read_document(path, ProcessThreads) if path.exists() else None


def write_source(layout: RunLayout, lines: Mapping[str, str]) -> None:
    """Raises FolderError."""
    write_document(_source(layout), SourceLines(dict(sorted(lines.items()))))


def read_source(layout: RunLayout) -> dict[str, str]:
    """'file:line' -> text; empty for a run without stacks. Raises FolderError on damage."""
    path = _source(layout)
    return read_document(path, SourceLines).lines if path.exists() else {}


def _source(layout: RunLayout) -> Path:
    return layout.stacks / "source.json"
