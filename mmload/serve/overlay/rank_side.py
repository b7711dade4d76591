"""A strategy in one of SGLang's ranks, and the request that its scheduler is at.

Where no rank can make the inputs, because the features are malformed, that request alone fails. A failure of one rank
alone ends it, and with it the server: ranks that disagree about a request would hang in their next forward pass.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from mmload.errors import ServerError
from mmload.handoff.counters import CounterTable
from mmload.handoff.registry import strategy_class
from mmload.handoff.strategy import BuildFailed, Request
from mmload.serve.overlay import FOLDER_VARIABLE, VARIANT_VARIABLE
from mmload.serve.overlay.agreement import FailureBoard
from mmload.serve.overlay.envelope import opened
from mmload.serve.overlay.host import Build, Group, RankHost
from mmload.serve.overlay.stages import process


class Unmaterialised(Exception):
    """Leaves SGLang's handler where the inputs of a request would have been made."""


class RankSide:
    """The strategy, between SGLang's receipt of a request and the place where it makes the inputs.

    refusal: why the request being handled must leave with an error; None: it needn't.
    """

    def __init__(self, host: RankHost, board: FailureBoard) -> None:
        self.host = host
        self.strategy = strategy_class(os.environ[VARIANT_VARIABLE])(host)
        self.refusal: str | None = None
        self._board = board
        self._request: Request | None = None
        self._reached = False

    def receive(self, requests: Sequence[Any]) -> None:
        """requests: those with media of one receive batch."""
        if not requests:
            return
        for request in requests:
            request.mm_inputs = opened(request.mm_inputs)
        counters = self.host.counters
        counters.add("receive_batches")
        counters.add("requests", len(requests))
        with counters.on_the_clock("handler_wall_seconds"):
            self.strategy.on_receive(requests)

    def handle(self, request: Any, inner: Callable[[Any], Any]) -> Any:
        """Run SGLang's own handler `inner`. Where there are no inputs it is run again without them, and the request
        leaves with an error by SGLang's own way."""
        self._request, self._reached = request, False
        try:
            return inner(request)
        except Unmaterialised as failure:
            self.refusal = f"The multimodal inputs can't be built: {failure}"
            request.mm_inputs = None
            return inner(request)
        finally:
            if not self._reached:  # refused before that, on every rank
                self.strategy.on_abort(request.rid)
            self._request = self.refusal = None

    @property
    def is_handling(self) -> bool:
        return self._request is not None

    def make(self) -> Any:
        """The inputs of the request that is being handled."""
        assert self._request is not None
        self._reached = True
        try:
            with self.host.counters.on_the_clock("handler_wall_seconds"):
                return self.strategy.materialise(self._request)
        except BuildFailed as failure:
            self._board.agree(self._request.rid)
            raise Unmaterialised(str(failure)) from failure


class RankFolder:
    """Where the main process made room for what its ranks count and say. Raises ServerError where it made none."""

    def __init__(self) -> None:
        folder = os.environ.get(FOLDER_VARIABLE)
        if folder is None:
            raise ServerError("the overlay hosts SGLang's HTTP server only", "start it by mmload serve")
        self._folder = Path(folder)

    def side(self, rank: int, group: Group, build: Build) -> RankSide:
        """The rank's strategy. From here on this process counts."""
        counters = process.counters = CounterTable(self._folder / "counters").counters(f"scheduler_TP{rank}")
        return RankSide(RankHost(rank, group, counters, build), FailureBoard(self._folder / "failures", rank))

    def announce(self, side: RankSide) -> None:
        """Write down what this rank really runs."""
        rank, name = side.host.rank, side.strategy.name
        part = self._folder / f"rank-{rank}.part"
        part.write_text(json.dumps({"rank": rank, "variant": name, "pid": os.getpid()}))
        part.rename(self._folder / f"rank-{rank}.json")


# The hooks of SGLang's Scheduler that are the same in all versions.


def get_multimodal_inputs(inner: Any, scheduler: Any, mm_inputs: Any) -> Any:
    """Of the request that is being handled; SGLang's own of any other kind of request."""
    side: RankSide = scheduler.mmload
    return side.make() if side.is_handling else inner(scheduler, mm_inputs)


def add_request_to_queue(inner: Any, scheduler: Any, req: Any, *args: Any, **more: Any) -> Any:
    side: RankSide = scheduler.mmload
    if side.refusal is not None:
        req.set_finish_with_abort(side.refusal)
    return inner(scheduler, req, *args, **more)


def abort_request(inner: Any, scheduler: Any, recv_req: Any) -> Any:
    side: RankSide = scheduler.mmload
    done = inner(scheduler, recv_req)
    if recv_req.rid:  # there is none where all are aborted
        side.strategy.on_abort(recv_req.rid)
    return done
