"""Every early stop of mmload, with the exit code it ends in.

    MmloadError                 (never raised itself)
    |-- UsageError          2   wrong option, configuration or request
    |   `-- ConfigError     2   a configuration file: names file, key and what was expected
    |-- RunInvalid          4   the generator or the profiler was at fault, not the server
    |-- ServerError         5   not started, not reached, died, hung, lost a rank, wrong variant
    |   |-- ServerDied      5
    |   `-- ServerHung      5
    |-- NotPermitted        6   the kernel does not let the profiler read the processes
    |-- FolderError         7   run folder damaged, absent, not writable, or the disk full
    `-- Interrupted   129|130|143   the terminal hung up, Ctrl-C or SIGTERM

A failed gate (exit 1) and an inconclusive one (exit 3) are results, not errors. What ends a command is caught once, in
`cli.main`, which prints the message, then the hint, and exits; threads hand theirs over; the stand-in server, and a
worker that joins from another host, are programs of their own.
"""

from __future__ import annotations

EXIT_OK = 0
EXIT_GATE_FAILED = 1
EXIT_GATE_INCONCLUSIVE = 3
EXIT_RUN_INVALID = 4
EXIT_OWN_FAULT = 70  # sysexits.h: EX_SOFTWARE


class MmloadError(Exception):
    """What went wrong in one sentence; `hint` says the mend in another (or is empty)."""

    exit_code = 2

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.hint = hint


class UsageError(MmloadError):
    """A command line, configuration or request that can't be carried out as given."""


class ConfigError(UsageError):
    """A configuration file with an unknown key, a wrong type or a value out of range."""


class RunInvalid(MmloadError):
    """The generator or the profiler was at fault, so the figures say nothing about the server."""

    exit_code = EXIT_RUN_INVALID


class ServerError(MmloadError):
    """The server under test could not be started, reached or trusted."""

    exit_code = 5


class ServerDied(ServerError):
    """A process of the server ended while it was needed."""


class ServerHung(ServerError):
    """The server is alive and answers nothing."""


class NotPermitted(MmloadError):
    """The kernel refuses what the command is for: to profile. `mmload run` goes on without stacks and warns."""

    exit_code = 6


class FolderError(MmloadError):
    """A run folder that is damaged, absent or can't be written."""

    exit_code = 7


class Interrupted(MmloadError):
    """Ended by SIGHUP (129), SIGINT (130) or SIGTERM (143); what was measured is kept."""

    def __init__(self, signal_number: int, reason: str = "") -> None:
        super().__init__(reason or f"interrupted by signal {signal_number}")
        self.exit_code = 128 + signal_number
