"""`async-broadcast` (solution 1 of the design notes as described) and `async-batch` (future work 2): the entry rank
builds and sends from a background thread, and whoever needs the inputs waits on a Future.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any

from mmload.handoff.background import BackgroundBroadcast, wait_for_broadcast
from mmload.handoff.batch_broadcast import BatchBroadcast, outcome_in
from mmload.handoff.ready import MOST_REQUESTS, Ready, first_of_each
from mmload.handoff.strategy import Host, Request, build_or_failure


class AsyncBroadcast(Ready):
    """N builds and N broadcasts, beside the main threads: a request is scheduled while the next is being sent."""

    name = "async-broadcast"

    def __init__(self, host: Host, entries: int = MOST_REQUESTS) -> None:
        super().__init__(host, entries)
        self._background = BackgroundBroadcast(host) if host.size > 1 else None

    def on_receive(self, requests: Sequence[Request]) -> None:
        if self._background is not None:
            for rid, raw in first_of_each(requests).items():
                self.put(rid, self._background.send(partial(build_or_failure, self.host, raw)))

    def outcome_of(self, rid: str, ready: Future[Any]) -> Any:  # noqa: ARG002 - the batch's has more than one
        return wait_for_broadcast(ready, self.host.counters)

    def discard(self, ready: Future[Any]) -> None:
        ready.cancel()

    def close(self) -> None:
        super().close()
        if self._background is not None:
            self._background.close()


class AsyncBatch(BatchBroadcast):
    """`batch-broadcast`, beside the main threads: the first request of a batch still waits for the whole of it."""

    name = "async-batch"

    def __init__(self, host: Host, entries: int = MOST_REQUESTS) -> None:
        super().__init__(host, entries)
        self._background = BackgroundBroadcast(host) if host.size > 1 else None

    def on_receive(self, requests: Sequence[Request]) -> None:
        if self._background is not None:
            raws = first_of_each(requests)
            sent = self._background.send(partial(self.build_all, raws))
            for rid in raws:
                self.put(rid, sent)

    def outcome_of(self, rid: str, ready: Future[Any]) -> Any:
        return outcome_in(wait_for_broadcast(ready, self.host.counters), rid)

    def close(self) -> None:
        super().close()
        if self._background is not None:
            self._background.close()
