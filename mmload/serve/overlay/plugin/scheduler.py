"""The hooks of SGLang's Scheduler.

    process_input_requests      strategy.on_receive, once for all requests with media among those received
    handle_generate_request     .. comes to the place where the inputs are made ..
    _get_multimodal_inputs      strategy.materialise
    abort_request               strategy.on_abort
    handle_shutdown             strategy.close

Every rank asks its strategy for the inputs, where it used to build them: see ../rank_side.py.
"""

from __future__ import annotations

import functools
from typing import Any

from mmload.serve.overlay.host import Group
from mmload.serve.overlay.plugin.inputs import builder, has_media
from mmload.serve.overlay.plugin.request_receiver import time_receipt
from mmload.serve.overlay.rank_side import RankFolder, abort_request, add_request_to_queue, get_multimodal_inputs
from mmload.serve.overlay.shapes import Shape

SHAPES = (
    Shape("Scheduler", None, {"self._get_multimodal_inputs(recv_req.mm_inputs)": 2}),  # to generate, and to embed
    Shape("Scheduler.process_input_requests", ("self", "recv_reqs"), {"self._request_dispatcher(recv_req)": 1}),
    Shape("Scheduler.handle_generate_request", None, {}),
    Shape("Scheduler._get_multimodal_inputs", None, {"MultimodalInputs.from_processor_output(": 1}),
    Shape("Scheduler._add_request_to_queue", ("self", "req", "is_retracted"), {}),
    Shape("Scheduler.abort_request", ("self", "recv_req"), {}),
    Shape("Scheduler.handle_shutdown", ("self", "recv_req"), {}),
    Shape("Req.set_finish_with_abort", None, {}),
    Shape("MultimodalInputs.from_processor_output", None, {"item.set_pad_value()": 1}),
)


def start(inner: Any, scheduler: Any, *args: Any, **more: Any) -> None:
    folder = RankFolder()
    inner(scheduler, *args, **more)
    group = scheduler.dp_tp_group
    members = Group(group.cpu_group, tuple(group.ranks))
    side = scheduler.mmload = folder.side(group.rank_in_group, members, builder(scheduler.model_config))
    time_receipt(scheduler.request_receiver, side.host)
    folder.announce(side)


def process_input_requests(inner: Any, scheduler: Any, recv_reqs: Any) -> Any:
    scheduler.mmload.receive([request for request in recv_reqs if has_media(request)])
    return inner(scheduler, recv_reqs)


def handle_generate_request(inner: Any, scheduler: Any, recv_req: Any, **more: Any) -> Any:
    handle = functools.partial(inner, scheduler, **more)
    return scheduler.mmload.handle(recv_req, handle) if has_media(recv_req) else handle(recv_req)


def handle_shutdown(inner: Any, scheduler: Any, recv_req: Any) -> Any:
    scheduler.mmload.strategy.close()
    return inner(scheduler, recv_req)


HOOKS = {
    "Scheduler.__init__": start,
    "Scheduler.process_input_requests": process_input_requests,
    "Scheduler.handle_generate_request": handle_generate_request,
    "Scheduler._get_multimodal_inputs": get_multimodal_inputs,
    "Scheduler._add_request_to_queue": add_request_to_queue,
    "Scheduler.abort_request": abort_request,
    "Scheduler.handle_shutdown": handle_shutdown,
}
