"""Reading run folders back: lazily, tolerant of a line that a kill cut short, strict about everything else."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import TypeVar, cast

import msgspec

from mmload.errors import FolderError
from mmload.model.manifest import Manifest
from mmload.model.plan import SCHEMA, Plan
from mmload.model.records import (
    AnswerRecord,
    GeneratorSample,
    HostSample,
    ProcessSample,
    ScrapeLine,
    ServerScrape,
)
from mmload.model.result import Summary, Verdict
from mmload.store.layout import RunLayout, is_run_id
from mmload.store.lock import is_being_written
from mmload.store.requests import RequestLine, RequestTable, table_of
from mmload.store.scrapes import whole_scrapes

_COUNT = re.compile(r"0*[1-9][0-9]{0,9}")

Record = TypeVar("Record", bound=msgspec.Struct)
Made = TypeVar("Made")


class _Sample(msgspec.Struct, frozen=True, gc=False):
    t_ns: int


class Run:
    """A stored run. A property reads its file when first asked for, and once unless it says otherwise; it raises
    FolderError on damage."""

    def __init__(self, path: Path) -> None:
        self.layout = RunLayout(path.absolute())
        self._made: dict[object, object] = {}

    @property
    def run_id(self) -> str:
        return self.layout.run_id

    @cached_property
    def manifest(self) -> Manifest:
        """The manifest; a run that says 'running' and that nobody writes any more was killed: it is 'partial'."""
        manifest = read_document(self.layout.manifest, Manifest)
        if manifest.schema > SCHEMA:
            newer = f"{self.run_id} was written by a newer mmload (schema {manifest.schema}, known are up to {SCHEMA})"
            raise FolderError(newer, "read it with that one")
        if manifest.status == "running" and not is_being_written(self.layout.plan):
            return msgspec.structs.replace(manifest, status="partial", error=manifest.error or "mmload was killed")
        return manifest

    @cached_property
    def plan(self) -> Plan:
        return read_document(self.layout.plan, Plan)

    @cached_property
    def summary(self) -> Summary:
        return read_document(self.layout.summary, Summary)

    @cached_property
    def verdict(self) -> Verdict | None:
        """The last gate's verdict; None if it was never judged."""
        return read_document(self.layout.verdict, Verdict) if self.layout.verdict.is_file() else None

    @cached_property
    def requests(self) -> RequestTable:
        """None in a profile without load, which has no such file."""
        if self.manifest.kind == "profile":
            return table_of(())
        return table_of(self._kept(self.layout.requests, RequestLine))

    @cached_property
    def answers(self) -> dict[str, AnswerRecord]:
        """What the identity requests were answered, by request id. A run has none where it was made before texts were
        kept."""
        return {answer.id: answer for answer in read_lines(self.layout.answers, AnswerRecord)}

    @property
    def processes(self) -> Iterator[ProcessSample]:
        """Read anew each time, one by one: a day has millions."""
        return self._kept(self.layout.processes, ProcessSample)

    @cached_property
    def host(self) -> list[HostSample]:
        """Of the host that the server's processes run on: an agent's, or the driver's own."""
        samples = read_lines(self.layout.host, HostSample)
        return [sample for sample in samples if (sample.host is None) == (self.manifest.agent is None)]

    @cached_property
    def driver_host(self) -> list[HostSample]:
        """Of the driver's own host, which generates the load."""
        return [sample for sample in read_lines(self.layout.host, HostSample) if sample.host is None]

    @property
    def server(self) -> Iterator[ServerScrape]:
        """Read anew each time, one by one: each holds every metric of the server."""
        return whole_scrapes(lambda: read_lines(self.layout.server, ScrapeLine))

    @cached_property
    def generator(self) -> list[GeneratorSample]:
        return list(read_lines(self.layout.generator, GeneratorSample))

    @cached_property
    def last_sample_ns(self) -> int:
        """When the last sample of a process, of the server's metrics or of a worker was taken; 0 without any."""
        files = (self.layout.processes, self.layout.server, self.layout.generator)
        return max((sample.t_ns for path in files for sample in read_lines(path, _Sample)), default=0)

    @cached_property
    def stacks(self) -> dict[str, dict[str, int]]:
        """process name -> folded stack -> samples, for every file in stacks/."""
        return {path.stem: read_folded(path) for path in sorted(self.layout.stacks.glob("*.folded"))}

    def once(self, make: Callable[[Run], Made]) -> Made:
        """What `make` makes of this run: made when it is first asked for, and kept with the run."""
        if make not in self._made:
            self._made[make] = make(self)
        return cast("Made", self._made[make])

    def sealed(self, manifest: Manifest) -> Run:
        """The same run under the manifest that was written last; its requests are not read again."""
        run = Run(self.layout.path)
        run.manifest, run.requests = manifest, self.requests
        return run

    def _kept(self, path: Path, kind: type[Record]) -> Iterator[Record]:
        """The records of a file that every run that came to its end has."""
        if self.manifest.status == "complete" and not path.is_file():
            raise FolderError(f"{path} is missing: the run folder is damaged")
        return read_lines(path, kind)


def is_there(path: Path) -> bool:
    """Whether there is anything; nothing is where no name could be, or where one may not look."""
    try:
        return path.exists()
    except OSError:
        return False


def find_run(name: str, out: Path) -> Run:
    """A run given as a run-id below `out` or as a path; raises FolderError, with what is there, when neither is."""
    for path in (out / name, Path(name)):
        if is_there(path / "manifest.json"):
            return Run(path)
    if is_there(Path(name)) or is_there(out / name):
        raise FolderError(f"{name} is not a run folder: it has no manifest.json")
    known = [run.run_id for run in list_runs(out)][:3]
    raise FolderError(f"no run {name!r} in {out}", f"the newest are {', '.join(known)}" if known else f"{out} is empty")


def list_runs(out: Path) -> list[Run]:
    """All run folders below `out`, the newest first (run-ids sort by time)."""
    if not out.is_dir():
        return []
    found = [p for p in out.iterdir() if is_run_id(p.name) and (p / "manifest.json").is_file()]
    return [Run(path) for path in sorted(found, key=lambda p: p.name, reverse=True)]


def read_document(path: Path, kind: type[Record]) -> Record:
    try:
        return msgspec.json.decode(path.read_bytes(), type=kind)
    except OSError as error:
        raise FolderError(f"cannot read {path}: {error.strerror}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise FolderError(f"{path} is damaged: {error}") from error


def read_lines(path: Path, kind: type[Record]) -> Iterator[Record]:
    """The records of a .jsonl file. An absent file has none; a last line without its newline is a cut one and is
    left out; any other line that can't be read raises FolderError with its number."""
    decoder = msgspec.json.Decoder(kind)
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if not line.endswith(b"\n"):
                    return
                yield _decode_line(decoder, line, path, number)
    except FileNotFoundError:
        return
    except OSError as error:
        raise FolderError(f"cannot read {path}: {error.strerror}") from error


def _decode_line(decoder: msgspec.json.Decoder[Record], line: bytes, path: Path, number: int) -> Record:
    try:
        return decoder.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise FolderError(f"{path} line {number} is damaged: {error}") from error


def read_folded(path: Path) -> dict[str, int]:
    """Folded stacks, `frame;frame;frame count` a line -> {stack: samples}. Raises FolderError on a damaged line."""
    stacks: dict[str, int] = {}
    try:
        with path.open(encoding="utf-8", errors="replace", newline="\n") as file:
            for number, line in enumerate(file, 1):
                stack, _, count = line.removesuffix("\n").rpartition(" ")
                if not stack or not _COUNT.fullmatch(count):
                    raise FolderError(f"{path} line {number} is damaged: expected 'frame;frame count'")
                stacks[stack] = stacks.get(stack, 0) + int(count)
    except OSError as error:
        raise FolderError(f"cannot read {path}: {error.strerror}") from error
    return stacks
