"""SGLang's own count of its schedulers' CPU and time (0.5.23 has it, 0.5.16 not), as a cross-check of our samples.

    sglang:scheduler_process_cpu_seconds_total           CPU of all threads of the rank (time.process_time_ns)
    sglang:scheduler_idle_seconds_total                  wall time in which it had nothing to run and nothing queued
    sglang:scheduler_stage_seconds_total{category, ..}   wall time of its loop; the categories exclude each other

A scheduler adds to all of them at once, when a second or more has passed since it last did
(SchedulerMetricsReporter._record_scheduler_time). So what is counted lies between two of its own reports, not between
two scrapes, and how long that was is the growth of all stages together.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping

import numpy as np
from numpy.typing import NDArray

from mmload.analyse.cpu import ProcessSeries
from mmload.analyse.server_pages import Values
from mmload.analyse.server_series import ServerSeries
from mmload.model.result import ProcessCpu
from mmload.model.server import SchedulerCounters
from mmload.plan.phases import IDLE_PHASES

_PART = re.compile(r"([A-Z]+)(\d+)")
_STAGE = "stage "
# The others of a TP group wait inside `recv_requests` for what the first one receives.
_WAITING = ("idle", "recv_requests")
_PLACEMENTS = 21
# Both read the same clock of the kernel. Ours is read in ticks of 10 ms five times a second, and the load between two
# readings may be uneven.
_TOLERATED_SHARE = 0.02
_TOLERATED_S = 0.1
# The shares of the phases are of another window than the idle time.
_TOLERATED_PCT = 5.0


def scheduler_counters(series: ServerSeries, processes: Iterable[str]) -> dict[str, SchedulerCounters]:
    """What each scheduler counted of itself, by the name of its process; those that did not report twice are left
    out."""
    names, found = list(processes), {}
    for place, columns in series.schedulers.items():
        if reports := _Reports.of(series, columns):
            found[process_of(place, names)] = reports.counters(columns)
    return dict(sorted(found.items()))


def scheduler_disagreements(
    series: ServerSeries, processes: Mapping[str, ProcessSeries], cpu: Mapping[str, ProcessCpu]
) -> list[str]:
    """A sentence for each rank whose own counters contradict our samples: of its CPU in the same time, or of how much
    of it was spent without work."""
    said = []
    for place, columns in series.schedulers.items():
        name, reports = process_of(place, processes), _Reports.of(series, columns)
        if name not in processes or reports is None:
            continue
        said += _cpu_disagreement(name, processes[name], reports, reports.growth(columns["cpu"]))
        if name in cpu:
            said += _idle_disagreements(name, cpu[name], reports.counters(columns))
    return said


def process_of(place: str, processes: Iterable[str]) -> str:
    """The process that a page calls 'TP0' or 'DP1_PP0_TP0': the one in whose name nothing contradicts that, as SGLang
    leaves out of its titles what there is one of; made up where none or several do."""
    said = dict(_PART.findall(place))
    fitting = [
        name
        for name in processes
        if name.startswith("scheduler") and all(said.get(part, n) == n for part, n in _PART.findall(name))
    ]
    return fitting[0] if len(fitting) == 1 else f"scheduler_{place}"


class _Reports:
    """The scheduler's reports in the window: the first and the last of those that came between two scrapes."""

    def __init__(self, t_ns: NDArray[np.int64], wall_s: Values, seen: NDArray[np.int64]) -> None:
        first, last = int(seen[0]), int(seen[-1])
        self._first, self._last = first, last
        self.length_s = float(wall_s[last] - wall_s[first])
        self.starts_ns = np.linspace(int(t_ns[first - 1]), int(t_ns[first]), _PLACEMENTS)  # the first is one of these

    @classmethod
    def of(cls, series: ServerSeries, columns: Mapping[str, Values]) -> _Reports | None:
        """None where the scheduler does not count, reported less than twice, or began anew."""
        stages = [values for part, values in columns.items() if part.startswith(_STAGE)]
        if not stages or not {"cpu", "idle"} <= columns.keys() or series.restarts:
            return None
        wall_s = np.sum(stages, axis=0)
        seen = np.flatnonzero(np.diff(wall_s) > 0) + 1
        return cls(series.t_ns, wall_s, seen) if len(seen) > 1 else None

    def growth(self, values: Values) -> float:
        return float(values[self._last] - values[self._first])

    def counters(self, columns: Mapping[str, Values]) -> SchedulerCounters:
        shares = {part: self.growth(values) / self.length_s for part, values in columns.items()}
        return SchedulerCounters(
            length_s=self.length_s,
            cpu_pct=100 * shares["cpu"],
            idle_pct=100 * shares["idle"],
            stages={
                part.removeprefix(_STAGE): share
                for part, share in sorted(shares.items())
                if part.startswith(_STAGE) and share > 0
            },
        )


def _cpu_disagreement(name: str, process: ProcessSeries, reports: _Reports, counted_s: float) -> list[str]:
    """The samples say how much it was in a stretch as long, wherever it began; nothing where they don't cover that."""
    origin_ns = int(process.t_ns[0])
    starts_s, read_s = (reports.starts_ns - origin_ns) / 1e9, (process.t_ns - origin_ns) / 1e9
    ends_s = starts_s + reports.length_s
    if starts_s[0] < 0 or ends_s[-1] > read_s[-1]:
        return []
    spent_s = np.interp(ends_s, read_s, process.cpu_s) - np.interp(starts_s, read_s, process.cpu_s)
    slack_s = _TOLERATED_SHARE * counted_s + _TOLERATED_S
    if spent_s.min() - slack_s <= counted_s <= spent_s.max() + slack_s:
        return []
    sampled = f"{spent_s.min():.2f} to {spent_s.max():.2f} s"
    own = f"{counted_s:.2f} s of CPU of its own in {reports.length_s:.1f} s"
    return [f"{name} counts {own}; sampled were {sampled}: one of the two is of another process"]


def _idle_disagreements(name: str, cpu: ProcessCpu, counted: SchedulerCounters) -> list[str]:
    """A scheduler polls in one thread, and only where it receives requests or is idle; what it does besides the model's
    forward pass, which may take more threads, it does while it is not idle."""
    polled_pct = _at_least_pct(cpu, lambda phase: phase == "idle-poll")
    worked_pct = _at_least_pct(cpu, lambda phase: phase not in (*IDLE_PHASES, "forward"))
    waiting_pct = 100 * sum(counted.stages.get(stage, 0.0) for stage in _WAITING)
    said = []
    if polled_pct > waiting_pct + _TOLERATED_PCT:
        said.append(
            f"{name} waited for requests {waiting_pct:.0f} % of the time by its own count, and its stacks say that it "
            f"polled for {polled_pct:.0f} % or more: its work may be understated"
        )
    if worked_pct > 100 - counted.idle_pct + _TOLERATED_PCT:
        said.append(
            f"{name} had nothing to do {counted.idle_pct:.0f} % of the time by its own count, and its stacks say that "
            f"it worked for {worked_pct:.0f} % or more: part of its idle loop may be taken for work"
        )
    return said


def _at_least_pct(cpu: ProcessCpu, counts: Callable[[str], bool]) -> float:
    """Percent of a core that the phases took together, by the low ends of their intervals."""
    return cpu.total_pct * sum(phase.low for name, phase in cpu.by_phase.items() if counts(name))
