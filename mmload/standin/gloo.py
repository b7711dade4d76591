"""Broadcasts between rank processes by real gloo, the library that SGLang's ranks use: for those who have torch.

What a rank does around a broadcast (pickle, unpickle, count) is the same as with the stand-in's own collective, and so
are the objects. The bytes go by another way: over TCP on the loopback interface, and through gloo's own threads, so
that a stage's thread-CPU counters don't have them; the CPU of the whole process does.
"""

from __future__ import annotations

import importlib
import os
import socket
import sys
import warnings
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

from mmload.standin.collective import Collective, PeerLost

_FOR_EVER = timedelta(days=365)  # an idle rank waits in a broadcast; gloo itself would give that up after half an hour


class GlooCollective(Collective):
    """One rank's end. A gather, which stands for the device's own collectives, goes over the sockets still.

    parent, children: as in Collective. group: one that `join_groups` made. Gloo knows no tags, so ranks that
    meet in different operations are not told; and it can't be shut down: who waits in it hears of the end of a peer's
    process.
    """

    def __init__(
        self,
        rank: int,
        parent: socket.socket | None,
        children: Mapping[int, socket.socket],
        group: Any,
    ) -> None:
        super().__init__(rank, parent, children)
        self._group = group
        self._torch: Any = importlib.import_module("torch")

    def broadcast(self, tag: bytes, buffer: bytes | bytearray | memoryview) -> None:  # noqa: ARG002 - gloo knows none
        """As Collective's; not of an empty buffer. Raises PeerLost."""
        self._broadcast(self._torch.frombuffer(buffer, dtype=self._torch.uint8))

    def broadcast_size(self, tag: bytes, size: int = 0) -> int:  # noqa: ARG002 - gloo knows none
        tensor = self._torch.tensor([size])
        self._broadcast(tensor)
        return int(tensor.item())

    def _broadcast(self, tensor: Any) -> None:
        try:
            self._torch.distributed.broadcast(tensor, src=0, group=self._group)
        except RuntimeError as error:
            raise PeerLost(f"rank {self.rank}: {error}") from error


def join_groups(rank: int, size: int, store: Path, count: int) -> list[Any]:
    """`count` groups of the same ranks, each with connections of its own. store: a file that all ranks name and nobody
    has made. Raises what torch does where it has no gloo."""
    os.dup2(2, 1)  # some releases of gloo say on standard output who is connected, and that is another's to read
    os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo" if sys.platform.startswith("linux") else "lo0")
    warnings.filterwarnings("ignore", "The given buffer is not writable")  # the entry rank's is only read
    distributed: Any = importlib.import_module("torch.distributed")
    met = distributed.FileStore(str(store), size)
    distributed.init_process_group("gloo", store=met, rank=rank, world_size=size, timeout=_FOR_EVER)
    return [distributed.new_group(backend="gloo", timeout=_FOR_EVER) for _ in range(count)]
