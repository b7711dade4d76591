"""What looks at the server's processes of one host: here (local.py), or by an agent of another host (remote.py).

A run asks for nothing but this interface, so what it finds lands in the same files of its folder, on the driver's
clock, wherever the processes are. What generates the load is always sampled on the driver's own host.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

import msgspec

from mmload.discover import ServerProcess
from mmload.errors import MmloadError
from mmload.model.manifest import AgentInfo, ProfileInfo, StampedInfo
from mmload.model.plan import ProfilePlan
from mmload.store.layout import RunLayout


class KernelWord(msgspec.Struct, frozen=True, kw_only=True):
    """What the kernel says of a process now. state: the letter of /proc/PID/stat (R runs, S sleeps, D waits and can't
    be woken, T stopped, t stopped by a tracer that is not this program's). waits_in: the kernel function that its main
    thread sleeps in; empty where it runs or the kernel does not say. ran_ns: how long its main thread has run so far;
    None where the kernel does not count that."""

    state: str
    waits_in: str = ""
    ran_ns: int | None = None


class Sampler(Protocol):
    """Writes samples of processes and of their host from `start` to `stop`. `failed`: why it ended before, else None;
    `stop` raises it. `cpu_s`: what the sampling has cost so far, on the host where it is done."""

    failed: MmloadError | OSError | None
    cpu_s: float

    def start(self) -> None:
        """Raises FolderError when the files can't be opened, ServerError when an agent refuses."""

    def stop(self) -> None: ...

    def lost(self) -> list[ServerProcess]:
        """The processes that ended since the start."""
        ...

    def latest_cpu_pct(self) -> dict[str, float]:
        """Percent of one core over the last second, by process name."""
        ...


class StackProfiler(Protocol):
    """Takes the stacks of processes from `start` to `stop`, and writes them into the run folder after each segment."""

    warnings: list[str]

    @property
    def settled(self) -> bool:
        """Every process is sampled, or can't be."""
        ...

    def start(self) -> None: ...

    def wait_until_sampling(self, timeout_s: float) -> bool:
        """Wait until every process is sampled or can't be. False when none is, or not all have come so far."""
        ...

    def stop(self) -> ProfileInfo:
        """Say how good what there is is. Raises FolderError when it can't be written."""
        ...


class Stamper(Protocol):
    """Takes the stacks of processes with their times from `start` to `stop`, both to be called in a thread that lives
    as long as the program, and writes them into the run folder at the end."""

    warnings: list[str]

    def start(self) -> None: ...

    def stop(self) -> StampedInfo:
        """Write what there is; what is absent, and why, is said. Raises FolderError when it can't be written."""
        ...


class Observer(Protocol):
    """The server's processes on one host. Every method is bounded in time."""

    def find(self) -> list[ServerProcess]:
        """The processes now, the oldest first; empty when there are none to be seen from here. Raises ServerError."""
        ...

    def states(self, processes: Iterable[ServerProcess]) -> dict[str, KernelWord]:
        """What the kernel says of each, by name; those that are gone are left out."""
        ...

    def sampler(self, processes: Iterable[ServerProcess], layout: RunLayout) -> Sampler:
        """Of processes that `find` found; not yet started."""
        ...

    def profiler(self, processes: Iterable[ServerProcess], layout: RunLayout, plan: ProfilePlan) -> StackProfiler:
        """The same. Profile what is worth it: observe.stacks.worth_profiling."""
        ...

    def stamper(self, processes: Iterable[ServerProcess], layout: RunLayout, plan: ProfilePlan) -> Stamper:
        """The same. Not beside a profiler: each would disturb the other."""
        ...

    def dump(self, processes: Iterable[ServerProcess], folder: Path, timeout_s: float = 10.0) -> list[str]:
        """The stacks of every thread of each process, now, into `folder/<process>.txt`. Returns a sentence for each
        that could not be dumped in time. Raises FolderError."""
        ...

    def agent(self) -> AgentInfo | None:
        """Who looks at another host, and how well its clock is known by now; None where this process does."""
        ...
