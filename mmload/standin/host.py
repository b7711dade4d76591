"""The stand-in's side of the handoff interface: what a strategy may ask of a rank or of the tokenizer process."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from mmload.handoff.counters import Counters
from mmload.handoff.strategy import BuildFailed
from mmload.standin.collective import Collective
from mmload.standin.inputs import MultimodalInputs, from_dict
from mmload.standin.pickles import pickle_apart, pickle_object, unpickle_joined, unpickle_object

_OBJECT = b"o"  # the tag of a strategy's own broadcasts


class TokenizerHost:
    """A strategy's host in the tokenizer process, which takes part in no collective. modelled_s: as in `from_dict`."""

    def __init__(self, counters: Counters, modelled_s: float | None = None) -> None:
        self.rank: int | None = None
        self.size = 0
        self.is_entry = False
        self.counters = counters
        self._modelled_s = modelled_s

    def build(self, raw: Any) -> MultimodalInputs:
        return from_dict(raw, self.counters, self._modelled_s)

    def broadcast_object(self, obj: Any) -> Any:  # noqa: ARG002 - the interface's
        raise RuntimeError("the tokenizer takes part in no broadcast")

    def open_channel(self) -> ObjectChannel:
        raise RuntimeError("the tokenizer takes part in no broadcast")

    def dump(self, obj: Any) -> tuple[bytes, list[memoryview]]:
        return pickle_apart(obj, self.counters)

    def load(self, head: bytes, buffers: Sequence[memoryview]) -> Any:
        return unpickle_joined(head, buffers, self.counters)


class ObjectChannel:
    """Pickled objects from the entry rank to all, over one tree of sockets."""

    def __init__(self, collective: Collective, counters: Counters) -> None:
        self.collective = collective
        self.counters = counters

    def broadcast_object(self, obj: Any) -> Any:
        """As torch's `broadcast_object_list`: size, then pickled bytes. Raises PeerLost or OutOfStep."""
        self.counters.add("broadcasts")
        if not self.collective.is_root:
            with self.counters.timed("broadcast"):
                size = self.collective.broadcast_size(_OBJECT)
            return self.receive_object(_OBJECT, size)
        try:
            data = pickle_object(obj, self.counters)
        except Exception as error:  # noqa: BLE001 - the others are waiting, and must hear of it
            obj = BuildFailed(f"the inputs can't be sent: {error}")
            data = pickle_object(obj, self.counters)
        self._send(_OBJECT, data)
        return obj

    def send_object(self, tag: bytes, obj: Any) -> None:
        """Rank 0: the size and the pickled bytes to all ranks."""
        self._send(tag, pickle_object(obj, self.counters))

    def receive_object(self, tag: bytes, size: int) -> Any:
        """Another rank: the object whose size came before."""
        data = np.empty(size, np.uint8).data  # a bytearray would be written twice: with zeros first
        with self.counters.timed("broadcast"):
            self.collective.broadcast(tag, data)
        return unpickle_object(data, self.counters)

    def close(self) -> None:
        """From any thread; whoever waits in it, here or on another rank, gets PeerLost."""
        self.collective.shut_down()

    def _send(self, tag: bytes, data: bytes) -> None:
        with self.counters.timed("broadcast"):
            self.collective.broadcast_size(tag, len(data))
            self.collective.broadcast(tag, data)
        self.counters.add("broadcast_bytes", len(data))


class RankHost(ObjectChannel):
    """A strategy's host in a rank. second: the tree for a background thread's broadcasts. modelled_s: as in
    `from_dict`."""

    def __init__(
        self,
        rank: int,
        size: int,
        collective: Collective,
        second: Collective,
        counters: Counters,
        modelled_s: float | None = None,
    ) -> None:
        super().__init__(collective, counters)
        self.rank: int | None = rank
        self.size = size
        self.is_entry = rank == 0
        self._second = second
        self._second_is_open = False
        self._modelled_s = modelled_s

    def build(self, raw: Any) -> MultimodalInputs:
        return from_dict(raw, self.counters, self._modelled_s)

    def open_channel(self) -> ObjectChannel:
        """Raises RuntimeError the second time."""
        if self._second_is_open:
            raise RuntimeError("a rank has one channel for its background thread, and it is open")
        self._second_is_open = True
        return ObjectChannel(self._second, self.counters)

    def strategy_is_made(self) -> None:
        """A rank that didn't open the second channel never will: others that did must not wait for it."""
        if not self._second_is_open:
            self._second.shut_down()

    def dump(self, obj: Any) -> tuple[bytes, list[memoryview]]:
        return pickle_apart(obj, self.counters)

    def load(self, head: bytes, buffers: Sequence[memoryview]) -> Any:
        return unpickle_joined(head, buffers, self.counters)
