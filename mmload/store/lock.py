"""Is somebody still writing this run? The writer holds a lock on plan.json, which the kernel drops with the process,
so that a run that was killed is told from one that goes on."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def writing(plan_file: Path) -> Iterator[None]:
    """Hold the lock for as long as the block runs."""
    fd = os.open(plan_file, os.O_RDONLY | os.O_CLOEXEC)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def is_being_written(plan_file: Path) -> bool:
    try:
        fd = os.open(plan_file, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    else:
        return False
    finally:
        os.close(fd)
