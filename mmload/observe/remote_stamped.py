"""Stacks with their times that an agent takes, in the run folder at their end, on this host's clock."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial

import msgspec

from mmload.discover import ServerProcess
from mmload.errors import FolderError
from mmload.model.manifest import StampedFile, StampedInfo
from mmload.model.plan import ProfilePlan
from mmload.observe.agent_link import AgentClock, AgentLink
from mmload.observe.agent_protocol import Done, FileLine, Line, SampleRequest, StampRequest
from mmload.observe.remote_stream import StreamReader
from mmload.observe.stamped import dated
from mmload.store.layout import RunLayout
from mmload.store.stacks import SourceLines, read_source, write_source
from mmload.store.stamped import StampedStacks, contradiction, write_stamped

_MOST_ERROR_NS = 10_000_000_000  # a clock that is known no better can't be held against when it was asked

Files = dict[tuple[str, str], Callable[[str], None]]


class RemoteStamper(StreamReader):
    """The stamper of an agent. What it sends is held against what was asked: of those processes, once each, and of the
    time since. Where it fails, what has come so far is kept, and the StampedFiles say why there is no more."""

    def __init__(
        self,
        link: AgentLink,
        clock: AgentClock,
        request: SampleRequest,
        processes: list[ServerProcess],
        layout: RunLayout,
        plan: ProfilePlan,
    ) -> None:
        asked = StampRequest(
            sought=request.sought, processes=request.processes, rate_hz=plan.rate_hz, duration_s=plan.stamped_s
        )
        super().__init__(link, "/stamp", asked)
        self.warnings: list[str] = []
        self._clock = clock
        self._layout = layout
        self._rate_hz = plan.rate_hz
        self._asked_ns = 0
        self._files = {process.name: StampedFile(process=process.name, pid=process.pid) for process in processes}
        self._said: dict[str, StampedFile] = {}
        self._awaited: Files = {("stacks", "source.json"): self._add_source}
        for name in self._files:
            self._awaited["stacks", layout.stamped(name).name] = partial(self._keep, name)
            self._awaited["logs", f"py-spy-{name}.log"] = partial(self._add_log, f"py-spy-{name}.log")

    def start(self) -> None:
        self._asked_ns = time.monotonic_ns()
        super().start()

    def stop(self) -> StampedInfo:
        self._end()
        return StampedInfo(rate_hz=self._rate_hz, files=[self._final(file) for file in self._files.values()])

    def _take(self, line: Line) -> bool:
        match line:
            case FileLine(folder=folder, name=name, text=text):
                take = self._awaited.pop((folder, name), None)
                if take is None:
                    raise self._link.trouble(f"it sends a file {name!r} that it was not asked for")
                take(text)
            case Done(stamped=StampedInfo() as info):
                self._said = {file.process: file for file in info.files}
                self._trouble = "the agent has sent none"
                return True
        return False

    def _keep(self, process: str, text: str) -> None:
        file = self._files[process]
        try:
            stamped = self._here(msgspec.json.decode(text, type=StampedStacks))
        except (msgspec.DecodeError, RecursionError) as error:
            why: str | None = str(error)
        else:
            why = contradiction(stamped) or self._misplaced(stamped)
        if why is not None:
            self._files[process] = msgspec.structs.replace(file, error=f"what the agent sent is damaged: {why}")
            return
        write_stamped(self._layout, process, stamped)
        self._files[process] = dated(file, stamped)

    def _here(self, stamped: StampedStacks) -> StampedStacks:
        offset_ns, error_ns = self._clock.reading
        threads = [
            msgspec.structs.replace(thread, t_ns=[t_ns - offset_ns for t_ns in thread.t_ns])
            for thread in stamped.threads
        ]
        return msgspec.structs.replace(
            stamped,
            start_ns=stamped.start_ns - offset_ns,
            end_ns=stamped.end_ns - offset_ns,
            clock_error_ns=stamped.clock_error_ns + error_ns,
            threads=threads,
        )

    def _misplaced(self, stamped: StampedStacks) -> str | None:
        error_ns = min(stamped.clock_error_ns, _MOST_ERROR_NS)
        if stamped.start_ns + error_ns < self._asked_ns:
            return "times before it was asked"
        return "times that are yet to come" if stamped.end_ns - error_ns > time.monotonic_ns() else None

    def _add_source(self, text: str) -> None:
        """Beside those of the profile."""
        try:
            lines = msgspec.json.decode(text, type=SourceLines).lines
        except (msgspec.DecodeError, RecursionError) as error:
            self.warnings.append(f"no source lines of the stacks with their times: {error}")
        else:
            write_source(self._layout, read_source(self._layout) | lines)

    def _add_log(self, name: str, text: str) -> None:
        """Behind what the profile said there."""
        path = self._layout.logs / name
        try:
            with path.open("a", encoding="utf-8") as log:
                log.write(text)
        except OSError as error:
            raise FolderError(f"cannot write {path}: {error.strerror}", "make room on the disk") from error

    def _final(self, file: StampedFile) -> StampedFile:
        """With what only the agent knows."""
        said = self._said.get(file.process, file)
        if file.start_ns is not None:
            return msgspec.structs.replace(file, cpu_s=said.cpu_s)
        error = file.error or said.error or self._trouble
        return msgspec.structs.replace(file, errors=said.errors, cpu_s=said.cpu_s, error=error)
