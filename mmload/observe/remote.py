"""The observer of another host's processes, through its `mmload agent`. All that it writes is on this host's clock."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from mmload.discover import ServerProcess
from mmload.errors import FolderError, ServerError
from mmload.model.manifest import AgentInfo
from mmload.model.plan import AgentPlan, ProfilePlan
from mmload.observe.agent_link import AgentClock, AgentLink
from mmload.observe.agent_protocol import SILENCE_S, Dumps, Found, ProcessId, SampleRequest, Sought, Status, file_name
from mmload.observe.observer import KernelWord
from mmload.observe.remote_samples import RemoteSampler
from mmload.observe.remote_stacks import RemoteProfiler
from mmload.observe.remote_stamped import RemoteStamper
from mmload.store.layout import RunLayout


class RemoteObserver:
    """Raises UsageError or ServerError where there is no agent that can be used."""

    def __init__(self, plan: AgentPlan, sought: Sought) -> None:
        self._link = AgentLink(plan)
        self._sought = sought
        self._hello = self._link.hello()
        self._clock = AgentClock(self._link, self._hello.clock)
        self._sampler: RemoteSampler | None = None

    def find(self) -> list[ServerProcess]:
        """As last heard while samples come, at most a second or two ago; asked for otherwise."""
        status = self._status()
        if status is None:
            return self._link.ask("POST", "/find", Found, self._sought).processes
        if status.trouble:
            raise ServerError(f"on {self._link.host}: {status.trouble}")
        return status.found

    def states(self, processes: Iterable[ServerProcess]) -> dict[str, KernelWord]:
        """Asked anew each time: who runs is told by two looks a fraction of a second apart."""
        states = self._link.ask("POST", "/find", Found, self._sought).states
        names = {process.name for process in processes}
        return {name: word for name, word in states.items() if name in names}

    def sampler(self, processes: Iterable[ServerProcess], layout: RunLayout) -> RemoteSampler:
        self._sampler = RemoteSampler(self._link, self._clock, self._request(processes), layout)
        return self._sampler

    def profiler(self, processes: Iterable[ServerProcess], layout: RunLayout, plan: ProfilePlan) -> RemoteProfiler:
        return RemoteProfiler(self._link, self._clock, self._request(processes), list(processes), layout, plan)

    def stamper(self, processes: Iterable[ServerProcess], layout: RunLayout, plan: ProfilePlan) -> RemoteStamper:
        return RemoteStamper(self._link, self._clock, self._request(processes), list(processes), layout, plan)

    def dump(self, processes: Iterable[ServerProcess], folder: Path, timeout_s: float = 10.0) -> list[str]:
        request = self._request(processes)
        try:
            dumps = self._link.ask("POST", "/dump", Dumps, request, timeout_s + SILENCE_S)
        except ServerError as error:
            return [f"no dumps: {error}"]
        try:
            folder.mkdir(parents=True, exist_ok=True)
            for name, text in dumps.texts.items():
                (folder / file_name(f"{name}.txt")).write_text(text, encoding="utf-8")
        except OSError as error:
            raise FolderError(f"cannot write {folder}: {error.strerror}") from error
        return dumps.problems

    def agent(self) -> AgentInfo:
        reading = self._clock.reading
        return AgentInfo(
            url=self._link.url,
            host=self._link.host,
            version=self._hello.version,
            clock_offset_ns=-reading.offset_ns,
            clock_error_ms=reading.error_ns / 1e6,
            clock_drift_ms=-self._clock.drift_ns / 1e6,
            about=self._hello.host,
        )

    def _request(self, processes: Iterable[ServerProcess]) -> SampleRequest:
        ids = [ProcessId(process.pid, process.start_ticks) for process in processes]
        return SampleRequest(sought=self._sought, processes=ids)

    def _status(self) -> Status | None:
        return self._sampler.status if self._sampler else None
