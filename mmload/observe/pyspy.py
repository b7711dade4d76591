"""One run of py-spy on one process, and how to read what it leaves.

py-spy's exit code says nothing (a killed target ends it with 0): its log and its output file are the evidence. It
writes the output only at its end, which SIGINT brings about. `Samples: N` counts the stacks it kept (threads that ran,
in the active and gil modes), not its ticks: an idle process rightly has few.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from mmload.model.plan import ProfileMode
from mmload.tether import tethered

# Blocking stops a process with 60 threads for 10 to 85 % of the time; nonblocking costs it nothing that can be
# measured, and a few torn stacks. Native frames can only be read from a process that stands still.
_MODE_OPTIONS: dict[ProfileMode, tuple[str, ...]] = {
    "active": ("--nonblocking",),
    "idle": ("--nonblocking", "--idle"),
    "gil": ("--nonblocking", "--gil"),
    "native": ("--native",),
}
_SAMPLING = re.compile(rb"^py-spy> Sampling process ", re.MULTILINE)
_COUNTS = re.compile(rb"Samples: (\d+) Errors: (\d+)")
_BEHIND = re.compile(rb"behind in sampling")
# `thread (4711): its name;frame;frame`: a name may hold anything, and ends where frames begin; hex below Python 3.11.
_THREAD = re.compile(
    r"^thread \((?:(?P<tid>\d+)|0x[0-9A-Fa-f]+)\)(?:: (?P<name>.*?))?(?:;(?=[^;]* \([^()]*[/<.][^()]*\)(?:;|$))|$)"
)
_REFUSED = re.compile(rb"permission denied|operation not permitted", re.IGNORECASE)
_GRACE_S = 5.0  # to write its output once it is interrupted
_POLL_S = 0.01


class Segment(msgspec.Struct, frozen=True, kw_only=True):
    """What one run of py-spy brought home. stacks: as in its raw format, below their thread -> samples. errors: samples
    it could not read.

    error: why there is no output, in a sentence, else None. refused: the kernel did not permit it. behind: it could
    not keep its rate. cpu_s: what it burnt itself, from its start to its end."""

    stacks: dict[str, int] = {}
    errors: int = 0
    error: str | None = None
    refused: bool = False
    behind: bool = False
    cpu_s: float = 0.0


class Ending(NamedTuple):
    """How one run of py-spy came to its end. samples: of all threads together; errors: those that it could not read.
    error: why it left no output, in a sentence, else None; the others: as in Segment."""

    samples: int
    errors: int
    error: str | None
    refused: bool
    behind: bool
    cpu_s: float


class PySpy:
    """A py-spy at work. It is interrupted when this process ends, by kill -9 too, and then still writes its output.
    One with file capabilities is not (the kernel unties it): that one ends by itself after about `limit_s`."""

    def __init__(self, pid: int, options: Sequence[str], output: Path, log: Path, limit_s: float) -> None:
        self._output = output
        self._log = log
        self._log_start = log.stat().st_size if log.exists() else 0
        command = [
            *(py_spy_path(), "record", "--pid", str(pid), "--output", str(output), "--duration", str(int(limit_s) + 1)),
            *("--full-filenames", "--threads", *options),
        ]
        with log.open("ab") as file:
            self._process = subprocess.Popen(
                tethered(command, signal.SIGINT),
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                process_group=0,  # Ctrl-C in the terminal is the session's to pass on
            )

    def sampling(self) -> bool:
        """It has attached and has not ended."""
        return not self.ended() and _SAMPLING.search(self._said()) is not None

    def ended(self) -> bool:
        """Asked of the kernel without a reaping, which would lose what it burnt."""
        return os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None

    def interrupt(self) -> None:
        os.kill(self._process.pid, signal.SIGINT)

    def end(self) -> Ending:
        """Wait until it has ended: call `interrupt` first, and this once."""
        give_up_s = time.monotonic() + _GRACE_S
        while not (ended := self.ended()) and time.monotonic() < give_up_s:
            time.sleep(_POLL_S)
        if not ended:
            os.kill(self._process.pid, signal.SIGKILL)
        _, status, usage = os.wait4(self._process.pid, 0)
        self._process.returncode = os.waitstatus_to_exitcode(status)
        said, cpu_s = self._said(), usage.ru_utime + usage.ru_stime
        counts, behind = _COUNTS.search(said), _BEHIND.search(said) is not None
        if not ended:
            return Ending(0, 0, f"py-spy hung: killed {_GRACE_S:g} s after it was interrupted", False, behind, cpu_s)
        if counts is None:
            refused = _REFUSED.search(said) is not None
            return Ending(0, 0, _complaint(said, self._process.returncode), refused, behind, cpu_s)
        return Ending(int(counts[1]), int(counts[2]), None, refused=False, behind=behind, cpu_s=cpu_s)

    def _said(self) -> bytes:
        with self._log.open("rb") as file:
            file.seek(self._log_start)
            return file.read()


class Recording(PySpy):
    """A py-spy that counts stacks."""

    def __init__(self, pid: int, rate_hz: int, mode: ProfileMode, output: Path, log: Path, limit_s: float) -> None:
        options = ("--format", "raw", "--rate", str(rate_hz), *_MODE_OPTIONS[mode])
        super().__init__(pid, options, output, log, limit_s)

    def collect(self) -> Segment:
        """What it found, when it has ended: call `interrupt` first, and this once. Takes the output file away."""
        ending = self.end()
        found = Segment(error=ending.error, refused=ending.refused)
        if ending.error is None:
            found = self._read(ending)
        return msgspec.structs.replace(found, cpu_s=ending.cpu_s)

    def _read(self, ending: Ending) -> Segment:
        try:
            stacks = parse_raw(self._output.read_bytes().decode(errors="replace"))
            self._output.unlink()
        except OSError as error:
            return Segment(error=f"py-spy's output can't be read ({error.strerror})")
        whole = {stack: samples for stack, samples in stacks.items() if split_thread(stack).stack}
        torn = sum(stacks.values()) - sum(whole.values())
        return Segment(stacks=whole, errors=ending.errors + torn, behind=ending.behind)


def start_dump(pid: int, file: Path) -> subprocess.Popen[bytes]:
    """py-spy's view of all threads of a process into a file. Raises OSError.

    Nonblocking: what hangs does not move meanwhile, and a process that is stopped already can't be stopped again.
    """
    with file.open("wb") as output:
        return subprocess.Popen(
            tethered([py_spy_path(), "dump", "--nonblocking", "--pid", str(pid)]),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            process_group=0,
        )


def end_dump(dump: subprocess.Popen[bytes], file: Path, give_up_s: float) -> str | None:
    """Wait until `give_up_s` on the monotonic clock for what was started into `file`; why there is none, else None."""
    try:
        code = dump.wait(max(0.0, give_up_s - time.monotonic()))
    except subprocess.TimeoutExpired:
        dump.kill()
        dump.wait()
        return "py-spy did not end in time"
    if not code:
        return None
    said = file.read_bytes()
    return "the kernel does not let py-spy read it" if _REFUSED.search(said) else _complaint(said, code)


def py_spy_path() -> str:
    """The py-spy beside this Python, else the one that PATH finds."""
    beside = Path(sys.executable).with_name("py-spy")
    return str(beside) if beside.exists() else "py-spy"


def ptrace_hint() -> str:
    """What mends a refusal."""
    path = py_spy_path()
    file = path if "/" in path else f"$(which {path})"
    return (
        f"`sudo setcap cap_sys_ptrace+ep {file}`, or run mmload as root (one of the two is needed wherever "
        "kernel.yama.ptrace_scope is not 0); in a container, start it with --cap-add SYS_PTRACE"
    )


def parse_raw(text: str) -> dict[str, int]:
    """Stack -> samples, from lines `frame;frame count`; a line without a count is left out."""
    stacks: dict[str, int] = {}
    for line in text.split("\n"):  # names may hold what else ends a line elsewhere
        stack, _, count = line.rpartition(" ")
        if stack and count.isdecimal():
            stacks[stack] = stacks.get(stack, 0) + int(count)
    return stacks


class ThreadStack(NamedTuple):
    """A stack and whose it is. tid: the kernel's thread id; None where py-spy does not know it. stack: empty where it
    was torn apart while py-spy read it."""

    tid: int | None
    name: str
    stack: str


def split_thread(stack: str) -> ThreadStack:
    """Take the thread off a stack of py-spy's raw format."""
    thread = _THREAD.match(stack)
    if thread is None:
        return ThreadStack(None, "", stack)
    tid = thread["tid"]
    return ThreadStack(int(tid) if tid else None, thread["name"] or "", stack[thread.end() :])


def _complaint(said: bytes, exit_code: int) -> str:
    """py-spy's own words and the cause that lies deepest; its exit code when it said nothing."""
    words = said.decode(errors="replace").partition("Stack backtrace:")[0]
    lines = [line for line in words.splitlines() if line.strip() and not line.startswith(("py-spy>", "Caused by"))]
    if not lines:
        return f"py-spy ended without output (exit code {exit_code})"
    reason = lines[0].removeprefix("Error: ").rstrip(".")
    cause = re.sub(r"^\s*\d+: ", "", lines[-1]) if len(lines) > 1 else ""
    return f"py-spy ended without output ({reason}{': ' if cause else ''}{cause})"
