"""Starting the rank processes, wired to one another, and noticing the end of any of them."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from mmload.standin.collective import parent_of
from mmload.standin.config import DeviceModel
from mmload.standin.rank_process import RankSpec, TreeFds


class Ranks:
    """The rank processes. Nothing of theirs lies in the file system: their sockets are inherited.

    variants: of each rank, in order. folder: holds the ZMQ sockets and the counters until all ranks are up.
    modelled_s: how long a build takes, asleep; None: it is done. gloo: they broadcast by gloo, not over their sockets.
    """

    def __init__(
        self,
        variants: list[str],
        folder: Path,
        device: DeviceModel,
        poll_on_idle: bool,
        modelled_s: float | None = None,
        gloo: bool = False,
    ) -> None:
        self.requests_address = f"ipc://{folder}/requests"
        self.replies_address = f"ipc://{folder}/replies"
        self.counters_path = folder / "counters"
        self._gloo_store = str(folder / "gloo") if gloo else None
        self._variants = variants
        self._device = device
        self._poll_on_idle = poll_on_idle
        self._modelled_s = modelled_s
        self._processes: list[subprocess.Popen[bytes]] = []
        self._lifelines: list[int] = []

    def start(self) -> None:
        """Start all, from the main thread: the kernel ends a rank when the thread that started it ends."""
        size = len(self._variants)
        trees = [{rank: socket.socketpair() for rank in range(1, size)} for _ in range(2)]
        for rank in range(size):
            spec = RankSpec(
                rank=rank,
                size=size,
                variant=self._variants[rank],
                requests_address=self.requests_address,
                replies_address=self.replies_address,
                counters_path=str(self.counters_path),
                parent_pid=os.getpid(),
                tree=_fds(trees[0], rank),
                second_tree=_fds(trees[1], rank),
                poll_on_idle=self._poll_on_idle,
                device=self._device,
                modelled_s=self._modelled_s,
                gloo_store=self._gloo_store,
            )
            self._start_one(spec)
        for ends in (*trees[0].values(), *trees[1].values()):
            for end in ends:
                end.close()

    def watch(self, on_end: Callable[[str], None]) -> None:
        """Call `on_end` with a sentence when a rank has ended, for each."""
        loop = asyncio.get_running_loop()
        for rank, lifeline in enumerate(self._lifelines):
            loop.add_reader(lifeline, self._ended, rank, on_end)

    def unwatch(self) -> None:
        loop = asyncio.get_running_loop()
        for lifeline in self._lifelines:
            loop.remove_reader(lifeline)

    def kill(self) -> None:
        """End all at once: what is left of a group that lost a rank waits for it and hears nothing."""
        for process in self._processes:
            process.kill()

    def stop(self, grace_s: float) -> None:
        """Wait for ranks that were told to end; kill those that have not within `grace_s` seconds."""
        deadline_s = time.monotonic() + grace_s
        for process in self._processes:
            try:
                process.wait(max(0.0, deadline_s - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def _start_one(self, spec: RankSpec) -> None:
        lifeline, held_by_rank = os.pipe()  # closed by the kernel when the rank ends, however it does
        inherited = [held_by_rank, *spec.tree.all(), *spec.second_tree.all()]
        command = [sys.executable, "-m", "mmload.standin.rank_process", msgspec.json.encode(spec).decode()]
        environment = os.environ | {"OPENBLAS_NUM_THREADS": "1"}  # no linear algebra there: spare its threads
        self._processes.append(subprocess.Popen(command, pass_fds=inherited, env=environment))
        os.close(held_by_rank)
        self._lifelines.append(lifeline)

    def _ended(self, rank: int, on_end: Callable[[str], None]) -> None:
        asyncio.get_running_loop().remove_reader(self._lifelines[rank])
        process = self._processes[rank]
        code = process.wait()
        how = f"killed by signal {-code}" if code < 0 else f"exit code {code}"
        on_end(f"Scheduler rank {rank} (pid {process.pid}) ended: {how}.")


def _fds(edges: Mapping[int, tuple[socket.socket, socket.socket]], rank: int) -> TreeFds:
    """edges: rank -> (its parent's end, its own end)."""
    own = edges[rank][1].fileno() if rank else None
    return TreeFds(own, {child: ends[0].fileno() for child, ends in edges.items() if parent_of(child) == rank})
