"""The dumps of all processes of a server at one moment, and what they say together."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from mmload.analyse.dumps import GONE, kernel_line
from mmload.analyse.waits import who_waits
from mmload.discover import ServerProcess
from mmload.errors import FolderError
from mmload.observe.observer import KernelWord, Observer
from mmload.plan.phases import rules_for

_TIMEOUT_S = 5.0
_BETWEEN_LOOKS_S = 0.3  # long enough to see who runs: the kernel counts in nanoseconds


def dump_and_say(
    observer: Observer, processes: Sequence[ServerProcess], folder: Path, engine: str
) -> tuple[str, list[str]]:
    """Dump every process into `folder/<process>.txt`, with the kernel's word at its end: (who waits for whom, what
    could not be dumped), in sentences. Takes seconds at most. Raises FolderError, and what the observer raises."""
    start_ns = time.monotonic_ns()
    before = observer.states(processes)
    problems = observer.dump(processes, folder, _TIMEOUT_S)
    time.sleep(max(0.0, _BETWEEN_LOOKS_S - (time.monotonic_ns() - start_ns) / 1e9))
    now = observer.states(processes)
    over_ms = (time.monotonic_ns() - start_ns) / 1e6
    dumps = {}
    for process in processes:
        line = _kernel_line(process.pid, before.get(process.name), now.get(process.name), over_ms)
        dumps[process.name] = _add_line(folder / f"{process.name}.txt", line)
    return who_waits(dumps, rules_for(engine)), problems


def _kernel_line(pid: int, before: KernelWord | None, now: KernelWord | None, over_ms: float) -> str:
    if now is None:
        return kernel_line(pid, GONE)
    ran_ms = None
    if before is not None and before.ran_ns is not None and now.ran_ns is not None:
        ran_ms = (now.ran_ns - before.ran_ns) / 1e6
    return kernel_line(pid, now.state, now.waits_in, ran_ms, over_ms)


def _add_line(file: Path, line: str) -> str:
    """Put it below what py-spy said; the whole text."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        said = file.read_text(encoding="utf-8", errors="replace").rstrip() if file.exists() else ""
        text = f"{said}\n\n{line}\n".lstrip()
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise FolderError(f"cannot write {file}: {error.strerror}") from error
    return text
