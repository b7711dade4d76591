"""The streams of an agent: samples, stacks after each segment, stacks with their times; as long as the driver reads.

A driver that vanishes takes its connection with it: then the request is cancelled, and what it started ends with it.
"""

from __future__ import annotations

import asyncio
import secrets
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TypeVar

import msgspec
from aiohttp import web

from mmload.discover import ServerProcess
from mmload.errors import MmloadError, ServerError
from mmload.model.plan import ProfilePlan
from mmload.observe.agent_guard import log
from mmload.observe.agent_permits import Refused
from mmload.observe.agent_protocol import (
    SILENCE_S,
    STATUS_INTERVAL_S,
    Alive,
    Begun,
    Done,
    Failed,
    Line,
    Settled,
    Status,
)
from mmload.observe.agent_taps import LineQueue, Mirror
from mmload.observe.cpu import ProcessSampler
from mmload.observe.local import LocalObserver
from mmload.observe.stacks import Profiler
from mmload.observe.stamped import StampedProfiler
from mmload.store.append import create_run_folder
from mmload.store.layout import RunLayout

_MOST_SESSIONS = 8
_MIRROR_S = 0.25  # between a segment's end and its way to the driver; a kill in between loses it too
_PROFILE_GRACE_S = 120.0  # beyond the length that was asked for, in which py-spy attaches and the driver says stop
_encoder = msgspec.json.Encoder()
Result = TypeVar("Result")


class Sessions:
    """All streams of one agent. scratch: where a profile lies until the driver has it."""

    def __init__(self, scratch: Path) -> None:
        self._scratch = scratch
        self._open: dict[str, Session] = {}
        self._profiling = False

    def stop(self, name: str) -> None:
        """End a stream in order: its last records come, then Done. Raises Refused for one that is not there."""
        if name not in self._open:
            raise Refused(404, "no such session")
        self._open[name].stopping.set()

    def fail_all(self, reason: str) -> None:
        """The agent ends: say so to every driver."""
        for session in self._open.values():
            session.failure = reason
            session.stopping.set()

    async def sample(
        self, request: web.Request, observer: LocalObserver, processes: list[ServerProcess]
    ) -> web.StreamResponse:
        async with self._session(request) as session:
            await _sample(session, observer, processes)
        return session.response

    async def profile(
        self, request: web.Request, processes: list[ServerProcess], plan: ProfilePlan
    ) -> web.StreamResponse:
        def work(session: Session, layout: RunLayout) -> Awaitable[None]:
            return _profile(session, Profiler(processes, layout, plan), layout, plan.duration_s)

        return await self._alone(request, work)

    async def stamp(
        self, request: web.Request, processes: list[ServerProcess], plan: ProfilePlan
    ) -> web.StreamResponse:
        def work(session: Session, layout: RunLayout) -> Awaitable[None]:
            return _stamp(session, StampedProfiler(processes, layout, plan), layout, plan.stamped_s)

        return await self._alone(request, work)

    async def _alone(
        self, request: web.Request, work: Callable[[Session, RunLayout], Awaitable[None]]
    ) -> web.StreamResponse:
        """A stream of which there is one at a time, with a folder of its own for as long as it lasts."""
        if self._profiling:
            raise Refused(409, "a profile is under way already: two at once would disturb each other")
        self._profiling = True
        try:
            async with self._session(request) as session:
                layout = create_run_folder(self._scratch, session.name)
                try:
                    await work(session, layout)
                finally:
                    await _finish(lambda: shutil.rmtree(layout.path, ignore_errors=True))
        finally:
            self._profiling = False
        return session.response

    @asynccontextmanager
    async def _session(self, request: web.Request) -> AsyncIterator[Session]:
        if len(self._open) >= _MOST_SESSIONS:
            raise Refused(503, f"{_MOST_SESSIONS} sessions are open already")
        session = Session(secrets.token_hex(8))
        self._open[session.name] = session
        try:
            await session.begin(request)
            yield session
        except (MmloadError, OSError) as error:
            if isinstance(error, ConnectionError):
                raise
            await session.send(Failed(str(error)))
        finally:
            del self._open[session.name]
            log.info("%s has what it asked for, or is gone", request.remote)


class Session:
    """One stream. `failure`: why the agent ends it."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.stopping = asyncio.Event()
        self.failure: str | None = None
        self.response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})

    async def begin(self, request: web.Request) -> None:
        await self.response.prepare(request)
        await self.send(Begun(self.name))

    async def send(self, *lines: Line) -> None:
        """Raises ConnectionError when the driver is gone, or has not read for long."""
        data = b"".join(_encoder.encode(line) + b"\n" for line in lines)
        try:
            async with asyncio.timeout(SILENCE_S):
                await self.response.write(data)
        except TimeoutError as error:
            raise ConnectionResetError("the driver does not read what it asked for") from error

    async def pause(self, seconds: float) -> bool:
        """Wait; True at once when the session is to end."""
        try:
            async with asyncio.timeout(seconds):
                return await self.stopping.wait()
        except TimeoutError:
            return False


async def _sample(session: Session, observer: LocalObserver, processes: list[ServerProcess]) -> None:
    sink = LineQueue()
    sampler = ProcessSampler(processes, sink, sink)
    sampler.start()
    try:
        while not await session.pause(STATUS_INTERVAL_S):
            if sampler.failed:
                raise sampler.failed
            status = await asyncio.to_thread(_status, observer, sampler)
            await session.send(*sink.take(), status)
    finally:
        await _finish(sampler.stop)
    last = await asyncio.to_thread(_status, observer, sampler)
    await session.send(*sink.take(), last, Done(failure=session.failure))


def _status(observer: LocalObserver, sampler: ProcessSampler) -> Status:
    trouble = None
    found: list[ServerProcess] = []
    try:
        found = observer.find()
    except ServerError as error:
        trouble = str(error)
    return Status(
        found=found,
        trouble=trouble,
        lost=sampler.lost(),
        cpu_pct=sampler.latest_cpu_pct(),
        cpu_s=sampler.cpu_s,
    )


async def _profile(session: Session, profiler: Profiler, layout: RunLayout, duration_s: float) -> None:
    mirror = Mirror(layout)
    loop = asyncio.get_running_loop()
    give_up_s = loop.time() + duration_s + _PROFILE_GRACE_S
    settling = loop.run_in_executor(None, profiler.wait_until_sampling)
    said_s, settled = loop.time(), False
    profiler.start()
    try:
        while not await session.pause(_MIRROR_S) and loop.time() < give_up_s:
            lines: list[Line] = [*await asyncio.to_thread(mirror.changed)]
            if settling.done() and not settled:
                settled = True
                lines.append(Settled(settling.result()))
            if loop.time() - said_s > STATUS_INTERVAL_S and not lines:
                lines.append(Alive())
            if lines:
                said_s = loop.time()
                await session.send(*lines)
    finally:
        info = await _finish(profiler.stop, session)
    done = Done(info=info, warnings=profiler.warnings, failure=session.failure)
    await session.send(*await asyncio.to_thread(mirror.changed), done)


async def _stamp(session: Session, stamper: StampedProfiler, layout: RunLayout, duration_s: float) -> None:
    loop = asyncio.get_running_loop()
    give_up_s = loop.time() + duration_s + _PROFILE_GRACE_S
    try:
        await _finish(stamper.start, session)
        while not await session.pause(STATUS_INTERVAL_S) and loop.time() < give_up_s:
            await session.send(Alive())
    finally:
        info = await _finish(stamper.stop, session)
    files = await asyncio.to_thread(Mirror(layout).changed)
    await session.send(*files, Done(stamped=info, failure=session.failure))


async def _finish(work: Callable[[], Result], session: Session | None = None) -> Result:
    """Carry `work` out to its end in a thread, whoever cancels meanwhile; the driver of the session hears that it goes
    on."""
    task = asyncio.create_task(asyncio.to_thread(work))
    cancelled: BaseException | None = None
    while not task.done():
        try:
            await asyncio.wait({task}, timeout=STATUS_INTERVAL_S)
            if session and not cancelled and not task.done():
                await session.send(Alive())
        except (asyncio.CancelledError, ConnectionError) as error:
            cancelled = error
    if cancelled:
        raise cancelled
    return task.result()
