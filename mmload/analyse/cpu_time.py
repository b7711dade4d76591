"""What a process's CPU time went to: the time of each thread, divided as the stack samples of that thread are.

    seconds of a stack = CPU seconds of its thread x samples of the stack / samples of the thread

How much each thread burnt is known exactly; samples only say on what. Those of a wait that sleeps stand for no time and
are left out. Where a thread may sleep and may burn CPU as well (it receives what a peer sends), no more samples count
than the ticks in which it ran leave room for. A thread without others ran no Python that was seen: where a rule says on
whose behalf it works (gloo's threads: for those that call a collective), its time is divided as their samples within
these calls are; else what it burnt is work that no rule knows.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import NormalDist
from typing import Literal

import msgspec

from mmload.analyse.blocks import TWO_SIDED_95
from mmload.analyse.cpu import Interval
from mmload.analyse.phases import Judge
from mmload.analyse.reading import Reading
from mmload.plan.phases import IDLE_PHASES, PHASES, PhaseName, PhaseRules
from mmload.store.stacks import ProcessThreads, ThreadStacks

# What more samples would not mend: stacks of a process that runs on are torn now and then, and py-spy's notion of
# 'running' is the kernel's, a moment before the stack is read (bench/known_truth.py has the errors that are left).
SYSTEMATIC = 0.02
# A thread that waits for a core is 'running' as well, and waits more in one phase than in another: in the same bench,
# with threads that wait for half of the time, errors of up to 5 points are left.
CROWDED = 0.1  # times the share of the time in which it waited
# What a library's thread burns for a call of one kind may be so many times what it burns as long for another.
LENT = 3.0


class PhaseShare(msgspec.Struct, frozen=True, kw_only=True):
    """A share of the CPU time with its 95 % interval, and how many samples it rests on (none for native threads)."""

    value: float
    low: float
    high: float
    samples: int


class CpuTime(msgspec.Struct, frozen=True, kw_only=True):
    """seconds: stack -> CPU seconds; a thread without samples is the one frame `its name (native thread:0)`.
    shares: the phases that occur, in the order of PHASES; they add up to 1. work: all but idle-poll and device-wait.
    samples: those that are not of a wait that sleeps. native: share of the threads without stacks. parts: by thread."""

    seconds: dict[str, float]
    shares: dict[PhaseName, PhaseShare]
    work: Interval
    samples: int
    native: float
    parts: list[_Part]

    def share_of(self, phases: Sequence[PhaseName]) -> Interval:
        """The share of several phases together, whether they occur or not."""
        return self.reading(phases).interval

    def reading(self, phases: Sequence[PhaseName], level: float = TWO_SIDED_95) -> Reading:
        """The same with what is chance, at `level` (one-sided), apart from what is systematic."""
        return _together(self.parts, phases, level) if self.parts else Reading(0.0, 0.0, 0.0, 0.0, 1.0)


def cpu_time(process: ProcessThreads, rules: PhaseRules, source: Mapping[str, str]) -> CpuTime:
    """Of a process that burnt nothing there are no shares; what it burns at other times may be work or not.

    source: 'file:line' -> text, as stored beside the stacks; without it rules on lines match nothing, so that more
    counts as work."""
    return cpu_time_judged(process, Judge(rules, source))


def cpu_time_judged(process: ProcessThreads, judge: Judge) -> CpuTime:
    """The same by rules that are ready."""
    threads = process.threads
    total_s = sum(thread.cpu_s for thread in threads)
    if total_s <= 0:
        return CpuTime(seconds={}, shares={}, work=Interval(1.0, 0.0, 1.0), samples=0, native=0.0, parts=[])
    taken = sum(sum(thread.stacks.values()) for thread in threads)
    lost = process.errors / (taken + process.errors) if taken else 0.0
    rate_hz = process.rate_hz * (1 - lost)
    seen = {id(thread): _awake(thread, judge, rate_hz) for thread in threads}
    parts = [
        _sampled(thread, thread.cpu_s / total_s, awake, lost, _doubtful(thread, awake, judge, rate_hz), judge)
        if (awake := seen[id(thread)])
        else _native(thread, thread.cpu_s / total_s, judge.callers_of(thread.name, seen.values()), judge)
        for thread in threads
        if thread.cpu_s > 0
    ]
    seconds: defaultdict[str, float] = defaultdict(float)
    for part in parts:
        for stack, share in part.stacks.items():
            seconds[stack] += share * total_s
    counts = {phase: sum(part.counts[phase] for part in parts if part.kind == "sampled") for phase in PHASES}
    found = {phase: _together(parts, (phase,)).interval for phase in PHASES}
    return CpuTime(
        seconds=dict(seconds),
        shares={
            phase: PhaseShare(value=share.value, low=share.low, high=share.high, samples=round(counts[phase]))
            for phase, share in found.items()
            if share.value
        },
        work=_together(parts, IDLE_PHASES).rest.interval,
        samples=round(sum(counts.values())),
        native=sum(part.weight for part in parts if part.kind != "sampled"),
        parts=parts,
    )


class _Part(msgspec.Struct, frozen=True):
    """One thread. kind: whose samples say what it did: its own, those of the threads that it works for, or nobody's.
    weight: its share of the process's CPU. stacks: stack -> share of the process's CPU. counts: those samples by phase.
    crowded: the share of its running time in which it had no core. lost: the share of its samples that failed; nobody
    knows of which phase they were, and deep stacks that change quickly fail more often than a poll. doubtful: those of
    `counts` that may stand for no CPU."""

    kind: Literal["sampled", "lent", "unknown"]
    weight: float
    stacks: dict[str, float]
    counts: dict[PhaseName, float]
    crowded: float = 0.0
    lost: float = 0.0
    doubtful: dict[PhaseName, float] = {}

    def share(self, phases: Sequence[PhaseName], level: float) -> Interval:
        """Of some phases in this thread; bounds one-sided at `level`."""
        if self.kind == "unknown":
            share = float("other" in phases)
            return Interval(share, share, share)
        count, samples = sum(self.counts[phase] for phase in phases), sum(self.counts.values())
        if self.kind == "sampled":
            return wilson(count, samples, level)
        rest = samples - count
        return Interval(count / samples, count / (count + LENT * rest), LENT * count / (LENT * count + rest))

    def doubt(self, phases: Sequence[PhaseName]) -> tuple[float, float]:
        """How much less and how much more the share of these is, where the doubtful samples are left out."""
        count, samples = sum(self.counts[phase] for phase in phases), sum(self.counts.values())
        within = sum(self.doubtful.get(phase, 0.0) for phase in phases)
        others = sum(self.doubtful.values()) - within
        value = count / samples
        return value - (count - within) / (samples - within), count / (samples - others) - value


def _awake(thread: ThreadStacks, judge: Judge, rate_hz: float) -> dict[str, float]:
    """stack -> the samples that count. rate_hz: of samples that could be read; 0 where nobody knows."""
    awake: dict[str, float] = {stack: n for stack, n in thread.stacks.items() if not judge.sleeps(stack)}
    blocking = {stack: n for stack, n in awake.items() if judge.may_block(stack)}
    surely, perhaps = sum(awake.values()) - sum(blocking.values()), sum(blocking.values())
    room = max(0.0, rate_hz * (thread.cpu_s + thread.waited_s) - surely)
    if rate_hz and surely and room < perhaps:
        awake |= {stack: n * room / perhaps for stack, n in blocking.items()}
    return awake


def _doubtful(thread: ThreadStacks, awake: Mapping[str, float], judge: Judge, rate_hz: float) -> dict[PhaseName, float]:
    """Samples of work in functions in which the thread may sleep, as far as there are more samples than its CPU has
    ticks: one that is woken there waits there for a core, and counts as running. rate_hz: as in `_awake`."""
    blocking = {s: n for s, n in awake.items() if judge.may_block(s) and judge.phase(s) not in IDLE_PHASES}
    perhaps, more = sum(blocking.values()), max(0.0, sum(awake.values()) - max(1.0, rate_hz * thread.cpu_s))
    if not rate_hz or not perhaps:
        return {}
    return _by_phase({stack: n * min(1.0, more / perhaps) for stack, n in blocking.items()}, judge)


def _sampled(
    thread: ThreadStacks,
    weight: float,
    awake: Mapping[str, float],
    lost: float,
    doubtful: dict[PhaseName, float],
    judge: Judge,
) -> _Part:
    crowded = thread.waited_s / (thread.cpu_s + thread.waited_s)
    return _Part("sampled", weight, _divided(weight, awake), _by_phase(awake, judge), crowded, lost, doubtful)


def _native(thread: ThreadStacks, weight: float, callers: Mapping[str, float], judge: Judge) -> _Part:
    kind = "thread without samples" if thread.stacks else "native thread"
    frame = f"{thread.name.replace(';', ':') or 'thread'} ({kind}:0)"
    if not callers:
        return _Part("unknown", weight, {frame: weight}, dict.fromkeys(PHASES, 0.0))
    below = {f"{stack};{frame}": samples for stack, samples in callers.items()}
    return _Part("lent", weight, _divided(weight, below), _by_phase(callers, judge))


def _divided(weight: float, stacks: Mapping[str, float]) -> dict[str, float]:
    samples = sum(stacks.values())
    return {stack: weight * count / samples for stack, count in stacks.items()}


def _by_phase(stacks: Mapping[str, float], judge: Judge) -> dict[PhaseName, float]:
    counts: dict[PhaseName, float] = dict.fromkeys(PHASES, 0.0)
    for stack, samples in stacks.items():
        counts[judge.phase(stack)] += samples
    return counts


def _together(parts: Sequence[_Part], phases: Sequence[PhaseName], level: float = TWO_SIDED_95) -> Reading:
    """The share of some phases over all threads, within [0, 1]. Threads are sampled independently: the bounds of each,
    as the distance from its figure, add in quadrature (Zou and Donner 2008). What is systematic adds up as it is."""
    value = below_squared = above_squared = doubt_below = doubt_above = 0.0
    for part in parts:
        share = part.share(phases, level)
        value += part.weight * share.value
        less, more = part.weight * (share.value - share.low), part.weight * (share.high - share.value)
        if part.kind == "sampled":
            below_squared, above_squared = below_squared + less**2, above_squared + more**2
            systematic = SYSTEMATIC + CROWDED * part.crowded
            doubt_less, doubt_more = part.doubt(phases)
            less = part.weight * (systematic + part.lost * share.value + doubt_less)
            more = part.weight * (systematic + part.lost * (1 - share.value) + doubt_more)
        doubt_below, doubt_above = doubt_below + less, doubt_above + more
    rest = max(0.0, 1 - value)
    below, above = min(value, math.sqrt(below_squared)), min(rest, math.sqrt(above_squared))
    return Reading(value, below, above, min(value - below, doubt_below), min(rest - above, doubt_above))


def wilson(count: float, samples: float, level: float = TWO_SIDED_95) -> Interval:
    """count of samples, samples > 0, with Wilson's interval (1927), each bound one-sided at `level`. py-spy's ticks are
    random: samples are taken as independent."""
    z, value = NormalDist().inv_cdf(level), count / samples
    shrink = 1 + z**2 / samples
    centre = (value + z**2 / (2 * samples)) / shrink
    half = z / shrink * math.sqrt(value * (1 - value) / samples + z**2 / (4 * samples**2))
    return Interval(value, min(value, centre - half), max(value, centre + half))
