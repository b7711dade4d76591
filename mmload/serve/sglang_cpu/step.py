"""One command of a setup: its lines are passed on while it runs, and nothing of it outlives mmload."""

from __future__ import annotations

import errno
import os
import select
import signal
import subprocess
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import IO

from mmload.errors import FolderError, ServerError
from mmload.tether import tethered

Say = Callable[[str], None]
Check = Callable[[], None]
_LOOK_S = 0.2
_KEPT_LINES, _SHOWN_LINES, _SHOWN_WORDS = 30, 4, 5


def run_step(command: list[str], environment: Mapping[str, str], say: Say, check: Check) -> None:
    """Run it to its end. Raises ServerError where that is not exit code 0, FolderError where the disk is full; what
    `check` raises ends it at once."""
    last: deque[str] = deque(maxlen=_KEPT_LINES)
    child = subprocess.Popen(
        tethered(command, signal.SIGKILL),
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    assert child.stdout is not None
    with child:
        try:
            for line in _lines(child.stdout, check):
                last.append(line)
                say(line)
        except BaseException:
            os.killpg(child.pid, signal.SIGKILL)
            raise
    if child.returncode != 0:
        raise _failure(command, child.returncode, [line for line in last if line.strip()])


def disk_error(what: str) -> FolderError:
    """The cache folder can't take what is to be made in it."""
    return FolderError(
        f"the engine sglang-cpu can't be made: {what}", "export MMLOAD_CACHE=/a/folder/with/room, then run it again"
    )


def _lines(stream: IO[bytes], check: Check) -> Iterator[str]:
    rest = b""
    while True:
        check()
        if not select.select([stream], [], [], _LOOK_S)[0]:
            continue
        chunk = os.read(stream.fileno(), 65536)
        if not chunk:
            break
        *whole, rest = (rest + chunk).split(b"\n")
        yield from (line.decode(errors="replace") for line in whole)
    if rest:
        yield rest.decode(errors="replace")


def _failure(command: list[str], exit_code: int, said: list[str]) -> FolderError | ServerError:
    full = os.strerror(errno.ENOSPC)
    if any(full in line for line in said):
        return disk_error(full)
    shown = "\n".join(said[-_SHOWN_LINES:]) or "it said nothing"
    return ServerError(
        f"`{' '.join(command[:_SHOWN_WORDS])} ..` ended with exit code {exit_code}: {shown}",
        "packages come from the index that `pip config list` names; run it again: what is finished is kept",
    )
