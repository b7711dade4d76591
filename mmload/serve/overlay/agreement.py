"""Whether all ranks fail on the same request, asked only when one does.

A request that fails on one rank and goes on upon another would leave the ranks in different forward passes: they would
hang, and nobody would know why. So a rank that can't make the inputs writes that down where all ranks look, and waits
until each of them wrote the same. Where nothing fails it costs nothing.
"""

from __future__ import annotations

import time
import zlib
from pathlib import Path

import numpy as np

from mmload.errors import ServerDied

# A rank posts its next failure only when all posted this one, so no rank is more than one ahead of another.
_SLOTS = 2


class FailureBoard:
    """A row of slots for each rank in a file that all of them map. patience_s: the other ranks come to the same request
    within the same receive batch, but may have large inputs to build before it."""

    def __init__(self, path: Path, rank: int, patience_s: float = 30.0) -> None:
        self._posted = np.memmap(path, dtype=np.uint64, mode="r+").reshape(-1, _SLOTS)
        self._rank = rank
        self._patience_s = patience_s
        self._failures = 0

    @staticmethod
    def create(path: Path, tp: int) -> None:
        path.write_bytes(bytes(8 * _SLOTS * tp))

    def agree(self, rid: str) -> None:
        """Return when every rank fails on the request `rid`; raise ServerDied when one does not."""
        self._failures += 1
        slot = self._failures % _SLOTS
        mine = np.uint64(self._failures << 32 | zlib.crc32(rid.encode()))
        self._posted[self._rank, slot] = mine
        deadline = time.monotonic() + self._patience_s
        while not (self._posted[:, slot] == mine).all():
            if time.monotonic() > deadline:
                others = np.flatnonzero(self._posted[:, slot] != mine).tolist()
                raise ServerDied(
                    f"rank {self._rank} can't make the inputs of request {rid}, and rank "
                    f"{', '.join(map(str, others))} can: they would hang in their next forward pass"
                )
            time.sleep(0.001)
