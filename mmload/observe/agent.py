"""The agent: serves the samplers and the profiler of this host to a driver elsewhere (agent_protocol.py draws how).

Who has no token learns nothing, not even which paths there are. Who has it can name a port or pids; what is not
granted (agent_permits.py) is refused. No request names a file, and none is served but those that a profile makes.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import ssl
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from aiohttp import web

from mmload import __version__
from mmload.clocks import clock_id
from mmload.discover import ServerProcess
from mmload.errors import UsageError
from mmload.model.plan import ProfilePlan
from mmload.observe.agent_guard import MOST_BYTES, Guard, answer, body, log, quiet_http_log, without_version
from mmload.observe.agent_permits import Permits, Refused, among
from mmload.observe.agent_protocol import (
    PROTOCOL,
    ClockReading,
    Dumps,
    Found,
    Hello,
    ProfileRequest,
    SampleRequest,
    Sought,
    StampRequest,
    StopRequest,
)
from mmload.observe.agent_sessions import Sessions
from mmload.observe.host import host_facts
from mmload.observe.local import LocalObserver

_IDLE_S = 15.0  # a connection without a request is closed after it
_HANDSHAKE_S = 10.0
_SHUTDOWN_S = 10.0
_UNREAD_MS = (
    10_000  # a driver whose host is gone does not acknowledge; the kernel's own patience is a quarter of an hour
)


class Agent:
    """scratch: a folder of its own, for profiles and dumps on their way to the driver."""

    def __init__(self, token: str, permits: Permits, scratch: Path) -> None:
        self._guard = Guard(token)
        self._permits = permits
        self._scratch = scratch
        self._sessions = Sessions(scratch)
        self._dumping = False

    async def serve(self, host: str, port: int, tls: ssl.SSLContext | None) -> int:
        """Serve until a signal ends it; returns its number. Raises UsageError when it can't listen there."""
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[int] = loop.create_future()
        for catch in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(catch, _end_once, ended, int(catch))
        runner = web.AppRunner(
            self._application(),
            handler_cancellation=True,
            access_log=None,
            logger=quiet_http_log(),
            keepalive_timeout=_IDLE_S,
            shutdown_timeout=_SHUTDOWN_S,
        )
        await runner.setup()
        try:
            assert runner.server is not None
            listeners = await _listen(self._guard.doorkeeper(runner.server), host, port, tls)
            number = await ended
            log.info("ended by signal %d", number)
            listeners.close()
            self._sessions.fail_all(f"it was ended by signal {number}")
            return number
        finally:
            await runner.cleanup()

    def _application(self) -> web.Application:
        application = web.Application(client_max_size=MOST_BYTES, middlewares=[self._guard.pass_on])
        application.on_response_prepare.append(without_version)
        application.add_routes(
            [
                web.get("/hello", self._hello, allow_head=False),
                web.get("/clock", self._clock, allow_head=False),
                web.post("/find", self._find),
                web.post("/sample", self._sample),
                web.post("/profile", self._profile),
                web.post("/stamp", self._stamp),
                web.post("/stop", self._stop),
                web.post("/dump", self._dump),
            ]
        )
        return application

    async def _hello(self, _request: web.Request) -> web.StreamResponse:
        return answer(Hello(protocol=PROTOCOL, version=__version__, host=host_facts(), clock=clock_id()))

    async def _clock(self, _request: web.Request) -> web.StreamResponse:
        return answer(ClockReading(time.monotonic_ns()))

    async def _find(self, request: web.Request) -> web.StreamResponse:
        observer = await self._observer(await body(request, Sought))
        found = await asyncio.to_thread(observer.find)
        return answer(Found(found, observer.states(found)))

    async def _sample(self, request: web.Request) -> web.StreamResponse:
        observer, processes = await self._granted(await body(request, SampleRequest))
        _note(request, "samples", processes)
        return await self._sessions.sample(request, observer, processes)

    async def _profile(self, request: web.Request) -> web.StreamResponse:
        asked = await body(request, ProfileRequest)
        _, processes = await self._granted(asked)
        plan = ProfilePlan(duration_s=asked.duration_s, rate_hz=asked.rate_hz, mode=asked.mode)
        _note(request, "profiles", processes)
        return await self._sessions.profile(request, processes, plan)

    async def _stamp(self, request: web.Request) -> web.StreamResponse:
        asked = await body(request, StampRequest)
        _, processes = await self._granted(asked)
        plan = ProfilePlan(stamped_s=asked.duration_s, rate_hz=asked.rate_hz)
        _note(request, "stamps", processes)
        return await self._sessions.stamp(request, processes, plan)

    async def _stop(self, request: web.Request) -> web.StreamResponse:
        self._sessions.stop((await body(request, StopRequest)).session)
        return answer(Found([]))

    async def _dump(self, request: web.Request) -> web.StreamResponse:
        observer, processes = await self._granted(await body(request, SampleRequest))
        if self._dumping:
            raise Refused(409, "a dump is under way already")
        _note(request, "dumps", processes)
        self._dumping = True
        try:
            return answer(await asyncio.to_thread(self._dumps, observer, processes))
        finally:
            self._dumping = False

    def _dumps(self, observer: LocalObserver, processes: list[ServerProcess]) -> Dumps:
        with tempfile.TemporaryDirectory(dir=self._scratch) as folder:
            problems = observer.dump(processes, Path(folder))
            return Dumps({file.stem: file.read_text(errors="replace") for file in Path(folder).iterdir()}, problems)

    async def _granted(self, asked: SampleRequest) -> tuple[LocalObserver, list[ServerProcess]]:
        observer = await self._observer(asked.sought)
        return observer, among(await asyncio.to_thread(observer.find), asked.processes)

    async def _observer(self, sought: Sought) -> LocalObserver:
        return await asyncio.to_thread(self._permits.observer, sought)


async def _listen(
    admit: Callable[[], asyncio.BaseProtocol], host: str, port: int, tls: ssl.SSLContext | None
) -> asyncio.Server:
    try:
        server = await asyncio.get_running_loop().create_server(
            admit,
            None if host == "*" else host,
            port,
            ssl=tls,
            ssl_handshake_timeout=_HANDSHAKE_S if tls else None,
        )
    except OSError as error:
        raise UsageError(
            f"cannot listen on {host}:{port}: {error.strerror or error}", "give another address with --listen HOST:PORT"
        ) from error
    for listener in server.sockets:
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNREAD_MS)
        address, bound = listener.getsockname()[:2]
        url_host = f"[{address}]" if ":" in address else address
        log.info("listening on %s://%s:%d", "https" if tls else "http", url_host, bound)
    return server


def _end_once(ended: asyncio.Future[int], number: int) -> None:
    if not ended.done():
        ended.set_result(number)


def _note(request: web.Request, does: str, processes: list[ServerProcess]) -> None:
    log.info("%s %s %s", request.remote, does, ", ".join(f"{process.name} ({process.pid})" for process in processes))
