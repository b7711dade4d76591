"""A server that mmload started: it dies with mmload, its output is kept, and its whole tree is ended."""

from __future__ import annotations

import random
import signal
import socket
import subprocess
from contextlib import suppress
from pathlib import Path

import psutil

from mmload.errors import ServerDied, ServerError
from mmload.tether import tethered

_DRAIN_S = 10.0
_PORTS = range(20_000, 32_000)  # below Linux's ip_local_port_range
# Of the overlay and its hooks in a server that is not ours; of the stand-in, which tells which rank it lost.
_OWN_WORDS = ("mmload's ", "mmload.errors.", "error: Scheduler rank ")


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

    def refuse_dead(self, within_s: float = 0.0) -> None:
        """Raise ServerDied if it has ended, or does so within that time, with its last words."""
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(within_s)
        if self.exit_code is not None:
            raise ServerDied(
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
    """A loopback port that nobody listens on at this moment. It is not one of those that the kernel gives to whoever
    asks for any: SGLang binds its port only when it has loaded its model."""
    for port in random.sample(_PORTS, len(_PORTS)):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise ServerError("no port is free", "choose one with --port")


def _descendants(pid: int) -> list[psutil.Process]:
    try:
        found: list[psutil.Process] = psutil.Process(pid).children(recursive=True)
    except psutil.NoSuchProcess:
        return []
    return found
