"""What slow requests waited for, as a flame view: this side the slow ones, the base the rest."""

from __future__ import annotations

import math

from mmload.analyse.flame import FlameProfile, ProcessFlame, StackCost
from mmload.analyse.flame_document import flame_document
from mmload.analyse.phases import Judge
from mmload.analyse.slow import SlowRequests
from mmload.model.flame import FlameDocument
from mmload.model.records import Role
from mmload.plan.phases import rules_for
from mmload.store.read import Run
from mmload.store.stacks import read_source

# Looks come at random: once in a hundred there are so many mean intervals between two. Requests that waited at the same
# time share them, so that each spell is one look.
_LONGEST_TICKS = math.log(100)


def slow_document(run: Run, found: SlowRequests) -> FlameDocument:
    """found: of that run. Widths are what a thread was in, waits included, while one of the requests waited."""
    stamped, judge = run.manifest.stamped, Judge(rules_for(run.manifest.engine), read_source(run.layout))
    return document_of_slow(found, judge, 1000 / stamped.rate_hz if stamped else 0.0)


def document_of_slow(found: SlowRequests, judge: Judge, tick_ms: float) -> FlameDocument:
    """tick_ms: the mean time between two looks at a thread."""
    unseen_ms = _LONGEST_TICKS * tick_ms / found.spells

    def side(name: str, *, slow: bool) -> FlameProfile:
        processes = {thread: _thread(thread, found, unseen_ms, slow=slow) for thread in found.threads}
        return FlameProfile(name=name, variant=name, unit="wall_ms_per_request", processes=processes, judge=judge)

    slow, rest = side(f"the slowest {found.slow:,}", slow=True), side(f"the other {found.rest:,}", slow=False)
    return flame_document(slow, rest, [*found.sentences, *found.notes])


def _thread(name: str, found: SlowRequests, unseen_ms: float, *, slow: bool) -> ProcessFlame:
    """unseen_ms: what a stay may seem longer or shorter by, where it seems to be as long as that."""
    costs = {}
    for stack, wall in found.threads[name].stacks.items():
        ms, samples = (wall.slow_ms, wall.slow_samples) if slow else (wall.rest_ms, wall.rest_samples)
        if ms or samples:
            costs[stack] = StackCost(samples, ms, ms * unseen_ms)
    role: Role = "scheduler" if found.threads[name].process.startswith("scheduler") else "tokenizer"
    return ProcessFlame(name=name, role=role, stacks=costs)
