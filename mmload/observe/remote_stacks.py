"""Stacks that an agent takes, in the run folder after each segment."""

from __future__ import annotations

import threading
from pathlib import Path

import msgspec

from mmload.discover import ServerProcess
from mmload.errors import FolderError
from mmload.model.manifest import ProfileFile, ProfileInfo, ProfileSegment
from mmload.model.plan import ProfilePlan
from mmload.observe.agent_link import AgentClock, AgentLink
from mmload.observe.agent_protocol import Done, FileLine, Line, ProfileRequest, SampleRequest, Settled, file_name
from mmload.observe.remote_stream import StreamReader
from mmload.store.layout import RunLayout
from mmload.store.read import read_folded


class RemoteProfiler(StreamReader):
    """The profiler of an agent. Where it fails, what has come so far is kept, and the ProfileFiles say why there is no
    more."""

    def __init__(
        self,
        link: AgentLink,
        clock: AgentClock,
        request: SampleRequest,
        processes: list[ServerProcess],
        layout: RunLayout,
        plan: ProfilePlan,
    ) -> None:
        asked = ProfileRequest(
            sought=request.sought,
            processes=request.processes,
            mode=plan.mode,
            rate_hz=plan.rate_hz,
            duration_s=plan.duration_s,
        )
        super().__init__(link, "/profile", asked)
        self.warnings: list[str] = []
        self._clock = clock
        self._plan = plan
        self._processes = processes
        self._layout = layout
        self._settled = threading.Event()
        self._is_sampling = False
        self._info: ProfileInfo | None = None

    def wait_until_sampling(self, timeout_s: float) -> bool:
        return self._settled.wait(timeout_s) and self._is_sampling

    @property
    def settled(self) -> bool:
        return self._settled.is_set()

    def stop(self) -> ProfileInfo:
        self._end()
        return self._info or self._torn()

    def _take(self, line: Line) -> bool:
        match line:
            case FileLine():
                self._write(line)
            case Settled(sampling):
                self._is_sampling = sampling
                self._settled.set()
            case Done(info=ProfileInfo() as info):
                self._info = self._here(info)
                self.warnings += [f"on {self._link.host}: {warning}" for warning in line.warnings]
        return self._info is not None

    def _run(self) -> None:
        try:
            super()._run()
        finally:
            self._settled.set()

    def _write(self, line: FileLine) -> None:
        path = self._layout.path / line.folder / file_name(line.name)
        partial = path.with_name(path.name + ".part")
        try:
            partial.write_text(line.text, encoding="utf-8")
            partial.replace(path)
        except OSError as error:
            raise FolderError(f"cannot write {path}: {error.strerror}", "make room on the disk") from error

    def _here(self, info: ProfileInfo) -> ProfileInfo:
        """On this host's clock."""
        files = [
            msgspec.structs.replace(file, segments=[self._segment_here(segment) for segment in file.segments])
            for file in info.files
        ]
        return msgspec.structs.replace(info, files=files)

    def _segment_here(self, segment: ProfileSegment) -> ProfileSegment:
        start_ns = None if segment.start_ns is None else self._clock.here_ns(segment.start_ns)
        return msgspec.structs.replace(segment, start_ns=start_ns, end_ns=self._clock.here_ns(segment.end_ns))

    def _torn(self) -> ProfileInfo:
        """What came before the agent failed."""
        files = [
            ProfileFile(
                process=process.name,
                pid=process.pid,
                samples=_samples(self._layout.folded(process.name)),
                errors=0,
                error=self._trouble,
            )
            for process in self._processes
        ]
        return ProfileInfo(
            mode=self._plan.mode,
            rate_hz=self._plan.rate_hz,
            samples=sum(file.samples for file in files),
            files=files,
        )


def _samples(folded: Path) -> int:
    return sum(read_folded(folded).values()) if folded.exists() else 0
