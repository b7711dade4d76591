"""One process under the profiler: its py-spy of the moment, and what the segments so far have brought."""

from __future__ import annotations

from collections import Counter, defaultdict

from mmload.discover import ServerProcess, read_stat
from mmload.model.plan import ProfilePlan
from mmload.model.result import ProfileFile
from mmload.observe.frames import FrameNamer
from mmload.observe.pyspy import Recording, Segment, split_thread
from mmload.observe.thread_cpu import ENDED, ThreadCpu
from mmload.store.layout import RunLayout
from mmload.store.stacks import ProcessThreads, ThreadStacks, write_folded, write_threads

ATTACH_S = 20.0
_LEAST_JUDGED = 50  # samples; below, half of the expected number may be missing by chance


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
        self._segments: list[Segment] = []
        self._cpu = ThreadCpu(process.pid)
        self._threads: defaultdict[int | None, Counter[str]] = defaultdict(Counter)
        self._names: dict[int | None, str] = {}

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
        limit_s = 2 * (segment_s or plan.duration_s) + ATTACH_S
        self._recording = Recording(self._process.pid, plan.rate_hz, plan.mode, self._output, self._log, limit_s)

    def settled(self) -> bool:
        """Its py-spy samples, or has given up."""
        if self._recording is None or self._recording.ended():
            return True
        if not self.attached and self._recording.sampling():
            self.attached = True
            self._cpu.begin()
        return self.attached

    def interrupt(self) -> None:
        if self._recording:
            self._cpu.end()
            self._recording.interrupt()

    def finish(self, *, cut_short: bool) -> None:
        """Add the segment to what is on the disk. One that was cut short while it attached is no loss."""
        if self._recording is None:
            return
        segment = self._recording.collect()
        self._recording = None
        if cut_short and not self.attached and self._segments:
            return
        self._segments.append(segment)
        for raw, samples in segment.stacks.items():
            tid, name, stack = split_thread(raw)
            self._threads[tid][self._namer.rename(stack)] += samples
            self._names[tid] = name
        if segment.error is None:
            write_folded(self._layout.folded(self._process.name), sum(self._threads.values(), Counter()))
            self._write_threads()

    def judge(self) -> ProfileFile:
        samples = sum(stacks.total() for stacks in self._threads.values())
        errors = sum(segment.errors for segment in self._segments)
        return ProfileFile(
            process=self._process.name,
            pid=self._process.pid,
            samples=samples,
            errors=errors,
            error=self._lost() or self._poor(samples, errors),
        )

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
        write_threads(self._layout, self._process.name, ProcessThreads(seconds=self._cpu.seconds, threads=threads))

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

    def _poor(self, samples: int, errors: int) -> str | None:
        """Why what there is can't be trusted. Few samples alone are no reason: an idle process has few."""
        if errors > samples:
            return f"more samples could not be read ({errors}) than could ({samples})"
        if any(segment.behind for segment in self._segments):
            return f"py-spy could not keep {self._plan.rate_hz} samples a second"
        main_cpu_s = self._cpu.spent_s[self._process.pid]
        expected = main_cpu_s * self._plan.rate_hz
        if self._plan.mode == "active" and expected >= _LEAST_JUDGED and samples + errors < expected / 2:
            return f"{samples} samples of a main thread that ran for {main_cpu_s:.1f} s, not {expected:.0f}"
        return None

    def _lives(self) -> bool:
        stat = read_stat(self._process.pid)
        return stat is not None and stat.start_ticks == self._process.start_ticks
