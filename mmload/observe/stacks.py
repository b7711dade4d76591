"""Profiles several processes at the same time with py-spy and writes their folded stacks into the run folder.

Segments: py-spy writes only at its end, so it is ended and started anew every few seconds, and a kill of mmload or of
py-spy loses the segment under way at most. Attaching to a rank of real SGLang (42 threads) takes 15 to 70 ms and 10 ms
of CPU, 1 % of a segment; with native frames over a second of both, so those are recorded in one piece.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from pathlib import Path

from mmload.discover import ServerProcess
from mmload.errors import FolderError
from mmload.model.manifest import ProfileInfo
from mmload.model.plan import ProfilePlan
from mmload.observe.pyspy import end_dump, ptrace_hint, start_dump
from mmload.observe.subject import ATTACH_S, Subject
from mmload.store.layout import RunLayout
from mmload.store.stacks import write_source

_POLL_S = 0.01


def worth_profiling(processes: Iterable[ServerProcess]) -> list[ServerProcess]:
    """The scheduler ranks and the tokenizer, or all when there is neither."""
    processes = list(processes)
    return [process for process in processes if process.role in ("scheduler", "tokenizer")] or processes


class Profiler:
    """One py-spy a process, all at the same time, from `start` to `stop`, by this process's clock.

    A profile that is poor or absent is said in the ProfileFile of its process; one that the kernel refuses altogether
    is mode 'none' and one of the `warnings`.
    """

    def __init__(
        self, processes: Iterable[ServerProcess], layout: RunLayout, plan: ProfilePlan, segment_s: float = 5.0
    ) -> None:
        self.warnings: list[str] = []
        self._plan = plan
        self._layout = layout
        self._segment_s = None if plan.mode == "native" else segment_s  # None: one, as long as it takes
        self._subjects = [Subject(process, layout, plan) for process in processes]
        self._failed: FolderError | OSError | None = None
        self._sampling = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        # The same thread starts and ends every py-spy: the kernel interrupts those whose starting thread is gone.
        self._thread = threading.Thread(target=self._run, name="profiler", daemon=True)
        self._thread.start()

    @property
    def settled(self) -> bool:
        """Every py-spy has come to sample, or has given up."""
        return self._sampling.is_set()

    def wait_until_sampling(self, timeout_s: float = ATTACH_S) -> bool:
        """Wait until every py-spy samples or has given up. False when none samples, or not all have come so far."""
        return self._sampling.wait(timeout_s) and any(subject.attached for subject in self._subjects)

    def stop(self) -> ProfileInfo:
        """End every py-spy, write what it found and say how good it is. Raises FolderError when it can't be written."""
        self._stopping.set()
        if self._thread:
            self._thread.join()
        if self._failed:
            raise self._failed
        refused = bool(self._subjects) and all(subject.refused for subject in self._subjects)
        if refused:
            self.warnings.append(f"no stacks: the kernel does not let py-spy read the server; mend: {ptrace_hint()}")
        files = [subject.judge() for subject in self._subjects]
        return ProfileInfo(
            mode="none" if refused else self._plan.mode,
            rate_hz=self._plan.rate_hz,
            samples=sum(file.samples for file in files),
            errors=sum(file.errors for file in files),
            files=files,
        )

    def _run(self) -> None:
        try:
            while not self._stopping.is_set() and not all(subject.hopeless for subject in self._subjects):
                if not self._record_segment():
                    self._stopping.wait(self._segment_s)
        except (FolderError, OSError) as error:
            self._failed = error
        finally:
            self._sampling.set()

    def _record_segment(self) -> bool:
        """Whether any process could be sampled."""
        for subject in self._subjects:
            subject.begin(self._segment_s)
        self._wait_until_settled()
        self._sampling.set()
        attached = any(subject.attached for subject in self._subjects)
        if attached:
            self._stopping.wait(self._segment_s)
        for subject in self._subjects:
            subject.interrupt()
        for subject in self._subjects:
            subject.finish(cut_short=self._stopping.is_set())
        write_source(
            self._layout, {place: text for subject in self._subjects for place, text in subject.source.items()}
        )
        return attached

    def _wait_until_settled(self) -> None:
        give_up_ns = time.monotonic_ns() + round(ATTACH_S * 1e9)
        while not all(subject.settled() for subject in self._subjects):
            if time.monotonic_ns() > give_up_ns or self._stopping.wait(_POLL_S):
                return


def dump_all(processes: Iterable[ServerProcess], folder: Path, timeout_s: float = 10.0) -> list[str]:
    """The stacks of every thread of each process, now, into `folder/<process>.txt`: what a hung server hangs in.

    Returns a sentence for each reason why processes could not be dumped in time; what py-spy said is then in their
    files. Raises FolderError when the folder can't be written."""
    give_up_s = time.monotonic() + timeout_s
    try:
        folder.mkdir(parents=True, exist_ok=True)
        dumps = {process.name: start_dump(process.pid, folder / f"{process.name}.txt") for process in processes}
    except OSError as error:
        raise FolderError(f"cannot write {folder}: {error.strerror}") from error
    by_reason: dict[str, list[str]] = {}
    for name, dump in dumps.items():
        if why := end_dump(dump, folder / f"{name}.txt", give_up_s):
            by_reason.setdefault(why, []).append(name)
    return [f"no dump of {', '.join(names)}: {why}" for why, names in by_reason.items()]
