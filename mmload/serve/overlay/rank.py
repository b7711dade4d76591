"""The patch of SGLang's Scheduler: every rank asks its strategy for the inputs, where it used to build them.

    process_input_requests      strategy.on_receive, once for all requests with media among those received
    handle_generate_request     .. comes to the place where the inputs are made ..
    _get_multimodal_inputs      strategy.materialise
    abort_request               strategy.on_abort

Where no rank can make the inputs, because the features are malformed, that request alone fails. A failure of one rank
alone ends it, and with it the server: ranks that disagree about a request would hang in their next forward pass.
"""

from __future__ import annotations

import functools
import json
import os
from collections.abc import Callable, Sequence
from multiprocessing.util import Finalize
from pathlib import Path
from types import ModuleType
from typing import Any

from mmload.errors import ServerError
from mmload.handoff.counters import Counters, CounterTable
from mmload.handoff.registry import strategy_class
from mmload.handoff.strategy import BuildFailed, Request
from mmload.serve.overlay import FOLDER_VARIABLE, VARIANT_VARIABLE
from mmload.serve.overlay.agreement import FailureBoard
from mmload.serve.overlay.host import Group, RankHost
from mmload.serve.overlay.shapes import Shape, refuse_others
from mmload.serve.overlay.stages import BROADCAST, TimedBroadcast, TimedInbox, process

_SHAPES = (
    Shape("Scheduler.__init__", None, {}),
    Shape("Scheduler.recv_requests", ("self",), {"self.recv_from_tokenizer.recv_pyobj(": 1, "broadcast_pyobj(": 3}),
    Shape("Scheduler.process_input_requests", ("self", "recv_reqs"), {"self._request_dispatcher(recv_req)": 1}),
    Shape("Scheduler._add_request_to_queue", ("self", "req", "is_retracted"), {}),
    Shape("Scheduler.abort_request", ("self", "recv_req"), {}),
    Shape("Req.set_finish_with_abort", ("self", "error_msg"), {}),
    Shape("MultimodalInputs.from_dict", ("obj",), {"item.set_pad_value()": 1}),
    BROADCAST,
)
# Where the inputs are made: 0.5.5.post3 put a method with a choice before the commit's.
_MAKERS = ("_get_multimodal_inputs", "_process_and_broadcast_mm_inputs")


class Unmaterialised(Exception):
    """Leaves SGLang's handler where the inputs of a request would have been made."""


class RankSide:
    """The strategy of one rank, and the request that the scheduler is at."""

    def __init__(
        self, scheduler: Any, from_dict: Callable[[Any], Any], counters: Counters, board: FailureBoard
    ) -> None:
        group = Group(scheduler.tp_cpu_group, tuple(scheduler.tp_group.ranks))
        self.counters = counters
        self.host = RankHost(scheduler.tp_rank, group, counters, from_dict)
        self.strategy = strategy_class(os.environ[VARIANT_VARIABLE])(self.host)
        self._board = board
        self.refusal: str | None = None
        self._request: Request | None = None
        self._reached = False

    def receive(self, requests: Sequence[Any]) -> None:
        """requests: those with media of one receive batch."""
        if requests:
            self.counters.add("receive_batches")
            self.counters.add("requests", len(requests))
            with self.counters.on_the_clock("handler_wall_seconds"):
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

    def make(self, raw: Any) -> Any:
        """The inputs of the request that is being handled; of any other kind of request, built here."""
        if self._request is None:
            return self.host.build(raw)
        self._reached = True
        try:
            with self.counters.on_the_clock("handler_wall_seconds"):
                return self.strategy.materialise(self._request)
        except BuildFailed as failure:
            self._board.agree(self._request.rid)
            raise Unmaterialised(str(failure)) from failure

    def announce(self, folder: Path) -> None:
        """Write down what this rank really runs."""
        rank, name = self.host.rank, self.strategy.name
        part = folder / f"rank-{rank}.part"
        part.write_text(json.dumps({"rank": rank, "variant": name, "pid": os.getpid()}))
        part.rename(folder / f"rank-{rank}.json")


def patch(module: ModuleType) -> None:
    """Patch the Scheduler of sglang.srt.managers.scheduler; ends the process where that is not as expected."""
    scheduler: Any = module.Scheduler
    maker = next((name for name in _MAKERS if hasattr(scheduler, name)), _MAKERS[0])
    refuse_others(module, [*_SHAPES, *_shapes_of(maker)])
    _patch_start(module, scheduler)
    _patch_requests(module, scheduler, maker)


def _shapes_of(maker: str) -> list[Shape]:
    used = {"recv_req.mm_inputs": 2, f"self.{maker}(recv_req.mm_inputs)": 1, "from_dict": 0}
    return [
        Shape("Scheduler.handle_generate_request", ("self", "recv_req"), used),
        Shape(f"Scheduler.{maker}", None, {}),
    ]


def _patch_start(module: ModuleType, scheduler: Any) -> None:
    start = scheduler.__init__

    @functools.wraps(start)
    def init(self: Any, *args: Any, **more: Any) -> None:
        folder = os.environ.get(FOLDER_VARIABLE)
        if folder is None:
            raise ServerError("the overlay hosts SGLang's HTTP server only", "start it by mmload serve")
        start(self, *args, **more)
        counters = CounterTable(Path(folder) / "counters").counters(f"scheduler_TP{self.tp_rank}")
        process.counters = counters
        board = FailureBoard(Path(folder) / "failures", self.tp_rank)
        side = self.mmload = RankSide(self, module.MultimodalInputs.from_dict, counters, board)
        if self.tp_size > 1:
            module.broadcast_pyobj = TimedBroadcast(module.broadcast_pyobj, counters).broadcast_pyobj  # type: ignore[attr-defined]
        if self.recv_from_tokenizer is not None:
            self.recv_from_tokenizer = TimedInbox(self.recv_from_tokenizer, counters)
        Finalize(None, side.strategy.close, exitpriority=10)
        side.announce(Path(folder))

    scheduler.__init__ = init


def _patch_requests(module: ModuleType, scheduler: Any, maker: str) -> None:
    process_input, handle = scheduler.process_input_requests, scheduler.handle_generate_request
    add_to_queue, abort, make = scheduler._add_request_to_queue, scheduler.abort_request, getattr(scheduler, maker)  # noqa: SLF001

    @functools.wraps(process_input)
    def process_input_requests(self: Any, recv_reqs: Any) -> Any:
        kind = module.TokenizedGenerateReqInput
        self.mmload.receive([each for each in recv_reqs if isinstance(each, kind) and each.mm_inputs is not None])
        return process_input(self, recv_reqs)

    @functools.wraps(handle)
    def handle_generate_request(self: Any, recv_req: Any) -> Any:
        if recv_req.mm_inputs is None:
            return handle(self, recv_req)
        return self.mmload.handle(recv_req, functools.partial(handle, self))

    @functools.wraps(make)
    def materialise(self: Any, raw_mm_inputs: Any) -> Any:
        return None if raw_mm_inputs is None else self.mmload.make(raw_mm_inputs)

    @functools.wraps(add_to_queue)
    def _add_request_to_queue(self: Any, req: Any, *args: Any, **more: Any) -> Any:
        if self.mmload.refusal is not None:
            req.set_finish_with_abort(self.mmload.refusal)
        return add_to_queue(self, req, *args, **more)

    @functools.wraps(abort)
    def abort_request(self: Any, recv_req: Any) -> Any:
        done = abort(self, recv_req)
        if recv_req.rid:
            self.mmload.strategy.on_abort(recv_req.rid)
        return done

    scheduler.process_input_requests = process_input_requests
    scheduler.handle_generate_request = handle_generate_request
    scheduler._add_request_to_queue = _add_request_to_queue  # noqa: SLF001
    scheduler.abort_request = abort_request
    setattr(scheduler, maker, materialise)
