"""In which phases the ranks were while the slowest requests were waiting, beside the rest.

A request that waits longer sees more of every phase. So each phase is held against what a wait as long holds of it
elsewhere, which is: while the quicker half of the rest waited, without those beside which a slow one waited. (The
others may have been held up by the same.)

    more = mean over the slow of (time in the phase - own wait x the phase's share of the waits elsewhere)

That is more than chance where it exceeds by how much waits elsewhere differ from their own shares (their median
absolute deviation), as much wider as the slow waited longer, and what a profiler with random ticks may not have seen.
Slow requests that waited at the same time saw the same, and count as one. All phases of all threads are looked at, so
the bounds are those of all together; a phase is named only where it is also a good part of what the slow waited longer.
bench/slow_requests.py: of servers without any fault, from idle to overloaded, one in 200 or fewer have a phase named.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import NormalDist
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from mmload.analyse.phases import Judge
from mmload.analyse.slow_known import FEWEST_REST, FEWEST_SLOW, known_stacks, waits_within
from mmload.analyse.stacks import parse_frame
from mmload.analyse.waiting import Kind, Timeline, Values, Waits, timelines
from mmload.plan.phases import PhaseName, rules_for
from mmload.store.read import Run
from mmload.store.stacks import read_source

_FEWEST_ELSEWHERE = 10
_CHANCE = 0.01  # that any phase is named although none has anything to do with it
_LEAST_PART = 0.25  # of what the slow waited longer: less is no reason for it
_MAD_TO_DEVIATION = 1.4826  # of a normal distribution
_NONE_NAMED = "no phase took more of it than chance: they waited for the same as the others, longer"


class PhaseWall(msgspec.Struct, frozen=True, kw_only=True):
    """A thread's time in one phase while a request waited, in milliseconds a request. blocked_ms: of slow_ms, in
    functions that may sleep until another process, or the device, has done something; mostly: the innermost function of
    the most of it. more_ms: beyond what a wait as long as that of the slow holds of it elsewhere, with bounds; named:
    that is more than chance."""

    slow_ms: float
    rest_ms: float
    blocked_ms: float = 0.0
    mostly: str = ""
    more_ms: float
    low_ms: float
    high_ms: float
    named: bool = False


class StackWall(NamedTuple):
    """A stack's part of the same, in milliseconds a request. usual_ms: what a wait as long as that of the slow holds of
    it elsewhere. samples: the looks that found it while any of these waited."""

    slow_ms: float
    usual_ms: float
    slow_samples: int
    usual_samples: int


class ThreadWall(msgspec.Struct, frozen=True, kw_only=True):
    """One thread, under the name of its process if it is the main one. phases: those that it was ever in."""

    process: str
    phases: dict[PhaseName, PhaseWall]
    stacks: dict[str, StackWall]


class SlowRequests(msgspec.Struct, frozen=True, kw_only=True):
    """slow, rest: how many requests, of those that began and ended while stacks were stamped; left_out: those that did
    not. *_wait_ms: mean from due to done. spells: how many groups of slow ones there are of which no two waited at the
    same time. sentences: the first says who waited how long, each further one names a phase. notes: of which processes
    nothing is known, and why."""

    slow: int
    rest: int
    left_out: int = 0
    spells: int
    slow_wait_ms: float
    rest_wait_ms: float
    threads: dict[str, ThreadWall]
    sentences: list[str] = []
    notes: list[str] = []

    @property
    def said(self) -> list[str]:
        """The sentences, and where none names a phase, one that says so."""
        return self.sentences if len(self.sentences) > 1 else [*self.sentences, _NONE_NAMED]


def slow_requests(run: Run, share: float = 0.01) -> SlowRequests | None:
    """The slowest `share` of the requests, at least FEWEST_SLOW, against the rest. None where stacks were not stamped,
    or too few requests waited meanwhile: slow_known.why_none says which. Raises FolderError on damage."""
    known = run.once(known_stacks)
    if not known.stacks:
        return None
    waits, left_out = waits_within(run, known.stacks)
    judge = Judge(rules_for(run.manifest.engine), read_source(run.layout))
    threads: dict[str, Timeline] = {}
    for process, one in known.stacks.items():
        threads |= timelines(process, one, judge)
    found = compare(threads, waits, share)
    return found and msgspec.structs.replace(found, left_out=left_out, notes=known.left_out)


def compare(threads: Mapping[str, Timeline], waits: Waits, share: float) -> SlowRequests | None:
    """The slow of `waits` against the rest; None where there are too few."""
    count = len(waits.due_ns)
    slow_count = max(FEWEST_SLOW, math.ceil(share * count))
    if count < slow_count + FEWEST_REST:
        return None
    is_slow = np.zeros(count, np.bool_)
    is_slow[np.argsort(waits.ms, kind="stable")[count - slow_count :]] = True
    slow, rest = waits.of(is_slow), waits.of(~is_slow)
    in_phase = {name: thread.phases_ms(waits) for name, thread in threads.items()}
    quick = ~is_slow & (waits.ms <= np.median(rest.ms))
    elsewhere = quick & ~waits.beside(slow)
    if elsewhere.sum() < _FEWEST_ELSEWHERE:
        elsewhere = quick
    chance = _Chance(waits.ms, is_slow, elsewhere, len(slow.merged()[0]), sum(map(len, in_phase.values())))
    found = SlowRequests(
        slow=slow_count,
        rest=count - slow_count,
        spells=chance.spells,
        slow_wait_ms=float(slow.ms.mean()),
        rest_wait_ms=float(rest.ms.mean()),
        threads={
            name: _thread(thread, in_phase[name], chance, slow, waits.of(elsewhere)) for name, thread in threads.items()
        },
    )
    return msgspec.structs.replace(found, sentences=[_who(found), *_named(found)])


class _Chance(NamedTuple):
    """What chance there is that slow requests differ. wait_ms, is_slow: of each request; elsewhere: whether it is one
    to compare with. comparisons: how many phases of how many threads are looked at."""

    wait_ms: Values
    is_slow: NDArray[np.bool_]
    elsewhere: NDArray[np.bool_]
    spells: int
    comparisons: int

    def wall(self, phase: PhaseName, ms: Values, tick_ms: float) -> PhaseWall:
        """ms: in the phase, while each request waited. tick_ms: the mean time between two looks at the thread."""
        slow_wait_ms, rest_wait_ms = (float(self.wait_ms[of].mean()) for of in (self.is_slow, ~self.is_slow))
        usual = float(ms[self.elsewhere].sum() / self.wait_ms[self.elsewhere].sum())
        beyond = ms - self.wait_ms * usual
        more_ms = float(beyond[self.is_slow].mean())
        chance_ms = math.hypot(self._usual_ms(beyond[self.elsewhere]), self._unseen_ms(slow_wait_ms, tick_ms))
        half_ms = chance_ms / math.sqrt(self.spells)
        enough = more_ms >= _LEAST_PART * (slow_wait_ms - rest_wait_ms)
        return PhaseWall(
            slow_ms=float(ms[self.is_slow].mean()),
            rest_ms=float(ms[~self.is_slow].mean()),
            more_ms=more_ms,
            low_ms=more_ms - half_ms,
            high_ms=more_ms + half_ms,
            named=phase != "idle-poll" and more_ms > half_ms and enough,
        )

    def _usual_ms(self, beyond: Values) -> float:
        """How much of a phase a wait as long as that of the slow may hold more than its share, by how much others do:
        what adds up over a wait spreads as the root of its length."""
        deviation = _MAD_TO_DEVIATION * float(np.median(abs(beyond - np.median(beyond))))
        longer = self.wait_ms[self.is_slow].mean() / self.wait_ms[self.elsewhere].mean()
        return float(deviation * math.sqrt(longer) * NormalDist().inv_cdf(1 - _CHANCE / self.comparisons))

    def _unseen_ms(self, slow_wait_ms: float, tick_ms: float) -> float:
        """The longest time between two looks during such a wait. They come at random, so it is exponential; what the
        thread was in meanwhile was not seen."""
        return tick_ms * math.log(self.comparisons * max(1.0, slow_wait_ms / tick_ms) / _CHANCE)


def _thread(
    thread: Timeline, in_phase: Mapping[PhaseName, Values], chance: _Chance, slow: Waits, elsewhere: Waits
) -> ThreadWall:
    slow_ms, usual_ms = thread.stacks_ms(slow), thread.stacks_ms(elsewhere)
    seen, usually_seen = (thread.stacks_ms(Waits(*waits.merged())) for waits in (slow, elsewhere))
    as_long = float(slow.ms.mean() / elsewhere.ms.sum())
    return ThreadWall(
        process=thread.process,
        phases={
            phase: _with_stacks(chance.wall(phase, ms, thread.tick_ms), phase, slow_ms, len(slow.due_ns))
            for phase, ms in in_phase.items()
        },
        stacks={
            kind.stack: StackWall(
                slow_ms=slow_ms.get(kind, 0.0) / len(slow.due_ns),
                usual_ms=usual_ms.get(kind, 0.0) * as_long,
                slow_samples=round(seen.get(kind, 0.0) / thread.tick_ms),
                usual_samples=round(usually_seen.get(kind, 0.0) / thread.tick_ms),
            )
            for kind in dict.fromkeys((*slow_ms, *usual_ms))
        },
    )


def _with_stacks(wall: PhaseWall, phase: PhaseName, slow_ms: Mapping[Kind, float], requests: int) -> PhaseWall:
    """slow_ms: of all slow requests together."""
    functions: dict[str, float] = {}
    for kind, ms in slow_ms.items():
        if kind.phase == phase:
            function = parse_frame(kind.stack.rpartition(";")[2])[0]
            functions[function] = functions.get(function, 0.0) + ms
    return msgspec.structs.replace(
        wall,
        blocked_ms=sum(ms for kind, ms in slow_ms.items() if kind.phase == phase and kind.blocks) / requests,
        mostly=max(functions, key=lambda name: functions[name], default=""),
    )


def _who(found: SlowRequests) -> str:
    return (
        f"the slowest {found.slow} of {found.slow + found.rest} requests waited {found.slow_wait_ms:.0f} ms, the rest "
        f"{found.rest_wait_ms:.0f} ms"
    )


def _named(found: SlowRequests) -> list[str]:
    """Those of which there was the most too much first; but a thread that slept until another had done something
    stands behind those that may have kept it waiting."""
    named = [
        (2 * wall.blocked_ms > wall.slow_ms, -wall.more_ms, name, phase, wall)
        for name, thread in found.threads.items()
        for phase, wall in thread.phases.items()
        if wall.named
    ]
    return [
        f"{name.removeprefix('scheduler_')} spent {wall.slow_ms:.0f} ms of it in {phase}, mostly in {wall.mostly}"
        f"{', asleep until others had done their part' * blocked} (while the rest waited: {wall.rest_ms:.0f} ms)"
        for blocked, _, name, phase, wall in sorted(named, key=lambda one: one[:4])
    ]
