"""One process under the profiler: its py-spy of the moment, and what the segments so far have brought."""

from __future__ import annotations

import time
from collections import Counter, defaultdict

from mmload.discover import ServerProcess, read_stat
from mmload.errors import FolderError
from mmload.model.manifest import ProfileFile, ProfileSegment
from mmload.model.plan import ProfilePlan
from mmload.observe.frames import FrameNamer
from mmload.observe.pyspy import Recording, Segment, split_thread
from mmload.observe.thread_cpu import ENDED, ThreadCpu
from mmload.store.layout import RunLayout
from mmload.store.read import read_folded
from mmload.store.stacks import ProcessThreads, ThreadStacks, write_folded, write_threads

ATTACH_S = 20.0
_LEAST_JUDGED = 50  # samples; below, half of the expected number may be missing or torn by chance


class Subject:
    """attached: the py-spy of the moment samples it."""

    def __init__(self, process: ServerProcess, layout: RunLayout, plan: ProfilePlan) -> None:
        self.attached = False
        self._process = process
        self._plan = plan
        self._layout = layout
        self._output = layout.stacks / f"{process.name}.segment"
        self._log = layout.logs / f"py-spy-{process.name}.log"
        self._namer = FrameNamer(process.pid)
        self._recording: Recording | None = None
        self._sampling_ns: int | None = None
        self._interrupted_ns = 0
        self._segments: list[ProfileSegment] = []
        self._refusals = 0
        self._behind = False
        self._cpu = ThreadCpu(process.pid)
        self._threads: defaultdict[int | None, Counter[str]] = defaultdict(Counter)
        self._names: dict[int | None, str] = {}

    @property
    def source(self) -> dict[str, str]:
        return self._namer.source

    @property
    def refused(self) -> bool:
        return bool(self._segments) and self._refusals == len(self._segments)

    @property
    def hopeless(self) -> bool:
        return self.refused or not self._lives()

    def begin(self, segment_s: float | None) -> None:
        self.attached, self._sampling_ns = False, None
        if not self._lives():
            return
        plan = self._plan
        limit_s = 2 * (segment_s or plan.duration_s) + ATTACH_S
        try:
            self._recording = Recording(self._process.pid, plan.rate_hz, plan.mode, self._output, self._log, limit_s)
        except OSError as error:
            self._interrupted_ns = time.monotonic_ns()
            self._take(Segment(error=f"py-spy could not be started ({error.strerror})"))

    def settled(self) -> bool:
        """Its py-spy samples, or has given up."""
        if self._recording is None or self._recording.ended():
            return True
        if not self.attached and self._recording.sampling():
            self.attached, self._sampling_ns = True, time.monotonic_ns()
            self._cpu.begin()
        return self.attached

    def interrupt(self) -> None:
        if self._recording:
            self._cpu.end()
            self._interrupted_ns = time.monotonic_ns()
            self._recording.interrupt()

    def finish(self, *, cut_short: bool) -> None:
        """Add the segment to what is on the disk. One that was cut short while it attached is no loss."""
        if self._recording is None:
            return
        segment = self._recording.collect()
        self._recording = None
        if cut_short and not self.attached and self._segments:
            return
        self._take(segment)
        if segment.error is None:
            write_folded(self._layout.folded(self._process.name), sum(self._threads.values(), Counter()))
            self._write_threads()

    def judge(self) -> ProfileFile:
        samples = sum(segment.samples for segment in self._segments)
        errors = sum(segment.errors for segment in self._segments)
        asked = self._asked()
        return ProfileFile(
            process=self._process.name,
            pid=self._process.pid,
            samples=samples,
            errors=errors,
            error=self._lost() or self._damaged(samples) or self._poor(samples, errors, asked),
            asked=asked,
            segments=self._segments,
        )

    def _take(self, segment: Segment) -> None:
        self._refusals += segment.refused
        self._behind |= segment.behind
        self._segments.append(
            ProfileSegment(
                start_ns=self._sampling_ns,
                end_ns=self._interrupted_ns,
                samples=sum(segment.stacks.values()),
                errors=segment.errors,
                cpu_s=segment.cpu_s,
                error=segment.error,
            )
        )
        for raw, samples in segment.stacks.items():
            tid, name, stack = split_thread(raw)
            self._threads[tid][self._namer.rename(stack)] += samples
            self._names[tid] = name

    def _write_threads(self) -> None:
        """Nothing where the kernel does not count by thread, or py-spy does not know whose a stack is."""
        spent_s = self._cpu.spent_s
        if not spent_s or None in self._threads:
            return
        ended = sum((stacks for tid, stacks in self._threads.items() if tid not in spent_s), Counter[str]())
        own = {**{tid: self._threads.get(tid, Counter[str]()) for tid in spent_s}, ENDED: ended}
        threads = [
            ThreadStacks(
                tid=tid, name=self._name(tid), cpu_s=spent_s[tid], waited_s=self._cpu.waited_s[tid], stacks=dict(stacks)
            )
            for tid, stacks in sorted(own.items(), key=lambda item: (-spent_s[item[0]], item[0]))
        ]
        errors = sum(segment.errors for segment in self._segments)
        document = ProcessThreads(seconds=self._cpu.seconds, rate_hz=self._plan.rate_hz, errors=errors, threads=threads)
        write_threads(self._layout, self._process.name, document)

    def _name(self, tid: int) -> str:
        if tid == ENDED:
            return "ended threads"
        return self._names.get(tid) or ("MainThread" if tid == self._process.pid else self._cpu.names.get(tid, ""))

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

    def _asked(self) -> int | None:
        """Of the main thread alone: other threads add to them. Who holds the GIL, and for how long, nobody counts."""
        if self._plan.mode == "gil":
            return None
        seen_s = self._cpu.seconds if self._plan.mode == "idle" else self._cpu.spent_s[self._process.pid]
        return round(seen_s * self._plan.rate_hz)

    def _damaged(self, samples: int) -> str | None:
        """What its file is short of, read back."""
        file = self._layout.folded(self._process.name)
        try:
            stored = sum(read_folded(file).values()) if file.exists() else 0
        except FolderError as error:
            return str(error)
        return None if stored == samples else f"its file holds {stored} samples, not {samples}"

    def _poor(self, samples: int, errors: int, asked: int | None) -> str | None:
        """Why what there is can't be trusted. Few samples alone are no reason: an idle process has few."""
        if errors > samples and samples + errors >= _LEAST_JUDGED:
            return f"more samples could not be read ({errors}) than could ({samples})"
        if self._behind:
            return f"py-spy could not keep {self._plan.rate_hz} samples a second"
        if asked is not None and asked >= _LEAST_JUDGED and samples + errors < asked / 2:
            return f"{samples} samples, not the {asked} that its main thread alone was good for"
        return None

    def _lives(self) -> bool:
        stat = read_stat(self._process.pid)
        return stat is not None and stat.start_ticks == self._process.start_ticks
