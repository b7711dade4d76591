"""What stands out in a run's figures, in sentences: a hot tokenizer, a rank that does far more than its peers.

A finding rests on intervals that lie apart, not on figures that differ, and gives the figures that show it. Nothing is
found in a window too short for intervals.
"""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping

from mmload.analyse.cpu import Interval
from mmload.model.result import ProcessCpu, Summary
from mmload.plan.phases import IDLE_PHASES

# Percent of a core. One event loop, one interpreter: at four fifths of a core requests wait for it four times as long
# as it works on one (M/M/1, rho / (1 - rho)).
_HOT_PCT = 80.0
_WARM_PCT = 40.0  # below, what it does is no matter, however little the ranks do
_TIMES = 2.0
_SKEWED_BY_PCT = 10.0
_SHORT_OF_OFFERED = 0.98
_WAITS_FOR_PEERS = ("broadcast",)  # as much may be burnt there as the peer burns that is waited for
_OF_ENTRY_RANKS = ("receive", "pickle", "reply", "other")  # by design; other: the threads of ZMQ
_PHASES_NAMED = 3
_GROUP = re.compile(r"_(?:DP|PP)\d+")  # ranks are named as in discover.py: scheduler_DP0_PP0_TP1_EP1
_ENTRY = re.compile(r"_TP0(?:_|$)")


def findings(summary: Summary) -> list[str]:
    """One sentence or two for each, with advice; empty where nothing stands out or the intervals support nothing."""
    return [*_hot_tokenizer(summary), *_skewed_ranks(summary.cpu)]


def _hot_tokenizer(summary: Summary) -> Iterable[str]:
    tokenizers = {name: busy for name, cpu in summary.cpu.items() if _is(name, "tokenizer") and (busy := _busy(cpu))}
    if not tokenizers:
        return
    name = max(tokenizers, key=lambda name: tokenizers[name].value)
    busy = tokenizers[name]
    ranks = {name: work for name, cpu in summary.cpu.items() if _is(name, "scheduler") and (work := _work(cpu))}
    ahead = bool(ranks) and all(busy.low >= _TIMES * rank.high for rank in ranks.values())
    if busy.low < _HOT_PCT and not (ahead and busy.low >= _WARM_PCT):
        return
    what = "is hot" if busy.low >= _HOT_PCT else "is the hottest process by far"
    said = f"the {name} {what}: it works {_pct(busy)} of a core"
    if ranks:
        first = max(ranks, key=lambda name: ranks[name].value)
        said += f", the busiest rank ({first}) {_pct(ranks[first])}"
    yield (
        f"{said}; {_consequence(summary, busy)}. It prepares every image and video before a rank sees them: "
        "send smaller ones, or give the server more tokenizers (SGLang: --tokenizer-worker-num)"
    )


def _consequence(summary: Summary, busy: Interval) -> str:
    offered_rps, achieved_rps = summary.offered_rate_rps, summary.achieved_rate_rps
    most_rps = summary.achieved_high
    if offered_rps and most_rps is not None and most_rps < _SHORT_OF_OFFERED * offered_rps:
        return f"of {offered_rps:.4g} req/s offered {achieved_rps:.4g} were answered"
    if not achieved_rps:
        return "nothing was answered"
    p99_ms = summary.response_ms.p99
    response = "" if p99_ms is None else f", response P99 {p99_ms:,.0f} ms so far"
    if busy.value >= 100:
        return f"there is no more than that for one event loop{response}"
    return f"its core is full at about {100 * achieved_rps / busy.value:,.0f} req/s{response}"


def _skewed_ranks(cpu: Mapping[str, ProcessCpu]) -> Iterable[str]:
    """Ranks that turn together are compared: those of one data-parallel replica and pipeline stage."""
    groups: defaultdict[str, dict[str, ProcessCpu]] = defaultdict(dict)
    for name, process in cpu.items():
        if _is(name, "scheduler"):
            groups["".join(_GROUP.findall(name))][name] = process
    for ranks in groups.values():
        own = {name: found for name, process in ranks.items() if (found := _own_work(name, process))}
        if len(own) < max(2, len(ranks)):
            continue
        first, *others = sorted(own, key=lambda name: own[name].value, reverse=True)
        peer = max((own[name] for name in others), key=lambda work: work.high)
        if own[first].low >= max(_TIMES * peer.high, peer.high + _SKEWED_BY_PCT):
            yield _skew(first, own[first], peer, ranks)


def _skew(name: str, own: Interval, peer: Interval, ranks: Mapping[str, ProcessCpu]) -> str:
    more = _difference(name, ranks)
    where = ", ".join(f"{phase} {points:.0f}" for phase, points in list(more.items())[:_PHASES_NAMED])
    return (
        f"{name} is skewed: its own work is {_pct(own)} of a core, that of its peers {_pct(peer)} at most; of the "
        f"difference, in points: {where or 'a little of each'}. Ranks turn together: in each step the others wait for "
        f"it. See stacks/{name}.folded for where; if it builds for the others, another variant may spread that"
    )


def _difference(name: str, ranks: Mapping[str, ProcessCpu]) -> dict[str, float]:
    """Phase -> by how many percent of a core it exceeds that of every peer, the largest first."""
    busiest, others = ranks[name], [other for other in ranks if other != name]
    more = {
        phase: busiest.total_pct * share
        - max(ranks[other].total_pct * ranks[other].phases.get(phase, 0.0) for other in others)
        for phase, share in busiest.phases.items()
        if phase not in (*IDLE_PHASES, *_left_out(name))
    }
    return dict(sorted(((phase, by) for phase, by in more.items() if by >= 1), key=lambda item: -item[1]))


def _busy(cpu: ProcessCpu) -> Interval | None:
    """Work; of a process without stacks the total, which for a tokenizer is the same but for its sleeps: it never
    polls."""
    return _work(cpu) or _interval(cpu.total_pct, cpu.total_low, cpu.total_high)


def _work(cpu: ProcessCpu) -> Interval | None:
    """None where it is unknown, or its profile no evidence."""
    return None if cpu.profile_trouble else _interval(cpu.work_pct, cpu.work_low, cpu.work_high)


def _own_work(name: str, cpu: ProcessCpu) -> Interval | None:
    """Work without what a comparison of ranks leaves out."""
    work = _work(cpu)
    if work is None:
        return None
    parts = [cpu.by_phase[phase] for phase in _left_out(name) if phase in cpu.by_phase]
    rest = work.value - cpu.total_pct * sum(part.share for part in parts)
    below = math.hypot(work.value - work.low, *(cpu.total_pct * (part.high - part.share) for part in parts))
    above = math.hypot(work.high - work.value, *(cpu.total_pct * (part.share - part.low) for part in parts))
    return Interval(rest, max(0.0, rest - below), rest + above)


def _left_out(rank: str) -> tuple[str, ...]:
    return (*_WAITS_FOR_PEERS, *_OF_ENTRY_RANKS) if _ENTRY.search(rank) else _WAITS_FOR_PEERS


def _interval(value: float | None, low: float | None, high: float | None) -> Interval | None:
    return None if value is None or low is None or high is None else Interval(value, low, high)


def _is(name: str, role: str) -> bool:
    return name == role or name.startswith((f"{role}_", f"{role}-"))


def _pct(figure: Interval) -> str:
    return f"{figure.value:.0f} % ({figure.low:.0f} to {figure.high:.0f})"
