"""What a run's stacks cost: samples and CPU milliseconds of each, by process.

CPU ms of a stack per request = total CPU of its process in the measure window x the stack's share of it in the profile
window / correct answers in the measure window

so a saving elsewhere changes nothing here, as it would in shares. Without requests it is CPU ms in the profile window.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import msgspec

from mmload.analyse import load
from mmload.analyse.cpu import ProcessSeries, process_series, total_pct
from mmload.analyse.cpu_work import WorkShare, work_shares
from mmload.analyse.looking import distrust, looking
from mmload.analyse.phase_costs import MS_PER_PCT
from mmload.analyse.phases import Judge
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
    """One process. stacks: folded stack -> what it cost. trouble: why its profile is poor, None when it is good."""

    name: str
    role: Role
    stacks: dict[str, StackCost]
    trouble: str | None = None

    @property
    def samples(self) -> int:
        return sum(cost.samples for cost in self.stacks.values())

    @property
    def ms(self) -> float:
        return sum(cost.ms for cost in self.stacks.values())


class FlameProfile(msgspec.Struct, frozen=True, kw_only=True):
    """All processes of a run that have stacks: the ranks in their order, then the others by name."""

    run_id: str
    variant: str
    unit: FlameUnit
    processes: dict[str, ProcessFlame]
    judge: Judge


def flame_profile(run: Run, *, per_request: bool = True) -> FlameProfile:
    """per_request: where that can be said of every process; else of none. Raises FolderError on damage and where the
    run has no stacks."""
    if not any(run.stacks.values()):
        raise FolderError(f"{run.run_id} has no stacks", f"it was made {_without_stacks(run)}")
    window = load.measure_window(run)
    series = process_series(run.processes)
    shares = work_shares(run)
    scales: dict[str, float] | None = None
    if window is not None:
        shares = distrust(shares, looking(run, series, window))
        answers_rps = load.achieved_rps(run.requests, window)
        totals = {name: total_pct(one, window) for name, one in series.items()}
        scales = _per_request_ms(shares, totals, answers_rps) if per_request else None
    names = sorted(run.stacks, key=lambda name: _place(name, series))
    return FlameProfile(
        run_id=run.run_id,
        variant=run.manifest.variant,
        unit="cpu_ms" if scales is None else "cpu_ms_per_request",
        processes={
            name: _process(name, run, series.get(name), shares.get(name), None if scales is None else scales[name])
            for name in names
        },
        judge=Judge(rules_for(run.manifest.engine), read_source(run.layout)),
    )


def _per_request_ms(
    shares: Mapping[str, WorkShare], totals: Mapping[str, float | None], answers_rps: float
) -> dict[str, float] | None:
    """Process -> its CPU ms per request; None where that of any is unknown."""
    known = {name: total for name in shares if (total := totals.get(name)) is not None}
    if not answers_rps or len(known) < len(shares):
        return None
    return {name: total * MS_PER_PCT / answers_rps for name, total in known.items()}


def _process(
    name: str, run: Run, series: ProcessSeries | None, share: WorkShare | None, ms_per_request: float | None
) -> ProcessFlame:
    samples = run.stacks[name]
    seconds = {} if share is None else share.time.seconds
    whole_ms = _profiled_ms(run, name) if ms_per_request is None else ms_per_request
    scale = whole_ms / (sum(seconds.values()) or 1.0)
    tick_ms = whole_ms / max(1, sum(samples.values()))
    costs = {stack: (samples.get(stack, 0), scale * seconds.get(stack, 0.0)) for stack in samples | seconds}
    return ProcessFlame(
        name=name,
        role=series.role if series else "other",
        stacks={stack: StackCost(n, ms, ms * (ms / n if n else tick_ms)) for stack, (n, ms) in costs.items()},
        trouble=share.trouble if share else None,
    )


def _profiled_ms(run: Run, name: str) -> float:
    """CPU in the profile window: as the kernel counted it, else as many ticks as there are samples."""
    threads = read_threads(run.layout, name)
    if threads is not None:
        return 1000 * sum(thread.cpu_s for thread in threads.threads)
    rate_hz = run.manifest.profile.rate_hz
    return 1000 * sum(run.stacks[name].values()) / rate_hz if rate_hz else 0.0


def _place(name: str, series: Mapping[str, ProcessSeries]) -> tuple[bool, int, str]:
    """Where a process stands in line: ranks first."""
    rank = series[name].rank if name in series else None
    return rank is None, rank or 0, name


def _without_stacks(run: Run) -> str:
    if run.manifest.profile.mode == "none":
        return "without a profile, or the kernel refused one (see its warnings)"
    return "with a profile that brought none (see its warnings)"
