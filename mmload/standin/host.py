"""The stand-in's side of the handoff interface: what a strategy may ask of a rank or of the tokenizer process."""

from __future__ import annotations

from typing import Any

import numpy as np

from mmload.handoff.counters import Counters
from mmload.standin.collective import Collective
from mmload.standin.inputs import MultimodalInputs, from_dict
from mmload.standin.pickles import pickle_object, unpickle_object

_OBJECT = b"o"  # the tag of a strategy's own broadcasts


class TokenizerHost:
    """A strategy's host in the tokenizer process, which takes part in no collective."""

    def __init__(self, counters: Counters) -> None:
        self.rank: int | None = None
        self.size = 0
        self.is_entry = False
        self.counters = counters

    def build(self, raw: Any) -> MultimodalInputs:
        return from_dict(raw, self.counters)

    def broadcast_object(self, obj: Any) -> Any:  # noqa: ARG002 - the interface's
        raise RuntimeError("the tokenizer takes part in no broadcast")


class RankHost:
    """A strategy's host in a rank."""

    def __init__(self, rank: int, size: int, collective: Collective, counters: Counters) -> None:
        self.rank: int | None = rank
        self.size = size
        self.is_entry = rank == 0
        self.collective = collective
        self.counters = counters

    def build(self, raw: Any) -> MultimodalInputs:
        return from_dict(raw, self.counters)

    def broadcast_object(self, obj: Any) -> Any:
        """As torch's `broadcast_object_list`: size, then pickled bytes. Raises PeerLost or OutOfStep."""
        self.counters.add("broadcasts")
        if not self.is_entry:
            with self.counters.timed("broadcast"):
                size = self.collective.broadcast_size(_OBJECT)
            return self.receive_object(_OBJECT, size)
        self.send_object(_OBJECT, obj)
        return obj

    def send_object(self, tag: bytes, obj: Any) -> None:
        """Rank 0: the size and the pickled bytes to all ranks."""
        data = pickle_object(obj, self.counters)
        with self.counters.timed("broadcast"):
            self.collective.broadcast_size(tag, len(data))
            self.collective.broadcast(tag, data)
        self.counters.add("broadcast_bytes", len(data))

    def receive_object(self, tag: bytes, size: int) -> Any:
        """Another rank: the object whose size came before."""
        data = np.empty(size, np.uint8).data  # a bytearray would be written twice: with zeros first
        with self.counters.timed("broadcast"):
            self.collective.broadcast(tag, data)
        return unpickle_object(data, self.counters)
