"""The hooks of SGLang's TokenizerManager.

    _tokenize_one_request     strategy.at_tokenizer, in a thread
    _send_one_request         the same for a copy of a request, at once
    _dispatch_to_scheduler    the request leaves; strategy.close behind the last one

What the strategy makes of the raw inputs travels in their place: see ../tokenizer_side.py.
"""

from __future__ import annotations

import asyncio
import importlib
from typing import Any

from mmload.serve.overlay.main_process import main_process
from mmload.serve.overlay.plugin.inputs import builder, kinds_of_inputs
from mmload.serve.overlay.shapes import Shape
from mmload.serve.overlay.stages import TimedOutbox, process
from mmload.serve.overlay.tokenizer_side import Kinds, TokenizerSide

_MANAGER = "TokenizerManager"
SHAPES = (
    Shape(f"{_MANAGER}.__init__", None, {}),
    Shape(f"{_MANAGER}._tokenize_one_request", ("self", "obj"), {"self._create_tokenized_object(": 1}),
    Shape(
        f"{_MANAGER}._send_one_request",
        ("self", "tokenized_obj"),
        {"wrap_shm_features(tokenized_obj)": 1, "self._dispatch_to_scheduler(tokenized_obj)": 1},
    ),
    Shape(f"{_MANAGER}._dispatch_to_scheduler", ("self", "obj"), {"sock_send(self.send_to_scheduler, obj)": 1}),
    Shape(f"{_MANAGER}.sigterm_watchdog", ("self",), {"self._dispatch_to_scheduler(ShutdownReq())": 1}),
    Shape("sock_send", ("socket", "obj", "flags"), {"socket.send_pyobj(obj, flags=flags": 1}),
)


def start(inner: Any, manager: Any, *args: Any, **more: Any) -> None:
    inner(manager, *args, **more)
    counters = process.counters = main_process.counters()
    module = _module()
    kinds = Kinds(module.TokenizedGenerateReqInput, kinds_of_inputs(), module.fastapi.HTTPException)
    manager.mmload = TokenizerSide(counters, builder(manager.model_config), kinds)
    manager.send_to_scheduler = TimedOutbox(manager.send_to_scheduler, counters)


async def tokenize_one_request(inner: Any, manager: Any, obj: Any) -> Any:
    tokenized = await inner(manager, obj)
    try:
        await manager.mmload.tokenized(tokenized)
    except asyncio.CancelledError:
        if hasattr(manager, "_discard_pending_req_states"):  # to 0.5.19: SGLang calls it on an Exception only
            manager.rid_to_state.pop(obj.rid, None)
        raise
    return tokenized


def send_one_request(inner: Any, manager: Any, tokenized_obj: Any) -> Any:
    """What `inner` returns is to be awaited from 0.5.20 on."""
    manager.mmload.before_sending(tokenized_obj)
    return inner(manager, tokenized_obj)


def dispatch_to_scheduler(inner: Any, manager: Any, obj: Any) -> None:
    inner(manager, obj)
    manager.mmload.sent(obj)
    if isinstance(obj, _module().ShutdownReq):  # it has drained, and kills itself next, up to 0.5.18
        manager.mmload.close()


def _module() -> Any:
    return importlib.import_module("sglang.srt.managers.tokenizer_manager")


HOOKS = {
    f"{_MANAGER}.__init__": start,
    f"{_MANAGER}._tokenize_one_request": tokenize_one_request,
    f"{_MANAGER}._send_one_request": send_one_request,
    f"{_MANAGER}._dispatch_to_scheduler": dispatch_to_scheduler,
}
