"""Profiles several processes at the same time with py-spy and writes their folded stacks into the run folder.

Segments: py-spy writes only at its end, so it is ended and started anew every few seconds, and a kill of mmload or of
py-spy loses the segment under way at most. Attaching to a rank of real SGLang (42 threads) takes 15 to 70 ms and 10 ms
of CPU, 1 % of a segment; with native frames over a second of both, so those are recorded in one piece.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from mmload.discover import ServerProcess, read_stat
from mmload.errors import FolderError
from mmload.model.plan import ProfilePlan
from mmload.model.result import ProfileFile, ProfileInfo
from mmload.observe.frames import FrameNamer
from mmload.observe.pyspy import Recording, Segment, end_dump, ptrace_hint, start_dump
from mmload.store.layout import RunLayout
from mmload.store.stacks import write_folded, write_source

_ATTACH_S = 20.0
_POLL_S = 0.01
_LEAST_JUDGED = 50  # samples; below, half of the expected number may be missing by chance


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
        self._subjects = [_Subject(process, layout, plan) for process in processes]
        self._failed: FolderError | OSError | None = None
        self._sampling = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        # The same thread starts and ends every py-spy: the kernel interrupts those whose starting thread is gone.
        self._thread = threading.Thread(target=self._run, name="profiler", daemon=True)
        self._thread.start()

    def wait_until_sampling(self, timeout_s: float = _ATTACH_S) -> bool:
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
        give_up_ns = time.monotonic_ns() + round(_ATTACH_S * 1e9)
        while not all(subject.settled() for subject in self._subjects):
            if time.monotonic_ns() > give_up_ns or self._stopping.wait(_POLL_S):
                return


class _Subject:
    """One process under the profiler: its py-spy of the moment, and what the segments so far have brought."""

    def __init__(self, process: ServerProcess, layout: RunLayout, plan: ProfilePlan) -> None:
        self.attached = False
        self._process = process
        self._plan = plan
        self._folded = layout.folded(process.name)
        self._output = layout.stacks / f"{process.name}.segment"
        self._log = layout.logs / f"py-spy-{process.name}.log"
        self._namer = FrameNamer(process.pid)
        self._recording: Recording | None = None
        self._segments: list[Segment] = []
        self._stacks: Counter[str] = Counter()
        self._main_cpu_s = 0.0
        self._main_cpu_start_s = 0.0

    @property
    def source(self) -> dict[str, str]:
        return self._namer.source

    @property
    def refused(self) -> bool:
        return bool(self._segments) and all(segment.refused for segment in self._segments)

    @property
    def hopeless(self) -> bool:
        return self.refused or not self._lives()

    def begin(self, segment_s: float | None) -> None:
        self.attached = False
        if not self._lives():
            return
        plan = self._plan
        limit_s = 2 * (segment_s or plan.duration_s) + _ATTACH_S
        self._recording = Recording(self._process.pid, plan.rate_hz, plan.mode, self._output, self._log, limit_s)
        self._main_cpu_start_s = _main_thread_cpu_s(self._process.pid)

    def settled(self) -> bool:
        """Its py-spy samples, or has given up."""
        if self._recording is None or self._recording.ended():
            return True
        sampling = self._recording.sampling()
        self.attached |= sampling
        return sampling

    def interrupt(self) -> None:
        if self._recording:
            self._main_cpu_s += max(0.0, _main_thread_cpu_s(self._process.pid) - self._main_cpu_start_s)
            self._recording.interrupt()

    def finish(self, *, cut_short: bool) -> None:
        """Add the segment to the folded stacks on the disk. One that was cut short while it attached is no loss."""
        if self._recording is None:
            return
        segment = self._recording.collect()
        self._recording = None
        if cut_short and not self.attached and self._segments:
            return
        self._segments.append(segment)
        for stack, samples in segment.stacks.items():
            self._stacks[self._namer.rename(stack)] += samples
        if segment.error is None:
            write_folded(self._folded, self._stacks)

    def judge(self) -> ProfileFile:
        samples, errors = self._stacks.total(), sum(segment.errors for segment in self._segments)
        return ProfileFile(
            process=self._process.name,
            pid=self._process.pid,
            samples=samples,
            errors=errors,
            error=self._lost() or self._poor(samples, errors),
        )

    def _lost(self) -> str | None:
        """Why some of the profile, or all, is absent."""
        failed = [segment.error for segment in self._segments if segment.error]
        if not self._lives():
            return "the process ended during the profile"
        if not self._segments:
            return "the profile was stopped before it began"
        if failed:
            return f"{len(failed)} of {len(self._segments)} segments lost: {failed[-1]}"
        return None

    def _poor(self, samples: int, errors: int) -> str | None:
        """Why what there is can't be trusted. Few samples alone are no reason: an idle process has few."""
        if errors > samples:
            return f"more samples could not be read ({errors}) than could ({samples})"
        if any(segment.behind for segment in self._segments):
            return f"py-spy could not keep {self._plan.rate_hz} samples a second"
        expected = self._main_cpu_s * self._plan.rate_hz
        if self._plan.mode == "active" and expected >= _LEAST_JUDGED and samples + errors < expected / 2:
            return f"{samples} samples of a main thread that ran for {self._main_cpu_s:.1f} s, not {expected:.0f}"
        return None

    def _lives(self) -> bool:
        stat = read_stat(self._process.pid)
        return stat is not None and stat.start_ticks == self._process.start_ticks


def dump_all(processes: Iterable[ServerProcess], folder: Path, timeout_s: float = 10.0) -> list[str]:
    """The stacks of every thread of each process, now, into `folder/<process>.txt`: what a hung server hangs in.

    Returns a sentence for each process that could not be dumped in time; what py-spy said is then in its file. Raises
    FolderError when the folder can't be written."""
    give_up_s = time.monotonic() + timeout_s
    try:
        folder.mkdir(parents=True, exist_ok=True)
        dumps = {process.name: start_dump(process.pid, folder / f"{process.name}.txt") for process in processes}
    except OSError as error:
        raise FolderError(f"cannot write {folder}: {error.strerror}") from error
    return [f"no dump of {name}: {why}" for name, dump in dumps.items() if (why := end_dump(dump, give_up_s))]


def _main_thread_cpu_s(pid: int) -> float:
    """Seconds that the main thread alone has run; 0 where it is gone or the kernel does not count them."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e9
    except (OSError, IndexError):
        return 0.0
