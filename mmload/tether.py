"""Starts a command that dies with its starter: `python tether.py PARENT_PID SIGNAL COMMAND [ARG ...]`.

On Linux the kernel sends SIGNAL to the command when the starter ends, even by kill -9, so that no server, worker or
profiler outlives the mmload that started it. Elsewhere the command is only executed. The kernel's promise is bound
to the *thread* that started the child: start tethered children from a thread that lives as long as the program.

It runs as a file, before any of mmload is imported (the starting Python is `-S -E`: about 10 ms).
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def tethered(command: list[str], on_parent_death: signal.Signals = signal.SIGTERM) -> list[str]:
    """The command line that runs `command` so that it gets `on_parent_death` when this process ends."""
    if not sys.platform.startswith("linux"):
        return command
    return [sys.executable, "-S", "-E", __file__, str(os.getpid()), str(int(on_parent_death)), *command]


def die_with_parent(parent_pid: int, signal_number: int) -> None:
    """Ask the kernel for `signal_number` when the parent ends; exit at once if it already has."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal_number, 0, 0, 0)
    if os.getppid() != parent_pid:
        os._exit(1)


if __name__ == "__main__":
    die_with_parent(int(sys.argv[1]), int(sys.argv[2]))
    try:
        os.execvp(sys.argv[3], sys.argv[3:])
    except OSError as error:
        sys.exit(f"cannot start {sys.argv[3]}: {error.strerror}")
