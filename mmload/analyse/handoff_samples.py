"""What the handoff costs by the stack samples: where the server counts nothing, and beside its counters where it does.

Counters are exact for what lies between their two clock readings. Samples see all of a process, and are put into phases
by the names of functions. Neither knows of the other, so what both say holds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from mmload.analyse.blocks import TWO_SIDED_95
from mmload.analyse.cpu import Interval, ProcessSeries
from mmload.analyse.cpu_work import WorkShare
from mmload.analyse.handoff import BUILD_STAGES, HANDOFF_STAGES, HandoffCounters, growth, per_request
from mmload.analyse.load import Window
from mmload.analyse.phase_costs import BUILD_PHASES, HANDOFF_PHASES, Burnt, burnt, estimate, handoff_cost, over_all
from mmload.model.result import Estimate
from mmload.plan.phases import PhaseName

_ROLES = {"tokenizer", "scheduler"}
KINDS = {"build": (BUILD_PHASES, BUILD_STAGES), "handoff": (HANDOFF_PHASES, HANDOFF_STAGES)}

# By how much the two may differ beyond the interval of the samples before one of them is held to be wrong. Half, as
# samples also see waits within a broadcast that sleep (measured: docs/how-it-works.md); what this is for, a stage that
# nobody times or a release whose functions no rule knows, is a matter of all or nothing.
TOLERANCE = 0.5
TOLERANCE_MS = 0.2


class HandoffCosts(msgspec.Struct, frozen=True, kw_only=True):
    """sampled: CPU ms per correct answer by kind, over the tokenizer and all ranks; empty unless the work of each of
    them is known. figures: Summary.handoff. source: where those come from, None where there are none. warnings: where
    counters and samples say different things."""

    sampled: dict[str, Estimate]
    figures: dict[str, float]
    source: Literal["counters", "samples"] | None
    warnings: list[str]


def handoff_costs(
    series: Mapping[str, ProcessSeries],
    shares: Mapping[str, WorkShare],
    window: Window,
    answers_rps: float,
    counters: HandoffCounters | None,
) -> HandoffCosts:
    """All that a run says about the handoff per request."""
    processes = handing_over(series, shares, window, TWO_SIDED_95) if answers_rps else {}
    sampled = _costs(processes, answers_rps) if processes else {}
    figures = per_request(counters) if counters else _as_counted(processes, answers_rps)
    source: Literal["counters", "samples"] | None = "counters" if counters else "samples" if figures else None
    warnings = _disagreements(sampled, counters, answers_rps) if sampled and counters else []
    return HandoffCosts(sampled=sampled, figures=figures, source=source, warnings=warnings)


def handing_over(
    series: Mapping[str, ProcessSeries], shares: Mapping[str, WorkShare], window: Window, level: float
) -> dict[str, Burnt]:
    """The tokenizer and all ranks, by name; empty unless what each of them burnt, and on what, is known: a sum without
    one of them would be too small."""
    taking_part = {name: one for name, one in series.items() if one.role in _ROLES}
    if {one.role for one in taking_part.values()} != _ROLES:
        return {}
    known = {}
    for name, one in taking_part.items():
        share = shares.get(name)
        found = None if share is None or share.trouble else burnt(one, share, window, level)
        if found is None:
            return {}
        known[name] = found
    return known


def total_cost(processes: Mapping[str, Burnt], phases: Sequence[PhaseName], answers_rps: float) -> Interval:
    """CPU ms per correct answer of the phases, over all these processes; answers_rps > 0."""
    return over_all(handoff_cost(process, phases, answers_rps) for process in processes.values())


def _costs(processes: Mapping[str, Burnt], answers_rps: float) -> dict[str, Estimate]:
    bounded = all(process.bounded for process in processes.values())
    return {
        kind: estimate(total_cost(processes, phases, answers_rps), bounded=bounded)
        for kind, (phases, _) in KINDS.items()
    }


def _as_counted(processes: Mapping[str, Burnt], answers_rps: float) -> dict[str, float]:
    """Under the names that figures of the server's counters have."""
    figures = {}
    for kind, (phases, _) in KINDS.items() if processes else ():
        costs = {name: handoff_cost(one, phases, answers_rps).value for name, one in processes.items()}
        figures[f"{kind}_cpu_ms_per_request"] = sum(costs.values())
        figures |= {f'{kind}_cpu_ms_per_request{{process="{name}"}}': cost for name, cost in costs.items()}
    return figures


def _disagreements(sampled: Mapping[str, Estimate], counters: HandoffCounters, answers_rps: float) -> list[str]:
    """A sentence for each kind. Both as CPU per second over answers per second: what the counters count by requests
    with media would be another figure where some have none, or while a queue builds."""
    warnings = []
    for kind, (_, stages) in KINDS.items():
        counted_s = sum(growth(counters.cpu_s(stages, process)) for process in counters.processes)
        counted_ms = 1000 * counted_s / counters.span_s / answers_rps
        cost = sampled[kind]
        if _apart(counted_ms, cost):
            warnings.append(
                f"CPU of the {kind} per answer: {counted_ms:.2f} ms by the server's counters, {cost.value:.2f} ms "
                f"({cost.low:.2f} to {cost.high:.2f}) by the stack samples: one of the two is wrong"
            )
    return warnings


def _apart(counted_ms: float, sampled: Estimate) -> bool:
    if sampled.low is None or sampled.high is None:
        return False
    slack_ms = max(TOLERANCE_MS, TOLERANCE * max(counted_ms, sampled.value))
    return counted_ms < sampled.low - slack_ms or counted_ms > sampled.high + slack_ms
