"""What a process's CPU time went to: the time of each thread, divided as the stack samples of that thread are.

    seconds of a stack = CPU seconds of its thread x samples of the stack / samples of the thread

How much each thread burnt is known exactly; samples only say on what. Those of a wait that sleeps stand for no time and
are left out. A thread without others ran no Python that was seen: what it burnt is work that no rule knows.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence

import msgspec

from mmload.analyse.cpu import Interval
from mmload.analyse.phases import Judge
from mmload.plan.phases import IDLE_PHASES, PHASES, PhaseName, PhaseRules
from mmload.store.stacks import ThreadStacks

_Z_95 = 1.959964  # two-sided 95 % of a normal distribution
# What more samples would not mend: stacks of a process that runs on are torn now and then, and py-spy's notion of
# 'running' is the kernel's, a moment before the stack is read (bench/known_truth.py has the errors that are left).
SYSTEMATIC = 0.02
# A thread that waits for a core is 'running' as well, and waits more in one phase than in another: in the same bench,
# with threads that wait for half of the time, errors of up to 5 points are left.
CROWDED = 0.1  # times the share of the time in which it waited


class PhaseShare(msgspec.Struct, frozen=True, kw_only=True):
    """A share of the CPU time with its 95 % interval, and how many samples it rests on (none for native threads)."""

    value: float
    low: float
    high: float
    samples: int


class CpuTime(msgspec.Struct, frozen=True, kw_only=True):
    """seconds: stack -> CPU seconds; a thread without stacks is the one frame `its name (native thread:0)`. shares: the
    phases that occur, in the order of PHASES; they add up to 1. work: all but idle-poll and device-wait. samples: those
    that are not of a wait that sleeps. native: share of the threads without stacks."""

    seconds: dict[str, float]
    shares: dict[PhaseName, PhaseShare]
    work: Interval
    samples: int
    native: float


def cpu_time(threads: Sequence[ThreadStacks], rules: PhaseRules, source: Mapping[str, str]) -> CpuTime | None:
    """None when the process burnt nothing. source: 'file:line' -> text, as stored beside the stacks; without it rules
    on lines match nothing, so that more counts as work."""
    total_s = sum(thread.cpu_s for thread in threads)
    if total_s <= 0:
        return None
    judge = Judge(rules, source)
    parts = [_part(thread, thread.cpu_s / total_s, judge) for thread in threads if thread.cpu_s > 0]
    seconds: defaultdict[str, float] = defaultdict(float)
    for part in parts:
        for stack, share in part.stacks.items():
            seconds[stack] += share * total_s
    counts = {phase: sum(part.counts.get(phase, 0) for part in parts) for phase in PHASES}
    found = {phase: _together(parts, (phase,)) for phase in PHASES}
    idle = _together(parts, IDLE_PHASES)
    return CpuTime(
        seconds=dict(seconds),
        shares={
            phase: PhaseShare(value=share.value, low=share.low, high=share.high, samples=counts[phase])
            for phase, share in found.items()
            if share.value
        },
        work=Interval(1 - idle.value, 1 - idle.high, 1 - idle.low),
        samples=sum(counts.values()),
        native=sum(part.weight for part in parts if not part.samples),
    )


class _Part(msgspec.Struct, frozen=True):
    """One thread. weight: its share of the process's CPU. crowded: share of its running time in which it had no core.
    stacks: stack -> share of the process's CPU. counts: samples by phase."""

    weight: float
    crowded: float
    stacks: dict[str, float]
    counts: dict[PhaseName, int]

    @property
    def samples(self) -> int:
        return sum(self.counts.values())


def _part(thread: ThreadStacks, weight: float, judge: Judge) -> _Part:
    awake = {stack: samples for stack, samples in thread.stacks.items() if not judge.sleeps(stack)}
    samples = sum(awake.values())
    if not samples:
        return _Part(weight, 0.0, {f"{thread.name.replace(';', ':') or 'thread'} (native thread:0)": weight}, {})
    counts: defaultdict[PhaseName, int] = defaultdict(int)
    for stack, count in awake.items():
        counts[judge.phase(stack)] += count
    crowded = thread.waited_s / (thread.cpu_s + thread.waited_s)
    return _Part(weight, crowded, {stack: weight * count / samples for stack, count in awake.items()}, dict(counts))


def _together(parts: Sequence[_Part], phases: Sequence[PhaseName]) -> Interval:
    """The share of some phases over all threads. Threads are sampled independently: the bounds of each, as the distance
    from its figure, add in quadrature (Zou and Donner 2008); then the systematic term, for what was sampled."""
    value = below = above = systematic = 0.0
    for part in parts:
        if not part.samples:
            value += part.weight if "other" in phases else 0.0
            continue
        share = wilson(sum(part.counts.get(phase, 0) for phase in phases), part.samples)
        value += part.weight * share.value
        below += (part.weight * (share.value - share.low)) ** 2
        above += (part.weight * (share.high - share.value)) ** 2
        systematic += part.weight * (SYSTEMATIC + CROWDED * part.crowded)
    return Interval(
        value, max(0.0, value - math.sqrt(below) - systematic), min(1.0, value + math.sqrt(above) + systematic)
    )


def wilson(count: int, samples: int) -> Interval:
    """count of samples, samples > 0, with Wilson's 95 % interval (1927). py-spy's ticks are random: samples are taken
    as independent."""
    value = count / samples
    shrink = 1 + _Z_95**2 / samples
    centre = (value + _Z_95**2 / (2 * samples)) / shrink
    half = _Z_95 / shrink * math.sqrt(value * (1 - value) / samples + _Z_95**2 / (4 * samples**2))
    return Interval(value, min(value, centre - half), max(value, centre + half))
