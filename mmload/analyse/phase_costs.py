"""What each phase of a process costs a request: from its CPU in the measure window, its stacks in the profile window.

    CPU ms of a phase per request = total CPU in the window x share of the phase / correct answers in the window

*Build* is the phases materialise and hash; the *handoff* is those with receive, pickle and broadcast. What a tokenizer
receives comes from its clients by HTTP: that is no part of the handoff.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from mmload.analyse.cpu import Interval, ProcessSeries, total_interval, total_pct, work_interval
from mmload.analyse.cpu_work import WorkShare
from mmload.analyse.load import Window
from mmload.model.records import Role
from mmload.model.result import Estimate, PhaseCpu
from mmload.plan.phases import IDLE_PHASES, PhaseName

BUILD_PHASES: tuple[PhaseName, ...] = ("materialise", "hash")
HANDOFF_PHASES: tuple[PhaseName, ...] = (*BUILD_PHASES, "receive", "pickle", "broadcast")

MS_PER_PCT = 10.0  # one percent of a core is 10 ms of CPU a second


class Burnt(msgspec.Struct, frozen=True):
    """One process: its total CPU in percent of a core, and what it went to. bounded: the total has an interval."""

    role: Role
    total: Interval
    bounded: bool
    share: WorkShare

    def ms_per_request(self, phases: Sequence[PhaseName], answers_rps: float) -> Interval:
        """Of these phases together; answers_rps > 0."""
        pct = work_interval(self.total, self.share.time.share_of(phases))
        scale = MS_PER_PCT / answers_rps
        return Interval(pct.value * scale, pct.low * scale, pct.high * scale)


def burnt(series: ProcessSeries, share: WorkShare | None, window: Window, level: float) -> Burnt | None:
    """None where the total or its division is unknown: no stacks, or a profile that shows something else than CPU.
    level: of the total's bounds, each one-sided."""
    value, total = total_pct(series, window), total_interval(series, window, level)
    if value is None or share is None or share.work is None:
        return None
    return Burnt(series.role, total or Interval(value, value, value), total is not None, share)


def phase_cpu(share: WorkShare, process: Burnt | None, answers_rps: float) -> dict[str, PhaseCpu]:
    """Every phase that occurs in a process."""

    def cost(phase: PhaseName) -> Estimate | None:
        if process is None or phase in IDLE_PHASES or not answers_rps:
            return None
        return estimate(process.ms_per_request([phase], answers_rps), bounded=process.bounded)

    return {
        phase: PhaseCpu(
            share=part.value, low=part.low, high=part.high, samples=part.samples, ms_per_request=cost(phase)
        )
        for phase, part in share.phases.items()
    }


def handoff_cost(process: Burnt, phases: Sequence[PhaseName], answers_rps: float) -> Interval:
    """CPU ms per request of those phases that are handoff in this process."""
    return process.ms_per_request(handing_over_in(process.role, phases), answers_rps)


def handing_over_in(role: Role, phases: Sequence[PhaseName]) -> list[PhaseName]:
    """Those of the phases that are handoff in a process of that role."""
    return [phase for phase in phases if not (role == "tokenizer" and phase == "receive")]


def over_all(costs: Iterable[Interval]) -> Interval:
    """The sum, bounds and all: processes have their load in common, and what is systematic errs one way in each."""
    known = list(costs)
    return Interval(
        sum(cost.value for cost in known), sum(cost.low for cost in known), sum(cost.high for cost in known)
    )


def estimate(interval: Interval, *, bounded: bool) -> Estimate:
    low, high = (interval.low, interval.high) if bounded else (None, None)
    return Estimate(value=interval.value, low=low, high=high)
