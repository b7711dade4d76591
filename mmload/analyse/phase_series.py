"""The CPU of each process by phase over the bins of a timeline, where phases were looked at; nowhere else.

In the profile window a share is a mean over all of it: what the process burnt there, divided as its stacks are. Stacks
with their times say of each bin how much of it the main thread was in a phase, awake: that is CPU as far as the process
burnt so much in the bin; the rest is a wait that no rule knows, or one for a core.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from mmload.analyse.cpu import total_pct
from mmload.analyse.cpu_work import other_evidence
from mmload.analyse.looking import profile_window
from mmload.analyse.phases import Judge
from mmload.analyse.run_cpu import RunCpu
from mmload.analyse.server_pages import Values
from mmload.analyse.slow_known import known_stacks
from mmload.analyse.time_bins import LEAST_COVERED, Times
from mmload.analyse.timeline import Timeline
from mmload.analyse.waiting import Timeline as Course
from mmload.analyse.waiting import Waits, timelines
from mmload.plan.phases import PHASES, PhaseName, rules_for
from mmload.store.read import Run
from mmload.store.stacks import read_source
from mmload.store.stamped import UNKNOWN

_LEAST_PCT = 1e-6  # nobody divides by 0


class PhaseSeries(msgspec.Struct, frozen=True, kw_only=True):
    """One process, in percent of a core. profiled: its phases in the profile window; stamped: those of its main thread
    while stacks were taken with their times; means, empty where nobody looked. bins: phase -> a value for each bin of
    the timeline, NaN where nobody looked."""

    profiled: dict[PhaseName, float]
    stamped: dict[PhaseName, float]
    bins: dict[PhaseName, Values]


def phase_series(run: Run, axis: Timeline) -> dict[str, PhaseSeries]:
    """Process name -> its phases, of those of which any are known. Raises FolderError on damage."""
    profiled, stamped = dict(_profiled(run, axis)), dict(_stamped(run, axis))
    return {name: _together(profiled.get(name), stamped.get(name)) for name in sorted({*profiled, *stamped})}


class _Stretch(NamedTuple):
    """A window of one process: the bins that lie in it, what each of them has of the phases, and the means."""

    is_within: NDArray[np.bool_]
    bins: dict[PhaseName, Values]
    means: dict[PhaseName, float]


def _profiled(run: Run, axis: Timeline) -> Iterator[tuple[str, _Stretch]]:
    window = profile_window(run.manifest)
    if window is None or other_evidence(run.manifest.profile.mode):
        return
    is_within = _bins_within(axis.edges_ns, window.start_ns, window.end_ns)
    cpu = run.once(RunCpu)
    for name, share in cpu.shares.items():
        pct = total_pct(cpu.series[name], window) if name in cpu.series else None
        if pct is not None and share.phases:
            means = {phase: pct * one.value for phase, one in share.phases.items()}
            bins = {phase: np.full(len(is_within), mean) for phase, mean in means.items()}
            yield name, _Stretch(is_within, bins, means)


def _stamped(run: Run, axis: Timeline) -> Iterator[tuple[str, _Stretch]]:
    known = run.once(known_stacks).stacks
    if not known:
        return
    judge = Judge(rules_for(run.manifest.engine), read_source(run.layout))
    for name, stacks in known.items():
        main, burnt_pct = timelines(name, stacks, judge).get(name), axis.series.get(f"cpu_pct.{name}")
        if main is not None and burnt_pct is not None:
            found = _awake_in_bins(_awake(main, judge), burnt_pct, axis.edges_ns)
            if found is not None:
                yield name, found


def _awake(course: Course, judge: Judge) -> Course:
    """The same with what is no CPU taken for unknown: waits that sleep, and functions that may."""
    sleeps = [kind.blocks or judge.sleeps(kind.stack) for kind in course.kinds]
    return course._replace(place=[UNKNOWN if place == UNKNOWN or sleeps[place] else place for place in course.place])


def _awake_in_bins(awake: Course, burnt_pct: Values, edges_ns: Times) -> _Stretch | None:
    """burnt_pct: by the process in each bin; together its phases are no more. None where nobody knows what it burnt."""
    start_ns, end_ns = float(awake.edges_ns[0]), float(awake.edges_ns[-1])
    lengths_ms = np.diff(np.clip(edges_ns.astype(np.float64), start_ns, end_ns)) / 1e6
    is_within = _bins_within(edges_ns, start_ns, end_ns) & ~np.isnan(burnt_pct)
    if not is_within.any():
        return None
    found_ms = awake.phases_ms(Waits(edges_ns[:-1], edges_ns[1:]))
    pct = {phase: 100 * ms[is_within] / lengths_ms[is_within] for phase, ms in found_ms.items()}
    room = np.minimum(1.0, burnt_pct[is_within] / np.maximum(sum(pct.values()), _LEAST_PCT))
    bins = {phase: np.full(len(is_within), np.nan) for phase in pct}
    for phase, values in pct.items():
        bins[phase][is_within] = room * values
    means = {phase: float(np.average(room * values, weights=lengths_ms[is_within])) for phase, values in pct.items()}
    return _Stretch(is_within, bins, means)


def _bins_within(edges_ns: Times, start_ns: float, end_ns: float) -> NDArray[np.bool_]:
    """Which bins lie in a window by half or more; of a shorter one, the bin that has most of it."""
    covered = np.diff(np.clip(edges_ns, start_ns, end_ns)) / np.diff(edges_ns)
    is_within = np.asarray(covered >= LEAST_COVERED)
    if not is_within.any():
        is_within[covered.argmax()] = covered.max() > 0
    return is_within


def _together(profiled: _Stretch | None, stamped: _Stretch | None) -> PhaseSeries:
    """A bin that lies in both windows by half is of the profile's."""
    bins: dict[PhaseName, Values] = {}
    for one in filter(None, (stamped, profiled)):
        for values in bins.values():
            values[one.is_within] = np.nan
        for phase, values in one.bins.items():
            known = bins.setdefault(phase, np.full(len(values), np.nan))
            known[one.is_within] = values[one.is_within]
    return PhaseSeries(
        profiled=profiled.means if profiled else {},
        stamped=stamped.means if stamped else {},
        bins={phase: bins[phase] for phase in PHASES if phase in bins},
    )
