"""The interface between a patch variant and the server that hosts it.

A request with images travels tokenizer -> entry rank -> every rank. A *strategy* decides who builds the inputs object
(`Host.build`: construction and hash, SGLang's `MultimodalInputs.from_dict`) and what travels when. It knows nothing
of its host: the stand-in's processes and, through an overlay, SGLang's own call the same six methods.

    tokenizer process    payload = strategy.at_tokenizer(raw)         once a request, from several threads at once
                         strategy.withdraw(payload)                   where the request does not leave after all
    every rank           strategy.on_receive(requests)                once a receive batch
    every rank           inputs = strategy.materialise(request)       once a request, in arrival order
    every rank           strategy.on_abort(rid)
    every process        strategy.close()
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from mmload.handoff.counters import Counters


class BuildFailed(ValueError):
    """The features of one request can't be built: that request fails, on every rank, and no other."""


class HandoffFailed(RuntimeError):
    """The server can't hand one request over, though nothing is wrong with it: that request fails and no other."""


class Request(Protocol):
    """What a strategy sees of a request. mm_inputs: whatever `at_tokenizer` returned (None for a text request)."""

    rid: str
    mm_inputs: Any


class Channel(Protocol):
    """A way to broadcast, for one thread of each rank."""

    def broadcast_object(self, obj: Any) -> Any:
        """Send the entry rank's object to all ranks and return it on each; blocks until every rank takes part.

        An object that can't be pickled arrives as a BuildFailed that says so, on the entry rank too: an entry rank
        that raised instead would leave its peers waiting. Raises only where the ranks can't broadcast any more."""

    def close(self) -> None:
        """End it, from any thread: what waits in it raises, here and on the other ranks, as soon as the transport
        lets it."""


class Host(Protocol):
    """What a strategy may ask of the process it runs in. The tokenizer is a host with rank None and size 0."""

    rank: int | None
    size: int
    is_entry: bool
    counters: Counters

    def build(self, raw: Any) -> Any:
        """The inputs object from the raw dict of features: construction and hash. Raises on malformed features."""

    def broadcast_object(self, obj: Any) -> Any:
        """As `Channel.broadcast_object`, on the thread that calls the strategy and on no other: it shares its channel
        with the broadcast of received requests."""

    def open_channel(self) -> Channel:
        """A channel of its own for one background thread of each rank. Every rank opens it in its strategy's
        constructor, or none does: opening may itself take part of all of them (torch.distributed.new_group)."""

    def dump(self, obj: Any) -> tuple[bytes, list[memoryview]]:
        """A pickle without the bytes of the features, and those bytes, not copied (pickle protocol 5, out of band)."""

    def load(self, head: bytes, buffers: Sequence[memoryview]) -> Any:
        """The object of a `dump`. Its features lie in `buffers`, which may be read-only."""


class Strategy:
    """A patch variant. The defaults are those of `original`: the raw dict travels and every rank builds."""

    name = ""

    def __init__(self, host: Host) -> None:
        self.host = host

    def at_tokenizer(self, raw: Any) -> Any:
        """What travels in place of the raw dict. An exception refuses the request."""
        return raw

    def withdraw(self, payload: Any) -> None:
        """A request with this payload of `at_tokenizer` won't reach the ranks: its client left, or nobody takes it."""

    def on_receive(self, requests: Sequence[Request]) -> None:
        """Called on every rank with the same requests with media, in the same order, before any of them is
        materialised. An exception ends the rank."""

    def materialise(self, request: Request) -> Any:
        """The inputs object of a request with media. An exception fails this request alone; a strategy that makes
        ranks wait for one another must let it reach all of them."""
        return self.host.build(request.mm_inputs)

    def on_abort(self, rid: str) -> None:
        """The request `rid` ended before its time: forget what is held for it. Called on every rank at the same place
        in the order of calls."""

    def close(self) -> None:
        """The process ends."""


def build_or_failure(host: Host, raw: Any) -> Any:
    """The inputs object, or why there is none as BuildFailed: what an entry rank sends, whatever happens."""
    try:
        return host.build(raw)
    except Exception as error:  # noqa: BLE001 - whatever it is, the other ranks must hear of it
        return error if isinstance(error, BuildFailed) else BuildFailed(str(error) or type(error).__name__)
