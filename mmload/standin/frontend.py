"""The HTTP face of the stand-in, route by route as SGLang's."""

from __future__ import annotations

import asyncio
import time
import traceback
import uuid
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import ModuleType
from typing import Any

import msgspec
from aiohttp import web

from mmload.handoff.counters import CounterTable
from mmload.standin import native, openai
from mmload.standin.api import Ask, Refused
from mmload.standin.config import StandinConfig
from mmload.standin.in_flight import Answer
from mmload.standin.manager import Manager
from mmload.standin.messages import Prepared
from mmload.standin.processor import Processor

_encode = msgspec.json.encode


class Frontend:
    """The handlers. describe: what /server_info says beside the ranks."""

    def __init__(
        self,
        manager: Manager,
        processor: Processor,
        counters: CounterTable,
        config: StandinConfig,
        describe: dict[str, Any],
    ) -> None:
        self._manager = manager
        self._processor = processor
        self._counters = counters
        self._config = config
        self._describe = describe
        self._pool = ThreadPoolExecutor(config.processor_threads, thread_name_prefix="processor")

    def application(self) -> web.Application:
        app = web.Application(middlewares=[_errors_as_json], client_max_size=self._config.body_limit_mb << 20)
        app.add_routes(
            [
                web.get("/health", self.health),
                web.get("/health_generate", self.health),
                web.get("/v1/models", self.models),
                web.get("/get_model_info", self.model_info),
                web.get("/model_info", self.model_info),
                web.get("/get_server_info", self.server_info),
                web.get("/server_info", self.server_info),
                web.get("/metrics", self.metrics),
                web.route("*", "/flush_cache", self.flush_cache),
                web.post("/v1/chat/completions", self.chat),
                web.post("/generate", self.generate),
            ]
        )
        return app

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def chat(self, http: web.Request) -> web.StreamResponse:
        return await self._respond(http, openai)

    async def generate(self, http: web.Request) -> web.StreamResponse:
        return await self._respond(http, native)

    async def health(self, _: web.Request) -> web.Response:
        """200 once a step of the device has been seen, 503 if none comes: as SGLang, which generates one token."""
        self._manager.check_open()
        answer = None
        if self._manager.in_flight == 0:
            ask = Ask(parts=("health",), max_new_tokens=1, temperature=0)
            prepared = self._processor.prepare(uuid.uuid4().hex, ask)
            answer = self._manager.submit(prepared, time.monotonic(), counted=False)
        try:
            alive = await self._manager.step_within(self._config.health_timeout_s)
        finally:
            if answer is not None:
                self._manager.release(answer)
        return web.Response(status=200 if alive else 503)

    async def models(self, _: web.Request) -> web.Response:
        model = {
            "id": self._describe["model_path"],
            "object": "model",
            "created": int(time.time()),
            "owned_by": "sglang",
            "root": self._describe["model_path"],
            "parent": None,
            "max_model_len": self._config.context_length,
        }
        return _json({"object": "list", "data": [model]})

    async def model_info(self, _: web.Request) -> web.Response:
        sees = not self._describe["text_only"]
        return _json(
            {
                "model_path": self._describe["model_path"],
                "tokenizer_path": self._describe["model_path"],
                "is_generation": True,
                "preferred_sampling_params": None,
                "weight_version": "default",
                "has_image_understanding": sees,
                "has_audio_understanding": sees,
            }
        )

    async def server_info(self, _: web.Request) -> web.Response:
        """`mmload.ranks` holds each rank's own word, from the strategy object that it runs."""
        ranks = [msgspec.structs.asdict(self._manager.ranks[rank]) for rank in sorted(self._manager.ranks)]
        return _json(self._describe | {"mmload": self._describe["mmload"] | {"ranks": ranks}})

    async def metrics(self, _: web.Request) -> web.Response:
        return web.Response(text=self._manager.metrics.text(self._counters.read()))

    async def flush_cache(self, _: web.Request) -> web.Response:
        self._manager.check_open()
        flushed = self._manager.flush_cache()
        text = "Cache flushed.\n" if flushed else "Cache not flushed: there are running or waiting requests.\n"
        return web.Response(text=text, status=200 if flushed else 400)

    async def _respond(self, http: web.Request, endpoint: ModuleType) -> web.StreamResponse:
        received_s = time.monotonic()
        self._manager.check_open()
        if http.content_type != "application/json":
            raise Refused("Unsupported Media Type: Only 'application/json' is allowed", kind="Bad Request")
        body = await http.read()
        ask, answer = await self._enter(endpoint, body, received_s)
        writer = endpoint.Writer(answer, ask)
        try:
            if ask.stream:
                return await _stream(http, answer, writer)
            await answer.complete()
            return web.Response(body=writer.whole(), content_type="application/json")
        finally:
            self._manager.release(answer)

    async def _enter(self, endpoint: ModuleType, body: bytes, received_s: float) -> tuple[Ask, Answer]:
        """Prepare the request and send it to the ranks. One that does not get there, because its client left or nobody
        takes it, leaves nothing behind; a thread that still works on it sees to that when it is done."""
        preparing = self._pool.submit(self._prepare, endpoint, body)
        try:
            ask, prepared = await asyncio.wrap_future(preparing)
            return ask, self._manager.submit(prepared, received_s)
        except BaseException:
            preparing.add_done_callback(self._withdraw)
            raise

    def _withdraw(self, prepared: Future[tuple[Ask, Prepared]]) -> None:
        if not prepared.cancelled() and prepared.exception() is None:
            self._processor.withdraw(prepared.result()[1])

    def _prepare(self, endpoint: ModuleType, body: bytes) -> tuple[Ask, Prepared]:
        """In a thread of the pool: Pillow, numpy and hashlib let go of the interpreter while they work."""
        ask: Ask = endpoint.parse(body, self._config.default_max_tokens)
        return ask, self._processor.prepare(uuid.uuid4().hex, ask)


async def _stream(http: web.Request, answer: Answer, writer: openai.Writer | native.Writer) -> web.StreamResponse:
    """A request that fails before its first token is refused with its status; later, by an event in the stream."""
    words = await answer.next_words()
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream; charset=utf-8"})
    await response.prepare(http)
    try:
        while not answer.finished:
            await response.write(writer.tokens(words))
            words = await answer.next_words()
        await response.write(writer.tokens(words) + writer.end())
    except Refused as refused:
        await response.write(writer.error(refused))
    await response.write_eof()
    return response


@web.middleware
async def _errors_as_json(
    request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
) -> web.StreamResponse:
    try:
        return await handler(request)
    except Refused as refused:
        return _json(refused.fields(), refused.status)
    except web.HTTPException as error:
        return _json({"detail": error.reason}, error.status)
    except ConnectionError:  # the client left, and the handler has seen to the abort: nobody reads this
        return web.Response(status=499)  # nginx's; raised, aiohttp would print a traceback for each
    except Exception:  # noqa: BLE001 - one request's bug must not be another's, nor a page of HTML
        traceback.print_exc()
        return _json(Refused("Internal server error", 500, "InternalServerError").fields(), 500)


def _json(body: object, status: int = 200) -> web.Response:
    return web.Response(body=_encode(body), status=status, content_type="application/json")
