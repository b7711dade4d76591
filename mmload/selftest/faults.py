"""What is done to the processes of a run from outside while it goes: signals at moments of its measure window.

A fault looks at every turn of the run's own loop, through the hook of its display: it needs no thread and no clock.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from mmload.model.live import LiveView
from mmload.selftest.plants import LOST_RANK
from mmload.store.read import Run

Victims = Callable[[Run], list[int]]


class Blow(NamedTuple):
    """A signal, so many seconds into the measure window."""

    after_s: float
    signal: signal.Signals


class Fault(NamedTuple):
    """Whom it hits, and when."""

    victims: Victims
    blows: tuple[Blow, ...]


def lost_rank(run: Run) -> list[int]:
    return [rank.pid for rank in run.manifest.ranks if rank.rank == LOST_RANK]


def generator(run: Run) -> list[int]:
    return _sampled(run, "generator")


def server(run: Run) -> list[int]:
    """The front end and the ranks."""
    return _sampled(run, "tokenizer", "scheduler")


def _sampled(run: Run, *roles: str) -> list[int]:
    return sorted({sample.pid for sample in run.processes if sample.role in roles})


KILL_RANK = Fault(lost_rank, (Blow(1.0, signal.SIGKILL),))
STOP_GENERATOR = Fault(generator, (Blow(1.0, signal.SIGSTOP), Blow(2.0, signal.SIGCONT)))
FREEZE_SERVER = Fault(server, (Blow(2.0, signal.SIGSTOP), Blow(4.0, signal.SIGCONT)))


class Striker:
    """Carries out one fault on the run that is being made in `out`. struck_ns: when each blow fell, on the driver's
    CLOCK_MONOTONIC; one that found nobody did not."""

    def __init__(self, fault: Fault | None, out: Path) -> None:
        self._fault = fault
        self._out = out
        self._before = set(_folders(out))
        self._victims: list[int] = []
        self.struck_ns: list[int] = []

    def look(self, view: LiveView) -> None:
        """One turn of the run."""
        if self._fault is None or view.stage not in ("measure", "drain"):
            return
        for blow in self._fault.blows[len(self.struck_ns) :]:
            if view.stage == "measure" and view.stage_elapsed_s < blow.after_s:
                return
            self._victims = self._victims or self._fault.victims(self._run())
            if not self._victims:
                return
            self._strike(blow.signal)
            self.struck_ns.append(time.monotonic_ns())

    def release(self) -> None:
        """Whatever ended the run: nothing stays stopped."""
        if self._fault and self.struck_ns and self._fault.blows[len(self.struck_ns) - 1].signal == signal.SIGSTOP:
            self._strike(signal.SIGCONT)

    def _run(self) -> Run:
        (folder,) = [folder for folder in _folders(self._out) if folder not in self._before]
        return Run(folder)

    def _strike(self, number: signal.Signals) -> None:
        for pid in self._victims:
            with suppress(ProcessLookupError):
                os.kill(pid, number)


def _folders(out: Path) -> list[Path]:
    return [path.parent for path in out.glob("*/manifest.json")]
