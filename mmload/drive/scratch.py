"""Where payloads lie between being made and being mapped: in memory where there is room.

The folder is removed as soon as every worker has mapped it. A kill before that leaves it; it names its owner, and the
next run sweeps what dead owners left.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from pathlib import Path

from mmload.discover import read_stat

_NAME = re.compile(r"^mmload-(\d+)-(\d+)-")
_ROOM_BYTES = 4 * 2**30


def make_scratch() -> Path:
    """A new folder of this process's own, after sweeping. Raises OSError."""
    parent = _parent()
    sweep(parent)
    stat = read_stat(os.getpid())
    start_ticks = stat.start_ticks if stat else 0
    return Path(tempfile.mkdtemp(prefix=f"mmload-{os.getpid()}-{start_ticks}-", dir=parent))


def sweep(parent: Path) -> None:
    """Remove the scratch folders whose owner is gone; another user's are left alone."""
    for folder in parent.glob("mmload-*"):
        match = _NAME.match(folder.name)
        if match is None or not folder.is_dir() or folder.stat().st_uid != os.getuid():
            continue
        owner = read_stat(int(match[1]))
        if owner is None or owner.start_ticks != int(match[2]):
            shutil.rmtree(folder, ignore_errors=True)


def _parent() -> Path:
    shm = Path("/dev/shm")  # noqa: S108 (mkdtemp makes the folder private)
    has_room = shm.is_dir() and shutil.disk_usage(shm).free > _ROOM_BYTES
    return shm if has_room else Path(tempfile.gettempdir())
