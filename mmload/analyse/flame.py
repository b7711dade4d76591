"""What a run's stacks cost: samples and CPU milliseconds of each, by process.

CPU ms of a stack per request = total CPU of its process in the measure window x the stack's share of it in the profile
window / correct answers in the measure window

so a saving elsewhere changes nothing here, as it would in shares. Without requests it is CPU ms a second of the profile
window.
"""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec

from mmload.analyse import load
from mmload.analyse.cpu import ProcessSeries, total_pct
from mmload.analyse.cpu_work import WorkShare
from mmload.analyse.looking import profile_window
from mmload.analyse.phase_costs import MS_PER_PCT
from mmload.analyse.phases import Judge
from mmload.analyse.run_cpu import RunCpu
from mmload.errors import FolderError
from mmload.model.flame import FlameUnit
from mmload.model.records import Role
from mmload.plan.phases import rules_for
from mmload.store.read import Run
from mmload.store.stacks import read_source, read_threads


class StackCost(NamedTuple):
    """samples: as in the folded file; none of a thread that runs no Python, whose CPU is known all the same. ms: in the
    unit of its FlameProfile; none of a wait that sleeps. variance: of ms by chance, in its square: as many samples as
    there are may have been more or fewer (Poisson)."""

    samples: int
    ms: float
    variance: float


class ProcessFlame(msgspec.Struct, frozen=True, kw_only=True):
    """One process. runs: of how many it is the mean. stacks: folded stack -> what it cost. trouble: why its profile is
    poor, None when it is good."""

    name: str
    role: Role
    runs: int = 1
    stacks: dict[str, StackCost]
    trouble: str | None = None

    @property
    def samples(self) -> int:
        return sum(cost.samples for cost in self.stacks.values())

    @property
    def ms(self) -> float:
        return sum(cost.ms for cost in self.stacks.values())


class FlameProfile(msgspec.Struct, frozen=True, kw_only=True):
    """All processes that have stacks, of a run or of several: the ranks in their order, then the others by name. name:
    the run-id, or the variant and how many runs. modes: of their profiles. left_out: those of the runs without stacks.
    absent: which process of which run has none, and why, a sentence each."""

    name: str
    variant: str
    runs: int = 1
    modes: tuple[str, ...] = ()
    left_out: list[str] = []
    absent: list[str] = []
    unit: FlameUnit
    processes: dict[str, ProcessFlame]
    judge: Judge


def flame_profile(*runs: Run, per_request: bool = True) -> FlameProfile:
    """Of one run, or of several of one variant: the samples of all, and the mean of what each cost. per_request: where
    that can be said of every process; else of none. Raises FolderError on damage and where no run has stacks."""
    bare = [run for run in runs if not any(run.stacks.values())]
    runs = tuple(run for run in runs if run not in bare)
    if not runs:
        raise FolderError(f"{bare[0].run_id} has no stacks", _without_stacks(bare[0]))
    scales = [_per_request_ms(run) if per_request else None for run in runs]
    if None in scales:
        scales = [None] * len(runs)
    first = runs[0]
    return FlameProfile(
        name=first.run_id if len(runs) == 1 else f"{first.manifest.variant}, {len(runs)} runs",
        variant=first.manifest.variant,
        runs=len(runs),
        modes=tuple(dict.fromkeys(run.manifest.profile.mode for run in runs)),
        left_out=[run.run_id for run in bare],
        absent=[sentence for run in runs for sentence in _absent(run)],
        unit="cpu_ms_per_s" if None in scales else "cpu_ms_per_request",
        processes=_together([_processes(run, own) for run, own in zip(runs, scales, strict=True)]),
        judge=Judge(rules_for(first.manifest.engine), dict(ChainMap(*(read_source(run.layout) for run in runs)))),
    )


def _processes(run: Run, scales: Mapping[str, float] | None) -> dict[str, ProcessFlame]:
    """In order. scales: CPU ms per request of each process; None for its CPU ms a second of the profile window."""
    known = run.once(RunCpu)

    def whole_ms(name: str) -> float:
        return _ms_per_s(run, name) if scales is None else scales.get(name, 0.0)

    names = sorted(run.stacks, key=lambda name: _place(name, known.series))
    return {
        name: _process(run.stacks[name], known.series.get(name), known.shares.get(name), name, whole_ms(name))
        for name in names
    }


def _together(runs: Sequence[Mapping[str, ProcessFlame]]) -> dict[str, ProcessFlame]:
    """Of each process the mean over the runs that have it."""
    names = dict.fromkeys(name for processes in runs for name in processes)
    return {name: _mean([processes[name] for processes in runs if name in processes]) for name in names}


def _mean(parts: Sequence[ProcessFlame]) -> ProcessFlame:
    """Of one process in several runs. Their samples add up."""
    n, sums = len(parts), dict[str, StackCost]()
    for part in parts:
        for stack, cost in part.stacks.items():
            so_far = sums.get(stack, StackCost(0, 0.0, 0.0))
            sums[stack] = StackCost(
                so_far.samples + cost.samples, so_far.ms + cost.ms / n, so_far.variance + cost.variance / n**2
            )
    troubles = dict.fromkeys(part.trouble for part in parts if part.trouble)
    return msgspec.structs.replace(parts[0], runs=n, stacks=sums, trouble="; ".join(troubles) or None)


def _per_request_ms(run: Run) -> dict[str, float] | None:
    """Process -> its CPU ms per request; None where that of any with a share is unknown."""
    known = run.once(RunCpu)
    answers_rps = load.achieved_rps(run.requests, known.window) if known.window else 0.0
    if known.window is None or not answers_rps:
        return None
    totals = {name: total_pct(one, known.window) for name, one in known.series.items()}
    scales = {name: total * MS_PER_PCT / answers_rps for name, total in totals.items() if total is not None}
    return scales if known.shares.keys() <= scales.keys() else None


def _process(
    samples: Mapping[str, int], series: ProcessSeries | None, share: WorkShare | None, name: str, whole_ms: float
) -> ProcessFlame:
    seconds = {} if share is None else share.time.seconds
    scale = whole_ms / (sum(seconds.values()) or 1.0)
    tick_ms = whole_ms / max(1, sum(samples.values()))
    costs = {stack: (samples.get(stack, 0), scale * seconds.get(stack, 0.0)) for stack in dict(samples) | seconds}
    return ProcessFlame(
        name=name,
        role=series.role if series else "other",
        stacks={stack: StackCost(n, ms, ms * (ms / n if n else tick_ms)) for stack, (n, ms) in costs.items()},
        trouble=share.trouble if share else None,
    )


def _ms_per_s(run: Run, name: str) -> float:
    """CPU in the profile window: as the kernel counted it, else by samples."""
    threads = read_threads(run.layout, name)
    if threads is not None and threads.seconds > 0:
        return 1000 * sum(thread.cpu_s for thread in threads.threads) / threads.seconds
    window = profile_window(run.manifest)
    ticks = run.manifest.profile.rate_hz * (window.length_s if window else run.plan.profile.duration_s)
    return 1000 * sum(run.stacks[name].values()) / ticks if ticks else 0.0


def _absent(run: Run) -> Iterator[str]:
    """Of the profiled processes and of the ranks those that have no stacks, and why."""
    whys = {file.process: file.error or "its profile is empty" for file in run.manifest.profile.files}
    ranks = dict.fromkeys((rank.name for rank in run.manifest.ranks if rank.name), "nobody profiled it")
    for name, why in (ranks | whys).items():
        if not run.stacks.get(name):
            yield f"{name.removeprefix('scheduler_')} has no stacks in {run.run_id}: {why}"


def _place(name: str, series: Mapping[str, ProcessSeries]) -> tuple[bool, int, str]:
    """Where a process stands in line: ranks first."""
    rank = series[name].rank if name in series else None
    return rank is None, rank or 0, name


def _without_stacks(run: Run) -> str:
    profile = run.manifest.profile
    if profile.samples:
        return f"its profile had {profile.samples:,} samples: their files in {run.layout.stacks} are gone"
    if run.manifest.status == "partial":
        return "it was ended before any were taken"
    if profile.mode == "none":
        return "it was made without a profile, or the kernel refused one (see its warnings)"
    return "it was made with a profile that brought none (see its warnings)"
