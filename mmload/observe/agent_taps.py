"""What the streams of an agent are fed from: what a sampler writes, and the files of a profile."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import msgspec

from mmload.model.records import HostSample, ProcessSample
from mmload.observe.agent_protocol import FileLine, HostLine, Line, ProcessLine
from mmload.store.layout import RunLayout


class LineQueue:
    """Takes what the sampler's thread writes until the stream takes it away."""

    def __init__(self) -> None:
        self._lines: deque[Line] = deque()

    def write(self, record: msgspec.Struct) -> None:
        if isinstance(record, ProcessSample):
            self._lines.append(ProcessLine(record))
        elif isinstance(record, HostSample):
            self._lines.append(HostLine(record))

    def take(self) -> list[Line]:
        return [self._lines.popleft() for _ in range(len(self._lines))]

    def flush(self) -> None:
        """There is nothing between `write` and `take`."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class Mirror:
    """The files of a profile as they change. What py-spy is still at work on is no file of a run folder."""

    def __init__(self, layout: RunLayout) -> None:
        self._folders: dict[Literal["stacks", "logs"], Path] = {"stacks": layout.stacks, "logs": layout.logs}
        self._seen: dict[Path, tuple[int, int]] = {}

    def changed(self) -> list[FileLine]:
        lines = []
        for folder, path in self._folders.items():
            for file in sorted(path.iterdir()):
                if file.suffix in (".segment", ".part"):
                    continue
                stat = file.stat()
                if self._seen.get(file) == (stat.st_mtime_ns, stat.st_size):
                    continue
                self._seen[file] = (stat.st_mtime_ns, stat.st_size)
                text = file.read_text(encoding="utf-8", errors="replace")
                lines.append(FileLine(folder=folder, name=file.name, text=text))
        return lines
