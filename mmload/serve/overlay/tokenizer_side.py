"""A strategy in SGLang's main process: what travels in place of the raw inputs of a request.

With n > 1 SGLang tokenizes once and sends copies: each of these has a payload of its own, made when it is sent.
"""

from __future__ import annotations

import asyncio
import atexit
import os
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple

from mmload.handoff.counters import Counters
from mmload.handoff.registry import strategy_class
from mmload.handoff.strategy import HandoffFailed, Strategy
from mmload.serve.overlay import VARIANT_VARIABLE
from mmload.serve.overlay.envelope import Envelope
from mmload.serve.overlay.host import Build, TokenizerHost

_THREADS = 4


class Kinds(NamedTuple):
    """SGLang's types. request: of a tokenized request to generate. inputs: of inputs, raw and built, which its own
    transport knows how to carry. http_error: an exception that it answers with a status."""

    request: Any
    inputs: tuple[type, ...]
    http_error: type[Exception]


class TokenizerSide:
    """The strategy, and the way of its payloads into the requests."""

    def __init__(self, counters: Counters, build: Build, kinds: Kinds) -> None:
        self.strategy = strategy_class(os.environ[VARIANT_VARIABLE])(TokenizerHost(counters, build))
        self._counters = counters
        self._kinds = kinds
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="mmload-tokenizer")
        self._at_once = type(self.strategy).at_tokenizer is Strategy.at_tokenizer
        atexit.register(self.close)  # SGLang closes it before it kills this process, but may also just end

    async def tokenized(self, request: Any) -> None:
        """Put what travels into a request that has just been tokenized. It is made in a thread, so that the event loop
        goes on. Raises as `_payload`."""
        if not self._has_media(request) or request.sampling_params.n != 1:
            return
        if self._at_once:
            self._pack(request, self._payload(request.mm_inputs))
            return
        made = self._threads.submit(self._payload, request.mm_inputs)
        try:
            self._pack(request, await asyncio.wrap_future(made))
        except asyncio.CancelledError:
            made.add_done_callback(self._withdraw_made)
            raise

    def before_sending(self, request: Any) -> None:
        """The same without waiting for a thread, unless it has been done. Raises as `_payload`."""
        if self._has_media(request) and request.sampling_params.n != 1:
            self._pack(request, self._payload(request.mm_inputs))

    def sent(self, request: Any) -> None:
        """request: whatever was sent to the ranks."""
        inputs = getattr(request, "mm_inputs", None)
        if isinstance(inputs, Envelope):
            inputs.sent()

    def close(self) -> None:
        self.strategy.close()

    def _has_media(self, request: Any) -> bool:
        return isinstance(request, self._kinds.request) and request.mm_inputs is not None

    def _payload(self, raw: Any) -> Any:
        """Raises BuildFailed, which SGLang answers with 400, or its HTTP exception for 503."""
        self._counters.add("requests")
        try:
            return self.strategy.at_tokenizer(raw)
        except HandoffFailed as error:
            raise self._kinds.http_error(503, str(error)) from error

    def _pack(self, request: Any, payload: Any) -> None:
        is_own = isinstance(payload, self._kinds.inputs)
        request.mm_inputs = payload if is_own else Envelope(payload, self.strategy.withdraw)

    def _withdraw_made(self, made: Future[Any]) -> None:
        if not made.cancelled() and made.exception() is None:
            self.strategy.withdraw(made.result())
