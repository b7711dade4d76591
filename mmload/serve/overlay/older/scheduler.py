"""The hooks of SGLang's Scheduler.

    process_input_requests      strategy.on_receive, once for all requests with media among those received
    handle_generate_request     .. comes to the place where the inputs are made ..
    _get_multimodal_inputs      strategy.materialise
    abort_request               strategy.on_abort

Every rank asks its strategy for the inputs, where it used to build them: see ../rank_side.py.
"""

from __future__ import annotations

import functools
import importlib
from multiprocessing.util import Finalize
from typing import Any

from mmload.serve.overlay.host import Group, RankHost
from mmload.serve.overlay.rank_side import RankFolder, abort_request, add_request_to_queue, get_multimodal_inputs
from mmload.serve.overlay.shapes import Shape
from mmload.serve.overlay.stages import BROADCAST, TimedBroadcast, TimedInbox

# Where the inputs are made: 0.5.5.post3 put a method with a choice before the commit's.
_MAKER = "Scheduler._get_multimodal_inputs or Scheduler._process_and_broadcast_mm_inputs"
SHAPES = (
    Shape("Scheduler.__init__", None, {}),
    Shape("Scheduler.recv_requests", ("self",), {"self.recv_from_tokenizer.recv_pyobj(": 1, "broadcast_pyobj(": 3}),
    Shape("Scheduler.process_input_requests", ("self", "recv_reqs"), {"self._request_dispatcher(recv_req)": 1}),
    Shape(
        "Scheduler.handle_generate_request",
        ("self", "recv_req"),
        {"recv_req.mm_inputs": 2, "_inputs(recv_req.mm_inputs)": 1, "from_dict": 0},
    ),
    Shape(_MAKER, None, {}),
    Shape("Scheduler._add_request_to_queue", ("self", "req", "is_retracted"), {}),
    Shape("Scheduler.abort_request", ("self", "recv_req"), {}),
    Shape("Req.set_finish_with_abort", ("self", "error_msg"), {}),
    Shape("MultimodalInputs.from_dict", ("obj",), {"item.set_pad_value()": 1}),
    BROADCAST,
)


def start(inner: Any, scheduler: Any, *args: Any, **more: Any) -> None:
    folder = RankFolder()
    inner(scheduler, *args, **more)
    group = Group(scheduler.tp_cpu_group, tuple(scheduler.tp_group.ranks))
    side = scheduler.mmload = folder.side(scheduler.tp_rank, group, _module().MultimodalInputs.from_dict)
    _time_receipt(scheduler, side.host)
    Finalize(None, side.strategy.close, exitpriority=10)
    folder.announce(side)


def _time_receipt(scheduler: Any, host: RankHost) -> None:
    module = _module()
    if host.size > 1:
        module.broadcast_pyobj = TimedBroadcast(module.broadcast_pyobj, host.counters, host.gloo).broadcast_pyobj
    if scheduler.recv_from_tokenizer is not None:
        scheduler.recv_from_tokenizer = TimedInbox(scheduler.recv_from_tokenizer, host.counters)


def process_input_requests(inner: Any, scheduler: Any, recv_reqs: Any) -> Any:
    kind = _module().TokenizedGenerateReqInput
    scheduler.mmload.receive([each for each in recv_reqs if isinstance(each, kind) and each.mm_inputs is not None])
    return inner(scheduler, recv_reqs)


def handle_generate_request(inner: Any, scheduler: Any, recv_req: Any) -> Any:
    handle = functools.partial(inner, scheduler)
    return handle(recv_req) if recv_req.mm_inputs is None else scheduler.mmload.handle(recv_req, handle)


def _module() -> Any:
    return importlib.import_module("sglang.srt.managers.scheduler")


HOOKS = {
    "Scheduler.__init__": start,
    "Scheduler.process_input_requests": process_input_requests,
    "Scheduler.handle_generate_request": handle_generate_request,
    _MAKER: get_multimodal_inputs,
    "Scheduler._add_request_to_queue": add_request_to_queue,
    "Scheduler.abort_request": abort_request,
}
