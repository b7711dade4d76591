"""A server that mmload started: it dies with mmload, its output is kept, and its whole tree is ended."""

from __future__ import annotations

import signal
import socket
import subprocess
from pathlib import Path

import psutil

from mmload.errors import ServerError
from mmload.tether import tethered

_DRAIN_S = 10.0
_OWN_WORDS = ("mmload's ", "mmload.errors.")  # of the overlay and its hooks, in a server that is not ours


class StartedServer:
    """A server's process, in a session of its own so that Ctrl-C reaches mmload alone."""

    def __init__(self, command: list[str], log: Path) -> None:
        self._log = log
        with log.open("wb") as output:
            self._process = subprocess.Popen(
                tethered(command),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative: the signal that ended it."""
        return self._process.poll()

    def last_words(self, lines: int = 5) -> str:
        """Why it ended: what our own code in it said, else the end of its log."""
        said = self._log.read_text(encoding="utf-8", errors="replace").rstrip().splitlines()
        own = [line for line in said if line.startswith(_OWN_WORDS)]
        return own[-1] if own else "\n".join(said[-lines:])

    def refuse_dead(self) -> None:
        """Raise ServerError if it has ended, with its last words."""
        if self.exit_code is not None:
            raise ServerError(
                f"the server ended with exit code {self.exit_code}: {self.last_words() or 'it said nothing'}",
                f"its whole log is {self._log}",
            )

    def stop(self) -> None:
        """SIGTERM and time to drain, then SIGKILL to whatever is left of its tree."""
        tree = _descendants(self.pid)
        if self.exit_code is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(_DRAIN_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        _, alive = psutil.wait_procs(tree, timeout=2.0)
        for process in alive:
            process.kill()
        psutil.wait_procs(alive, timeout=2.0)


def free_port() -> int:
    """A loopback port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _descendants(pid: int) -> list[psutil.Process]:
    try:
        found: list[psutil.Process] = psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []
    return found
