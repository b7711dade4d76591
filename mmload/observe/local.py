"""The observer of this host's own processes."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from mmload.discover import ServerProcess, discover, find_listener, from_pids, read_stat
from mmload.errors import ServerError
from mmload.model.plan import ProfilePlan
from mmload.observe.cpu import ProcessSampler
from mmload.observe.kernel import kernel_word
from mmload.observe.observer import KernelWord
from mmload.observe.stacks import Profiler, dump_all
from mmload.observe.stamped import StampedProfiler
from mmload.store.layout import RunLayout


class LocalObserver:
    """Looks at `pids` alone, else at `root` and all below it, else at what listens on `port` and all below that; at
    nothing where none is given."""

    def __init__(self, *, pids: Iterable[int] = (), root: int | None = None, port: int | None = None) -> None:
        self._pids = tuple(pids)
        self._port = port
        self._first: dict[int, int] = {}
        self._root: tuple[int, int] | None = None if root is None else identity(root)

    def find(self) -> list[ServerProcess]:
        if self._pids:
            return self._named()
        if self._root is None and self._port is not None:
            self._root = identity(find_listener(self._port))
        if self._root is None or identity(self._root[0]) != self._root:
            return []
        return discover(self._root[0])

    def _named(self) -> list[ServerProcess]:
        """Raises ServerError for a pid that is gone, also one that another process has taken over since."""
        found = from_pids(self._pids)
        now = {process.pid: process.start_ticks for process in found}
        self._first = self._first or now
        for pid, start_ticks in now.items():
            if self._first[pid] != start_ticks:
                raise ServerError(f"the process with the pid {pid} has ended, and another has its pid")
        return found

    def states(self, processes: Iterable[ServerProcess]) -> dict[str, KernelWord]:
        return {process.name: word for process in processes if (word := kernel_word(process))}

    def sampler(self, processes: Iterable[ServerProcess], layout: RunLayout) -> ProcessSampler:
        return ProcessSampler(processes, layout.processes, layout.host)

    def profiler(self, processes: Iterable[ServerProcess], layout: RunLayout, plan: ProfilePlan) -> Profiler:
        return Profiler(processes, layout, plan)

    def stamper(self, processes: Iterable[ServerProcess], layout: RunLayout, plan: ProfilePlan) -> StampedProfiler:
        return StampedProfiler(processes, layout, plan)

    def dump(self, processes: Iterable[ServerProcess], folder: Path, timeout_s: float = 10.0) -> list[str]:
        return dump_all(processes, folder, timeout_s)

    def agent(self) -> None:
        """There is none."""


def identity(pid: int) -> tuple[int, int] | None:
    """(pid, start_ticks): a pid alone may be used again. None when it is gone."""
    stat = read_stat(pid)
    return (pid, stat.start_ticks) if stat else None
