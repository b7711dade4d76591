"""What the variants share that get inputs ready when a batch is received and hand them out request by request."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Iterable
from typing import Any

from mmload.handoff.strategy import BuildFailed, Host, Request, Strategy

MOST_REQUESTS = 1000  # improved_batch_broadcast.patch of the design notes
_log = logging.getLogger("mmload.handoff")
_absent = object()


class Ready(Strategy):
    """The cache by rid: at most `entries` requests, the oldest dropped first.

    What enters and what leaves is decided by the calls alone, which are the same on every rank: the ranks agree on what
    is in the cache. What is not in it, or came as a failure, is built from the dict, which every rank has; a rank
    that builds where another does not makes nobody wait.
    """

    def __init__(self, host: Host, entries: int = MOST_REQUESTS) -> None:
        super().__init__(host)
        self._entries = entries
        self._ready: OrderedDict[str, Any] = OrderedDict()

    def put(self, rid: str, ready: Any) -> None:
        """Keep what `outcome_of` makes the inputs of a request from."""
        self._ready[rid] = ready
        self._ready.move_to_end(rid)
        if len(self._ready) > self._entries:
            _, dropped = self._ready.popitem(last=False)
            self.host.counters.add("cache_evictions")
            self.discard(dropped)

    def materialise(self, request: Request) -> Any:
        if self.host.size == 1:
            return self.host.build(request.mm_inputs)
        ready = self._ready.pop(request.rid, _absent)
        if ready is _absent:
            return self.build_here(request, "dropped from the cache")
        outcome = self.outcome_of(request.rid, ready)
        if isinstance(outcome, BuildFailed):
            return self.build_here(request, str(outcome))
        self.host.counters.add("cache_hits")
        return outcome

    def outcome_of(self, rid: str, ready: Any) -> Any:  # noqa: ARG002 - for those that wait
        """The inputs, or a BuildFailed to have them built here; blocks where they are still to come."""
        return ready

    def build_here(self, request: Request, why: str) -> Any:
        """The fallback: this rank builds for itself, and says so."""
        self.host.counters.add("fallbacks")
        _log.warning("%s: rank %s builds request %s from its dict: %s", self.name, self.host.rank, request.rid, why)
        return self.host.build(request.mm_inputs)

    def on_abort(self, rid: str) -> None:
        if rid in self._ready:
            self.discard(self._ready.pop(rid))

    def discard(self, ready: Any) -> None:
        """Nobody will ask for it."""

    def close(self) -> None:
        self._ready.clear()


def first_of_each(requests: Iterable[Request]) -> dict[str, Any]:
    """rid -> raw dict of a receive batch, kept here because a host may take the dict out of its request before the
    background has come to it. Of two requests with one rid the second is left to the fallback."""
    raws: dict[str, Any] = {}
    for request in requests:
        raws.setdefault(request.rid, request.mm_inputs)
    return raws
