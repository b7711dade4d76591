"""The interface between a patch variant and the server that hosts it.

A request with images travels tokenizer -> entry rank -> every rank. A *strategy* decides who builds the inputs object
(`Host.build`: construction and hash, SGLang's `MultimodalInputs.from_dict`) and what travels when. It knows nothing
of its host: the stand-in's processes and, through an overlay, SGLang's own call the same five methods.

    tokenizer process    payload = strategy.at_tokenizer(raw)         once a request, from several threads at once
    every rank           strategy.on_receive(requests)                once a receive batch
    every rank           inputs = strategy.materialise(request)       once a request, in arrival order
    every rank           strategy.on_abort(rid) / strategy.close()
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from mmload.handoff.counters import Counters


class BuildFailed(ValueError):
    """The features of one request can't be built: that request fails, on every rank, and no other."""


class Request(Protocol):
    """What a strategy sees of a request. mm_inputs: whatever `at_tokenizer` returned (None for a text request)."""

    rid: str
    mm_inputs: Any


class Host(Protocol):
    """What a strategy may ask of the process it runs in. The tokenizer is a host with rank None and size 0."""

    rank: int | None
    size: int
    is_entry: bool
    counters: Counters

    def build(self, raw: Any) -> Any:
        """The inputs object from the raw dict of features: construction and hash. Raises on malformed features."""

    def broadcast_object(self, obj: Any) -> Any:
        """Send the entry rank's object to all ranks and return it on each; blocks until every rank takes part."""


class Strategy:
    """A patch variant. The defaults are those of `original`: the raw dict travels and every rank builds."""

    name = ""

    def __init__(self, host: Host) -> None:
        self.host = host

    def at_tokenizer(self, raw: Any) -> Any:
        """What travels in place of the raw dict. An exception refuses the request."""
        return raw

    def on_receive(self, requests: Sequence[Request]) -> None:
        """Called on every rank with the same requests, in the same order, before any of them is materialised."""

    def materialise(self, request: Request) -> Any:
        """The inputs object of a request with media. An exception fails this request alone; a strategy that makes
        ranks wait for one another must let it reach all of them."""
        return self.host.build(request.mm_inputs)

    def on_abort(self, rid: str) -> None:
        """The request `rid` ended before its time: forget what is held for it."""

    def close(self) -> None:
        """The process ends."""
