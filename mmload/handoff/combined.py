"""`combined`: solution 3 of the design notes, and what their `AsyncMMInputsBroadcaster` code does. The raw dict is
broadcast in the background and every rank builds from it in the background.

The notes' pool of two threads broadcasts from both. Here one of the two broadcasts, in order, and the other builds.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any, NamedTuple

from mmload.handoff.background import BackgroundBroadcast, Worker, wait_for_broadcast
from mmload.handoff.ready import MOST_REQUESTS, Ready, first_of_each
from mmload.handoff.strategy import BuildFailed, Host, Request, build_or_failure


class Combined(Ready):
    """N x TP builds, side by side on all ranks and beside their main threads, and N broadcasts beside them too."""

    name = "combined"

    def __init__(self, host: Host, entries: int = MOST_REQUESTS) -> None:
        super().__init__(host, entries)
        self._background = BackgroundBroadcast(host) if host.size > 1 else None
        self._builder = Worker("mmload-build") if host.size > 1 else None

    def on_receive(self, requests: Sequence[Request]) -> None:
        if self._background is not None and self._builder is not None:
            for rid, raw in first_of_each(requests).items():
                coming = _Coming(self._background.send(partial(_itself, raw)), Future())
                self._builder.give(partial(self._build, coming))
                self.put(rid, coming)

    def outcome_of(self, rid: str, ready: _Coming) -> Any:  # noqa: ARG002 - the batch's has more than one
        outcome = wait_for_broadcast(ready.inputs, self.host.counters)
        if isinstance(outcome, BuildFailed):
            raise outcome  # from this rank's own build of the same features: another would end as this one
        return outcome

    def discard(self, ready: _Coming) -> None:
        ready.raw.cancel()
        ready.inputs.cancel()

    def close(self) -> None:
        super().close()
        if self._background is not None and self._builder is not None:
            self._background.close()
            self._builder.close()

    def _build(self, coming: _Coming) -> None:
        if not coming.inputs.set_running_or_notify_cancel():
            return
        try:
            raw = wait_for_broadcast(coming.raw, self.host.counters)
            built = raw if isinstance(raw, BuildFailed) else build_or_failure(self.host, raw)
            coming.inputs.set_result(built)
        except BaseException as error:  # noqa: BLE001 - the main thread waits: it raises this
            coming.inputs.set_exception(error)


class _Coming(NamedTuple):
    """What a request is waiting for: its dict, by broadcast, and then its inputs."""

    raw: Future[Any]
    inputs: Future[Any]


def _itself(raw: Any) -> Any:
    return raw
