"""The hooks of SGLang's TokenizerManager.

    _tokenize_one_request     strategy.at_tokenizer, in a thread
    _send_one_request         the same for a copy of a request, at once; then the request leaves
    sigterm_watchdog          strategy.close

What the strategy makes of the raw dict travels in its place: see ../tokenizer_side.py.
"""

from __future__ import annotations

import importlib
from typing import Any

from mmload.serve.overlay.main_process import main_process
from mmload.serve.overlay.shapes import Shape
from mmload.serve.overlay.stages import TimedOutbox, process
from mmload.serve.overlay.tokenizer_side import Kinds, TokenizerSide

_MANAGER = "TokenizerManager"
SHAPES = (
    Shape(f"{_MANAGER}.__init__", None, {"self.send_to_scheduler = get_zmq_socket(": 1}),
    Shape(f"{_MANAGER}._tokenize_one_request", ("self", "obj"), {"self._create_tokenized_object(": 1}),
    Shape(
        f"{_MANAGER}._send_one_request",
        ("self", "obj", "tokenized_obj", "created_time"),
        {"self.send_to_scheduler.send_pyobj(tokenized_obj)": 1, "mm_inputs": 0},
    ),
    Shape(f"{_MANAGER}.sigterm_watchdog", ("self",), {"kill_process_tree(os.getpid(), include_parent=True)": 1}),
)


def start(inner: Any, manager: Any, *args: Any, **more: Any) -> None:
    inner(manager, *args, **more)
    counters = process.counters = main_process.counters()
    module = _module()
    inputs: Any = importlib.import_module("sglang.srt.managers.schedule_batch").MultimodalInputs
    kinds = Kinds(module.TokenizedGenerateReqInput, (dict, inputs), module.fastapi.HTTPException)
    manager.mmload = TokenizerSide(counters, inputs.from_dict, kinds)
    manager.send_to_scheduler = TimedOutbox(manager.send_to_scheduler, counters)


async def tokenize_one_request(inner: Any, manager: Any, obj: Any) -> Any:
    tokenized = await inner(manager, obj)
    await manager.mmload.tokenized(tokenized)
    return tokenized


def send_one_request(inner: Any, manager: Any, obj: Any, tokenized_obj: Any, *args: Any, **more: Any) -> Any:
    manager.mmload.before_sending(tokenized_obj)
    state = inner(manager, obj, tokenized_obj, *args, **more)
    manager.mmload.sent(tokenized_obj)
    return state


async def sigterm_watchdog(inner: Any, manager: Any) -> Any:
    """SGLang drains, and then kills its ranks and itself: close before that."""
    module = _module()
    kill = module.kill_process_tree

    def kill_process_tree(*args: Any, **more: Any) -> Any:
        manager.mmload.close()
        return kill(*args, **more)

    module.kill_process_tree = kill_process_tree
    return await inner(manager)


def _module() -> Any:
    return importlib.import_module("sglang.srt.managers.tokenizer_manager")


HOOKS = {
    f"{_MANAGER}.__init__": start,
    f"{_MANAGER}._tokenize_one_request": tokenize_one_request,
    f"{_MANAGER}._send_one_request": send_one_request,
    f"{_MANAGER}.sigterm_watchdog": sigterm_watchdog,
}
