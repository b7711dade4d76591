"""Stacks that an agent takes, in the run folder after each segment."""

from __future__ import annotations

import threading
from contextlib import suppress
from pathlib import Path

import msgspec

from mmload.discover import ServerProcess
from mmload.errors import FolderError, ServerError
from mmload.model.manifest import ProfileFile, ProfileInfo, ProfileSegment
from mmload.model.plan import ProfilePlan
from mmload.observe.agent_link import AgentClock, AgentLink, AgentStream
from mmload.observe.agent_protocol import (
    Done,
    Failed,
    FileLine,
    ProfileRequest,
    SampleRequest,
    Settled,
    file_name,
)
from mmload.store.layout import RunLayout
from mmload.store.read import read_folded


class RemoteProfiler:
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
        self.warnings: list[str] = []
        self._link = link
        self._clock = clock
        self._request = ProfileRequest(
            sought=request.sought,
            processes=request.processes,
            mode=plan.mode,
            rate_hz=plan.rate_hz,
            duration_s=plan.duration_s,
        )
        self._processes = processes
        self._layout = layout
        self._stream: AgentStream | None = None
        self._settled = threading.Event()
        self._is_sampling = False
        self._stopping = False
        self._info: ProfileInfo | None = None
        self._trouble = "it was stopped before it began"
        self._failed: FolderError | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name="remote-profiler", daemon=True)
        self._thread.start()

    def wait_until_sampling(self, timeout_s: float) -> bool:
        return self._settled.wait(timeout_s) and self._is_sampling

    @property
    def settled(self) -> bool:
        return self._settled.is_set()

    def stop(self) -> ProfileInfo:
        self._stopping = True
        if self._thread:
            if self._stream:
                with suppress(ServerError):  # then the stream breaks off too, and says it
                    self._stream.end()
            self._thread.join()
        if self._failed:
            raise self._failed
        return self._info or self._torn()

    def _run(self) -> None:
        try:
            self._stream = stream = self._link.stream("/profile", self._request)
            if self._stopping:
                stream.end()
            for line in stream:
                match line:
                    case FileLine():
                        self._write(line)
                    case Settled(sampling):
                        self._is_sampling = sampling
                        self._settled.set()
                    case Done(info=ProfileInfo() as info):
                        self._info = self._here(info)
                        self.warnings += [f"on {self._link.host}: {warning}" for warning in line.warnings]
                        return
                    case Failed(why):
                        raise self._link.trouble(why)
            raise self._link.trouble("its profile broke off")
        except ServerError as error:
            self._trouble = str(error)
        except FolderError as error:
            self._failed = error
        finally:
            self._settled.set()
            if self._stream:
                self._stream.close()

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
            mode=self._request.mode,
            rate_hz=self._request.rate_hz,
            samples=sum(file.samples for file in files),
            files=files,
        )


def _samples(folded: Path) -> int:
    return sum(read_folded(folded).values()) if folded.exists() else 0
