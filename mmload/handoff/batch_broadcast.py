"""`batch-broadcast`: improved_batch_broadcast.patch. The entry rank builds all requests of a receive batch and sends
them in one broadcast. `dynamic-batch` (future work 1 of the notes) does so only where many came together.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmload.handoff.ready import MOST_REQUESTS, Ready, first_of_each
from mmload.handoff.strategy import BuildFailed, Host, Request, build_or_failure

FEWEST_TOGETHER = 5  # future work 1 of the design notes


class BatchBroadcast(Ready):
    """N builds, and one broadcast for each receive batch, in which every rank waits for the whole batch to be built."""

    name = "batch-broadcast"

    def on_receive(self, requests: Sequence[Request]) -> None:
        if self.host.size == 1:
            return
        raws = first_of_each(requests)
        received = self.host.broadcast_object(self.build_all(raws) if self.host.is_entry else None)
        for rid in raws:
            self.put(rid, outcome_in(received, rid))

    def build_all(self, raws: Mapping[str, Any]) -> dict[str, Any]:
        """rid -> inputs or BuildFailed, from rid -> raw."""
        return {rid: build_or_failure(self.host, raw) for rid, raw in raws.items()}


class DynamicBatch(BatchBroadcast):
    """As `batch-broadcast` when at least `fewest` requests with media came together, else as `original`."""

    name = "dynamic-batch"

    def __init__(self, host: Host, entries: int = MOST_REQUESTS, fewest: int = FEWEST_TOGETHER) -> None:
        super().__init__(host, entries)
        self._fewest = fewest

    def on_receive(self, requests: Sequence[Request]) -> None:
        if len(requests) >= self._fewest:
            super().on_receive(requests)
        elif self.host.size > 1:
            for rid in first_of_each(requests):
                self.put(rid, _Alone)

    def materialise(self, request: Request) -> Any:
        if self._ready.get(request.rid) is _Alone:
            del self._ready[request.rid]
            return self.host.build(request.mm_inputs)
        return super().materialise(request)


class _Alone:
    """In place of inputs: too few came together, each rank builds for itself."""


def outcome_in(received: Any, rid: str) -> Any:
    """One request's part of what `build_all` made, once it has come. Where it couldn't be pickled, why not."""
    return received if isinstance(received, BuildFailed) else received[rid]
