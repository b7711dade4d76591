"""The scheduler's side of a strategy.

`process_input_requests` calls `receive` before any request is handled, and `forget_unused` after all are. In between
the handlers of generation and embedding call `materialise`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, cast

from mmload.handoff.strategy import BuildFailed, Host, Strategy
from mmload.patches.inside.counting import Counters
from mmload.patches.inside.messages import media_field, requests_in

REPORT_EVERY = 1000  # requests with media
logger = logging.getLogger(__name__)


class Handed:
    """A request on its way through the strategy."""

    def __init__(self, rid: str, mm_inputs: Any) -> None:
        self.rid = rid
        self.mm_inputs = mm_inputs


class RankHandoff:
    """A strategy in one scheduler process, and its host.

    group: SGLang's GroupCoordinator of the ranks that receive the same requests. dist: torch.distributed. from_dict:
    MultimodalInputs.from_dict.
    """

    def __init__(self, strategy: type[Strategy], group: Any, dist: Any, from_dict: Callable[[Any], Any]) -> None:
        self.rank: int | None = group.rank_in_group
        self.size: int = group.world_size
        self.is_entry = self.rank == 0
        self.counters = Counters()
        self._group = group
        self._dist = dist
        self._from_dict = from_dict
        self._main = GroupChannel(dist, group.cpu_group, group.ranks[0], is_entry=self.is_entry)
        self._strategy = strategy(cast("Host", self))
        self._batch: dict[int, Handed] = {}
        self._handed = 0
        logger.info("multimodal inputs: %s, rank %s of %s", strategy.name, self.rank, self.size)

    def receive(self, messages: Iterable[Any]) -> None:
        """Everything of one receive batch, the same on every rank."""
        for request in requests_in(messages):
            field = media_field(request)
            if field and self.takes(media := getattr(request, field)):
                self._batch[id(request)] = Handed(request.rid, media)
        if self._batch:
            self._strategy.on_receive(list(self._batch.values()))

    def takes(self, media: Any) -> bool:  # noqa: ARG002 - for those that pack
        """Whether these are for the strategy; else they are built here."""
        return True

    def materialise(self, request: Any) -> Any:
        """The inputs of a request with media. Raises BuildFailed, on every rank, where they can't be built; what else
        it raises is not the request's fault, and ends the rank."""
        handed = self._batch.pop(id(request), None)
        if handed is None:
            return self.build(getattr(request, media_field(request) or "mm_inputs"))
        self._handed += 1
        if self._handed % REPORT_EVERY == 0:
            logger.info("multimodal inputs: %d requests, %s", self._handed, self.counters)
        return self._strategy.materialise(handed)

    def forget_unused(self) -> None:
        """What was received and refused before anybody asked for its inputs."""
        for handed in self._batch.values():
            self._strategy.on_abort(handed.rid)
        self._batch.clear()

    def build(self, raw: Any) -> Any:
        try:
            with self.counters.timed("build"):
                return self._from_dict(raw)
        except (MemoryError, OSError):  # this rank's own trouble: the others may have none
            raise
        except Exception as error:
            raise BuildFailed(f"Malformed multimodal inputs: {error!r}") from error

    def broadcast_object(self, obj: Any) -> Any:
        self.counters.add("broadcasts")
        with self.counters.timed("broadcast"):
            return self._main.broadcast_object(obj)

    def open_channel(self) -> GroupChannel:
        """A gloo group of the same ranks for a thread of its own. No other rank needs to take part in opening it."""
        ranks = list(self._group.ranks)
        group = self._dist.new_group(ranks=ranks, backend="gloo", use_local_synchronization=True)
        return GroupChannel(self._dist, group, ranks[0], is_entry=self.is_entry)


class GroupChannel:
    """Objects from the entry rank to all of a group, as torch's `broadcast_object_list` sends them."""

    def __init__(self, dist: Any, group: Any, source: int, *, is_entry: bool) -> None:
        self._dist = dist
        self._group = group
        self._source = source
        self._is_entry = is_entry
        self._closed = False

    def broadcast_object(self, obj: Any) -> Any:
        """Raises RuntimeError when a rank takes part no more."""
        if self._closed:
            raise RuntimeError("the channel is closed")
        if not self._is_entry:
            return self._send(None)
        try:
            return self._send(obj)
        except Exception as error:
            if isinstance(error, RuntimeError) and not isinstance(error, (RecursionError, NotImplementedError)):
                raise  # gloo's; those two are a pickle's
            # It can't be pickled: nothing was sent, and the others wait.
            return self._send(BuildFailed(f"The multimodal inputs can't be sent: {error!r}"))

    def close(self) -> None:
        self._closed = True
        with suppress(Exception):
            self._dist.destroy_process_group(self._group)

    def _send(self, obj: Any) -> Any:
        objects = [obj]
        self._dist.broadcast_object_list(objects, src=self._source, group=self._group)
        return objects[0]
