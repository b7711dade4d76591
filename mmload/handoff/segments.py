"""Segments of POSIX shared memory: written once by their owner, mapped by every rank, then gone from the file system.

    /dev/shm/mmload-<pid>-<start ticks>-<pid namespace>-<n>      the owner, and a number that it uses once

    8 bytes          how many ranks have mapped it, changed under flock
    .. from 64 on    the buffers, each at a multiple of 64 bytes

Each rank counts itself and maps; the last one unlinks, and the memory goes when the last map does. Until then the name
is the owner's: it unlinks what it could not hand over, what is left when it ends, and what owners that were killed have
left. multiprocessing.shared_memory is no help: its resource tracker unlinks what other processes still use.
"""

from __future__ import annotations

import fcntl
import itertools
import mmap
import os
import re
import resource
import struct
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from mmload.handoff.counters import Counters

FOLDER = Path("/dev/shm")  # noqa: S108 - files there are made with O_EXCL and for this user alone
_NAME = re.compile(r"mmload-(\d+)-(\d+)-(\d+)-\d+")
# Containers may share /dev/shm and not their process ids. An owner there can't be seen, but its segments are mapped
# within seconds: one of this age is of nobody any more.
_ABANDONED_S = 600.0
_MAPPED = struct.Struct("<q")
_ALIGNMENT = 64  # a cache line, and what vector instructions want


class Segment(NamedTuple):
    """What travels in place of the buffers. spans: (offset, bytes) of each."""

    path: str
    spans: tuple[tuple[int, int], ...]


class Segments:
    """The segments of this process, from their making until somebody has unlinked them. Safe to use from threads."""

    def __init__(self, counters: Counters, folder: Path = FOLDER) -> None:
        self._counters = counters
        self._folder = folder
        self._prefix = f"mmload-{os.getpid()}-{start_ticks(os.getpid())}-{pid_namespace()}-"
        self._numbers = itertools.count()

    def write_segment(self, buffers: Sequence[memoryview]) -> Segment:
        """A segment with these bytes. Raises OSError where it can't be made, a full file system included; nothing is
        left of it then."""
        path = self._folder / f"{self._prefix}{next(self._numbers)}"
        spans = _layout(buffers)
        fd = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        try:
            # Not through a map: that would end this process by SIGBUS when the memory is full.
            _write(fd, memoryview(_MAPPED.pack(0)), 0)
            for buffer, (offset, _) in zip(buffers, spans, strict=True):
                _write(fd, buffer, offset)
        except BaseException:
            path.unlink(missing_ok=True)
            raise
        finally:
            os.close(fd)
        self._counters.add("shm_segments")
        self._counters.add("shm_bytes", sum(length for _, length in spans))
        return Segment(str(path), spans)

    def unlink(self, segment: Segment) -> None:
        self._unlink(segment.path)

    def unlink_all(self) -> None:
        """All that is left of this process's."""
        for path in self._folder.glob(f"{self._prefix}*"):
            self._unlink(path)

    def _unlink(self, path: str | Path) -> None:
        with suppress(FileNotFoundError):
            Path(path).unlink()
            self._counters.add("shm_unlinked")


def map_segment(segment: Segment, ranks: int, counters: Counters) -> list[memoryview]:
    """The buffers, read-only and not copied; their memory is free once nothing refers to them. To be called once by
    each of `ranks` processes. Raises OSError or ValueError where the segment is gone or can't be mapped."""
    fd = os.open(segment.path, os.O_RDWR)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        mapped = 1 + int(_MAPPED.unpack(os.pread(fd, _MAPPED.size, 0))[0])
        os.pwrite(fd, _MAPPED.pack(mapped), 0)
        if mapped == ranks:
            Path(segment.path).unlink()
            counters.add("shm_unlinked")
        fcntl.flock(fd, fcntl.LOCK_UN)  # closing would not do: below Python 3.13 a map keeps a duplicate
        view = memoryview(_read_only(fd))
    finally:
        os.close(fd)
    return [view[offset : offset + length] for offset, length in segment.spans]


def sweep(folder: Path = FOLDER) -> int:
    """Unlink the segments of owners that are gone, of this user only; how many there were."""
    swept = 0
    for path in folder.glob("mmload-*"):
        with suppress(FileNotFoundError):
            if path.is_file() and path.stat().st_uid == os.getuid() and _is_abandoned(path):
                path.unlink()
                swept += 1
    return swept


def _is_abandoned(path: Path) -> bool:
    match = _NAME.fullmatch(path.name)
    if match is None:
        return False
    pid, ticks, namespace = map(int, match.groups())
    if namespace == pid_namespace():
        return start_ticks(pid) != ticks
    return time.time() - path.stat().st_mtime > _ABANDONED_S


def pid_namespace() -> int:
    """The number of the namespace in which this process has its pid."""
    return Path("/proc/self/ns/pid").stat().st_ino


def start_ticks(pid: int) -> int | None:
    """When a process started, in clock ticks since boot: what tells it from another with its pid. None: it is gone."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return None
    state, *fields = stat[stat.rindex(b")") + 2 :].split()  # the name before may hold blanks
    return None if state in b"ZX" else int(fields[18])  # proc(5): field 22


def allow_many_maps() -> None:
    """Below Python 3.13 each map holds a descriptor for as long as it lives: have as many of them as we may."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _read_only(fd: int) -> mmap.mmap:
    if sys.version_info >= (3, 13):
        return mmap.mmap(fd, 0, access=mmap.ACCESS_READ, trackfd=False)
    return mmap.mmap(fd, 0, access=mmap.ACCESS_READ)


def _layout(buffers: Sequence[memoryview]) -> tuple[tuple[int, int], ...]:
    spans, at = [], _MAPPED.size
    for buffer in buffers:
        at += -at % _ALIGNMENT
        spans.append((at, buffer.nbytes))
        at += buffer.nbytes
    return tuple(spans)


def _write(fd: int, data: memoryview, offset: int) -> None:
    view = data.cast("B")
    while view:
        written = os.pwrite(fd, view, offset)
        view, offset = view[written:], offset + written
