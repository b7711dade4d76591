"""The patch of SGLang's TokenizerManager: what travels in place of the raw dict.

    _tokenize_one_request     strategy.at_tokenizer, in a thread, so that the event loop goes on
    _send_one_request         the request leaves; one that never does is withdrawn when it is forgotten

With n > 1 SGLang tokenizes once and sends copies: each of these has a payload of its own, made when it is sent.
"""

from __future__ import annotations

import asyncio
import functools
import importlib
import os
import weakref
from concurrent.futures import Future, ThreadPoolExecutor
from types import ModuleType
from typing import Any

from mmload.handoff.counters import Counters
from mmload.handoff.registry import strategy_class
from mmload.handoff.strategy import HandoffFailed, Strategy
from mmload.serve.overlay import VARIANT_VARIABLE
from mmload.serve.overlay.host import TokenizerHost
from mmload.serve.overlay.server import main_process
from mmload.serve.overlay.shapes import Shape, refuse_others
from mmload.serve.overlay.stages import TimedOutbox, process

_THREADS = 4
_SHAPES = (
    Shape("TokenizerManager.__init__", None, {"self.send_to_scheduler = get_zmq_socket(": 1}),
    Shape("TokenizerManager._tokenize_one_request", ("self", "obj"), {"self._create_tokenized_object(": 1}),
    Shape(
        "TokenizerManager._send_one_request",
        ("self", "obj", "tokenized_obj", "created_time"),
        {"self.send_to_scheduler.send_pyobj(tokenized_obj)": 1, "mm_inputs": 0},
    ),
    Shape("TokenizerManager.sigterm_watchdog", ("self",), {"kill_process_tree(os.getpid(), include_parent=True)": 1}),
)


class TokenizerSide:
    """The strategy of the main process, and the payloads that have not left yet."""

    def __init__(self, counters: Counters, from_dict: Any, http_exception: Any) -> None:
        self.strategy = strategy_class(os.environ[VARIANT_VARIABLE])(TokenizerHost(counters, from_dict))
        self._counters = counters
        self._http_exception = http_exception
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="mmload-tokenizer")
        self._waiting: dict[int, weakref.finalize[Any, Any]] = {}  # id of a tokenized request -> its withdrawal
        self._at_once = type(self.strategy).at_tokenizer is Strategy.at_tokenizer

    async def pack(self, tokenized: Any) -> None:
        """Put what travels into a tokenized request, in place of its raw dict."""
        if self._at_once:
            payload = self._payload(tokenized.mm_inputs)
        else:
            made = self._threads.submit(self._payload, tokenized.mm_inputs)
            try:
                payload = await asyncio.wrap_future(made)
            except asyncio.CancelledError:
                made.add_done_callback(self._withdraw_made)
                raise
        self._keep(tokenized, payload)

    def pack_now(self, tokenized: Any) -> None:
        """The same without waiting, unless it has been done."""
        if id(tokenized) not in self._waiting:
            self._keep(tokenized, self._payload(tokenized.mm_inputs))

    def sent(self, tokenized: Any) -> None:
        """It is the ranks' from now on."""
        withdrawal = self._waiting.pop(id(tokenized), None)
        if withdrawal is not None:
            withdrawal.detach()

    def close(self) -> None:
        self.strategy.close()

    def _payload(self, raw: Any) -> Any:
        """Raises BuildFailed, which SGLang answers with 400, or its HTTP exception for 503."""
        self._counters.add("requests")
        try:
            return self.strategy.at_tokenizer(raw)
        except HandoffFailed as error:
            raise self._http_exception(503, str(error)) from error

    def _keep(self, tokenized: Any, payload: Any) -> None:
        tokenized.mm_inputs = payload
        self._waiting[id(tokenized)] = weakref.finalize(tokenized, self._forgotten, id(tokenized), payload)

    def _forgotten(self, key: int, payload: Any) -> None:
        self._waiting.pop(key, None)
        self.strategy.withdraw(payload)

    def _withdraw_made(self, made: Future[Any]) -> None:
        if not made.cancelled() and made.exception() is None:
            self.strategy.withdraw(made.result())


def patch(module: ModuleType) -> None:
    """Patch the TokenizerManager of sglang.srt.managers.tokenizer_manager, or end the process."""
    refuse_others(module, _SHAPES)
    manager: Any = module.TokenizerManager
    start, tokenize, send = manager.__init__, manager._tokenize_one_request, manager._send_one_request  # noqa: SLF001
    kind = module.TokenizedGenerateReqInput

    @functools.wraps(start)
    def init(self: Any, *args: Any, **more: Any) -> None:
        start(self, *args, **more)
        counters = process.counters = main_process.counters()
        inputs = importlib.import_module("sglang.srt.managers.schedule_batch").MultimodalInputs
        self.mmload = TokenizerSide(counters, inputs.from_dict, module.fastapi.HTTPException)
        self.send_to_scheduler = TimedOutbox(self.send_to_scheduler, counters)

    @functools.wraps(tokenize)
    async def _tokenize_one_request(self: Any, obj: Any) -> Any:
        tokenized = await tokenize(self, obj)
        if isinstance(tokenized, kind) and tokenized.mm_inputs is not None and tokenized.sampling_params.n == 1:
            await self.mmload.pack(tokenized)
        return tokenized

    @functools.wraps(send)
    def _send_one_request(self: Any, obj: Any, tokenized_obj: Any, *args: Any, **more: Any) -> Any:
        if isinstance(tokenized_obj, kind) and tokenized_obj.mm_inputs is not None:
            self.mmload.pack_now(tokenized_obj)
        state = send(self, obj, tokenized_obj, *args, **more)
        self.mmload.sent(tokenized_obj)
        return state

    manager.__init__ = init
    manager._tokenize_one_request = _tokenize_one_request  # noqa: SLF001
    manager._send_one_request = _send_one_request  # noqa: SLF001
    _patch_end(module, manager)


def _patch_end(module: ModuleType, manager: Any) -> None:
    """SGLang drains, and then kills its ranks and itself: close before that."""
    watch = manager.sigterm_watchdog

    @functools.wraps(watch)
    async def sigterm_watchdog(self: Any) -> Any:
        kill = module.kill_process_tree

        def kill_process_tree(*args: Any, **more: Any) -> Any:
            self.mmload.close()
            return kill(*args, **more)

        module.kill_process_tree = kill_process_tree  # type: ignore[attr-defined]
        return await watch(self)

    manager.sigterm_watchdog = sigterm_watchdog
