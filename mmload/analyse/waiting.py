"""What a thread was in while requests waited: its stacks with their times, against the requests' from due to done."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mmload.analyse.phases import Judge
from mmload.plan.phases import PHASES, PhaseName
from mmload.store.stamped import UNKNOWN, StampedStacks, StampedThread

Values = NDArray[np.float64]
Times = NDArray[np.int64]


class Waits(NamedTuple):
    """Requests, from due to done, one entry each."""

    due_ns: Times
    done_ns: Times

    @property
    def ms(self) -> Values:
        return (self.done_ns - self.due_ns) / 1e6

    def of(self, chosen: NDArray[np.bool_]) -> Waits:
        return Waits(self.due_ns[chosen], self.done_ns[chosen])

    def together_ms(self, edges_ns: Values) -> Values:
        """How long all of them waited together between each edge and the next."""
        origin_ns = int(self.due_ns.min(initial=2**62))
        caps = np.maximum(edges_ns - origin_ns, 0.0)
        done, due = (_capped_sum((t_ns - origin_ns).astype(np.float64), caps) for t_ns in (self.done_ns, self.due_ns))
        return np.diff(done - due) / 1e6

    def beside(self, others: Waits) -> NDArray[np.bool_]:
        """Which of these waited while any of the others did."""
        starts_ns, ends_ns = others.merged()
        place = np.searchsorted(ends_ns, self.due_ns, side="right")  # the first spell that ends after it was due
        starts_ns = np.append(starts_ns, np.iinfo(np.int64).max)
        return np.asarray(starts_ns[place] < self.done_ns)

    def merged(self) -> tuple[Times, Times]:
        """When spells begin and end in which some request waits all the time."""
        order = np.argsort(self.due_ns)
        due_ns, until_ns = self.due_ns[order], np.maximum.accumulate(self.done_ns[order])
        gaps = due_ns[1:] > until_ns[:-1]
        begins = np.append(True, gaps)[: len(order)]
        ends = np.append(gaps, True)[: len(order)]
        return due_ns[begins], until_ns[ends]


class Kind(NamedTuple):
    """What is known of a stack. blocks: its innermost function may sleep until another process, or the device, has
    done something."""

    stack: str
    phase: PhaseName
    blocks: bool


class Timeline(NamedTuple):
    """One thread: in kinds[place[i]] from edges_ns[i] to edges_ns[i + 1]; where the place is UNKNOWN, in what nobody
    could read. rate_hz: how often it was looked at."""

    process: str
    rate_hz: float
    edges_ns: Values
    place: list[int]
    kinds: list[Kind]

    @property
    def tick_ms(self) -> float:
        """The mean time between two looks."""
        return 1000 / self.rate_hz

    def phases_ms(self, waits: Waits) -> dict[PhaseName, Values]:
        """The phases that occur -> how long the thread was in it while each of the requests waited."""
        lengths_ns = np.diff(self.edges_ns)
        phases = [None if place == UNKNOWN else self.kinds[place].phase for place in self.place]
        found = {}
        for phase in (phase for phase in PHASES if phase in phases):
            within_ns = np.where([own == phase for own in phases], lengths_ns, 0.0)
            until_ns = np.concatenate(((0.0,), np.cumsum(within_ns)))
            at_done, at_due = (np.interp(t_ns, self.edges_ns, until_ns) for t_ns in (waits.done_ns, waits.due_ns))
            found[phase] = (at_done - at_due) / 1e6
        return found

    def stacks_ms(self, waits: Waits) -> dict[Kind, float]:
        """How long the thread was in each stack while the requests waited, added up over them."""
        sums = np.zeros(len(self.kinds))
        for place, ms in zip(self.place, waits.together_ms(self.edges_ns).tolist(), strict=True):
            if place != UNKNOWN:
                sums[place] += ms
        return {kind: ms for kind, ms in zip(self.kinds, sums.tolist(), strict=True) if ms > 0}


def timelines(process: str, stamped: StampedStacks, judge: Judge) -> dict[str, Timeline]:
    """The main thread under the name of its process; of the others those that were ever in a phase with a rule other
    than waiting for work, under theirs too."""
    kinds = [Kind(stack, judge.phase(stack), judge.may_block(stack)) for stack in stamped.stacks]
    found: dict[str, Timeline] = {}
    for number, thread in enumerate(stamped.threads):
        name = process if not number else f"{process}, thread {thread.name}"
        phases = {kinds[place].phase for place in thread.stack if place != UNKNOWN}
        if not number or not phases <= {"other", "idle-poll"}:
            found[name] = Timeline(process, stamped.rate_hz, _edges_ns(thread, stamped), thread.stack, kinds)
    return found


def window_ns(stamped: Iterable[StampedStacks]) -> tuple[int, int]:
    """In which all of them are known."""
    stamped = list(stamped)
    starts_ns, ends_ns = ([one.start_ns for one in stamped], [one.end_ns - round(_delay_ns(one)) for one in stamped])
    return max(starts_ns), min(ends_ns)


def _edges_ns(thread: StampedThread, stamped: StampedStacks) -> Values:
    """Each stack is first seen at the next tick; ticks are random, so that is an interval later on the average."""
    return np.array([*thread.t_ns, stamped.end_ns], np.float64) - _delay_ns(stamped)


def _delay_ns(stamped: StampedStacks) -> float:
    return 1e9 / stamped.rate_hz


def _capped_sum(values: Values, caps: Values) -> Values:
    """For each cap, 0 or more, the sum over all values, each no more than the cap."""
    ordered = np.sort(values)
    below = np.searchsorted(ordered, caps)
    sums = np.concatenate(((0.0,), np.cumsum(ordered)))
    return np.asarray(sums[below] + (len(ordered) - below) * caps)
