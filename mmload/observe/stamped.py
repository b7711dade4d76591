"""Takes the stacks of several processes with their times: what each was in while a certain request waited.

One py-spy a process, as in a profile, but it sees threads that wait too. Nothing else is taken from these stacks, so
that the profile's shares stay those of an undisturbed window of their own.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

import msgspec

from mmload.discover import ServerProcess
from mmload.model.manifest import StampedFile, StampedInfo
from mmload.model.plan import ProfilePlan
from mmload.observe.frames import FrameNamer
from mmload.observe.pyspy_stamped import StampedChanges, StampedRecording, StampedSegment
from mmload.observe.subject import ATTACH_S
from mmload.store.layout import RunLayout
from mmload.store.stacks import read_source, write_source
from mmload.store.stamped import UNKNOWN, StampedStacks, StampedThread, write_stamped

_POLL_S = 0.002  # how well it is known when a py-spy ended is how well its clock is known
_GRACE_S = 5.0


class StampedProfiler:
    """The stamper of this host's own processes."""

    def __init__(self, processes: Iterable[ServerProcess], layout: RunLayout, plan: ProfilePlan) -> None:
        self.warnings: list[str] = []
        self._processes = list(processes)
        self._layout = layout
        self._plan = plan
        self._recordings: dict[str, StampedRecording] = {}
        self._unstarted: dict[str, str] = {}
        self._namers: dict[str, FrameNamer] = {}

    def start(self) -> None:
        limit_s = 2 * self._plan.stamped_s + ATTACH_S
        for process in self._processes:
            output = self._layout.stacks / f"{process.name}.segment"
            log = self._layout.logs / f"py-spy-{process.name}.log"
            self._namers[process.name] = FrameNamer(process.pid)
            try:
                recording = StampedRecording(process.pid, self._plan.rate_hz, output, log, limit_s)
            except OSError as error:
                self._unstarted[process.name] = f"py-spy could not be started ({error.strerror})"
            else:
                self._recordings[process.name] = recording

    def stop(self) -> StampedInfo:
        living = {process.name: _threads_of(process.pid) for process in self._processes}
        for recording in self._recordings.values():
            recording.interrupt()
        at_work, give_up_s = list(self._recordings.values()), time.monotonic() + _GRACE_S
        while (at_work := [one for one in at_work if not one.ended()]) and time.monotonic() < give_up_s:
            time.sleep(_POLL_S)
        segments = {name: StampedSegment(error=why) for name, why in self._unstarted.items()}
        segments |= {name: recording.collect() for name, recording in self._recordings.items()}
        files = [self._keep(process, segments[process.name], living[process.name]) for process in self._processes]
        source = {place: text for namer in self._namers.values() for place, text in namer.source.items()}
        write_source(self._layout, read_source(self._layout) | source)
        return StampedInfo(rate_hz=self._plan.rate_hz, files=files)

    def _keep(self, process: ServerProcess, segment: StampedSegment, living: set[int]) -> StampedFile:
        """living: the threads that there were at the end."""
        if segment.error is None and not segment.threads:
            segment = msgspec.structs.replace(segment, error="py-spy saw no thread")
        said = StampedFile(
            process=process.name, pid=process.pid, errors=segment.errors, cpu_s=segment.cpu_s, error=segment.error
        )
        if segment.error is not None:
            return said
        stamped = _stamped(segment, process.pid, living, self._namers[process.name], self._plan.rate_hz)
        write_stamped(self._layout, process.name, stamped)
        return dated(said, stamped)


def dated(said: StampedFile, stamped: StampedStacks) -> StampedFile:
    """With what the stacks say of themselves."""
    return msgspec.structs.replace(
        said,
        start_ns=stamped.start_ns,
        end_ns=stamped.end_ns,
        changes=sum(len(thread.t_ns) for thread in stamped.threads),
        errors=stamped.errors,
        clock_error_ms=stamped.clock_error_ns / 1e6,
    )


def _stamped(segment: StampedSegment, pid: int, living: set[int], namer: FrameNamer, rate_hz: int) -> StampedStacks:
    """Of one process, on this host's clock."""
    ordered = sorted(segment.threads, key=lambda thread: not _is_main(thread, pid))
    moving = [one for place, one in enumerate(ordered) if not place or len({stack for _, stack in one.changes}) > 1]
    places: dict[str, int] = {}

    def thread_of(one: StampedChanges) -> StampedThread:
        stacks = [places.setdefault(namer.rename(raw), len(places)) if raw else UNKNOWN for _, raw in one.changes]
        if living and one.tid is not None and one.tid not in living:
            stacks[-1] = UNKNOWN  # what py-spy saw last goes on for it, although the thread has ended
        name = one.name or ("MainThread" if _is_main(one, pid) else "")
        return StampedThread(name=name, t_ns=[segment.zero_ns + 1000 * t_us for t_us, _ in one.changes], stack=stacks)

    threads = [thread_of(one) for one in moving]
    start_ns = min(t_ns for thread in threads for t_ns in thread.t_ns[:1])
    end_ns = segment.zero_ns + 1000 * segment.end_us
    looks = segment.samples / len(ordered)
    return StampedStacks(
        start_ns=start_ns,
        end_ns=end_ns,
        clock_error_ns=segment.error_ns,
        rate_hz=min(rate_hz, max(1.0, looks / ((end_ns - start_ns) / 1e9 or 1.0))),
        errors=segment.errors,
        stacks=list(places),
        threads=threads,
        still=len(ordered) - len(moving),
    )


def _is_main(thread: StampedChanges, pid: int) -> bool:
    return thread.tid == pid if thread.tid is not None else thread.name == "MainThread"


def _threads_of(pid: int) -> set[int]:
    """Thread ids; none where that can't be told."""
    try:
        return {int(task.name) for task in Path(f"/proc/{pid}/task").iterdir()}
    except OSError:
        return set()
