"""Variants with a fault of known size, which the stand-in runs by `--variant mmload.selftest.plants:CLASS`.

Each hands over as `original` does but for its fault. They run inside the stand-in's processes.
"""

from __future__ import annotations

import hashlib
import itertools
import time
from typing import Any

import numpy as np

from mmload.handoff.original import Original
from mmload.handoff.strategy import HandoffFailed, Host, Request

TAIL_SHARE = 0.03
TAIL_DELAY_S, SLOW_TAIL_DELAY_S = 0.50, 0.55
ERRORS_EVERY = 500
LEAK_BYTES = 20_000
LEAKING_RANK = SLOW_RANK = LOST_RANK = LYING_RANK = STALLING_RANK = 1
SLOW_RANK_CPU_S = 0.015
STALL_EVERY, STALL_S = 40, 0.4
WRONG_OUTPUTS = (2, 5)  # places in the identity phase, from 0
SLOW_FIRST, SLOW_FIRST_DELAY_S = 50, 0.5


class Tail(Original):
    """A fixed share of the items takes longer, so that P99 is known: the same items in every run."""

    name = "planted-tail"
    delay_s = TAIL_DELAY_S

    def at_tokenizer(self, raw: Any) -> Any:
        if is_in_tail(raw):
            time.sleep(self.delay_s)
        return super().at_tokenizer(raw)


class SlowTail(Tail):
    """The same items take longer still."""

    name = "planted-slow-tail"
    delay_s = SLOW_TAIL_DELAY_S


def is_in_tail(raw: Any) -> bool:
    """Whether an item belongs to the slow share: decided by its features."""
    digest = hashlib.blake2b(np.ascontiguousarray(raw["mm_items"][0]["feature"]).data, digest_size=8).digest()
    return int.from_bytes(digest, "big") < TAIL_SHARE * 2**64


class Errors(Original):
    """Every 500th request with media is refused."""

    name = "planted-errors"

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        self._number = itertools.count(1)

    def at_tokenizer(self, raw: Any) -> Any:
        if next(self._number) % ERRORS_EVERY == 0:
            raise HandoffFailed("a planted error")
        return super().at_tokenizer(raw)


class Leak(Original):
    """One rank keeps memory for each request."""

    name = "planted-leak"

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        self.kept: list[bytes] = []

    def materialise(self, request: Request) -> Any:
        if self.host.rank == LEAKING_RANK:
            self.kept.append(b"x" * LEAK_BYTES)
        return super().materialise(request)


class SlowRank(Original):
    """One rank burns CPU for each request, and its peers don't."""

    name = "planted-slow-rank"

    def materialise(self, request: Request) -> Any:
        if self.host.rank == SLOW_RANK:
            _burn(SLOW_RANK_CPU_S)
        return super().materialise(request)


class Stall(Original):
    """One rank stands still at every 40th request with media, and all that are under way wait for it."""

    name = "planted-stall"

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        self._number = itertools.count(1)

    def materialise(self, request: Request) -> Any:
        if self.host.rank == STALLING_RANK and next(self._number) % STALL_EVERY == 0:
            _stand_still()
        return super().materialise(request)


class WrongOutput(Original):
    """Two of the first requests get inputs that are not theirs."""

    name = "planted-wrong-output"

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        self._place = itertools.count()

    def materialise(self, request: Request) -> Any:
        inputs = super().materialise(request)
        if next(self._place) in WRONG_OUTPUTS:
            inputs.mm_items.clear()
        return inputs


class SlowStart(Original):
    """The first requests are slow, as those of a server that still compiles; it is over within the warm-up."""

    name = "planted-slow-start"

    def __init__(self, host: Host) -> None:
        super().__init__(host)
        self._number = itertools.count()

    def at_tokenizer(self, raw: Any) -> Any:
        if next(self._number) < SLOW_FIRST:
            time.sleep(SLOW_FIRST_DELAY_S)
        return super().at_tokenizer(raw)


def _stand_still() -> None:
    time.sleep(STALL_S)


def _burn(cpu_s: float) -> None:
    """Burn this much CPU time of the calling thread, however long that takes."""
    end_ns = time.thread_time_ns() + round(cpu_s * 1e9)
    while time.thread_time_ns() < end_ns:
        pass
