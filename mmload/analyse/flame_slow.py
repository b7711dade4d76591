"""What slow requests waited for, as a flame view: this side the slow ones, the base a wait as long as theirs elsewhere.

What differs is what the table says: a node is red where its phase is named (slow.PhaseWall) and it has more of it than
the phase may have by chance. What other threads do meanwhile is grey, however long it took.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
import numpy as np

from mmload.analyse.flame import FlameProfile, ProcessFlame, StackCost
from mmload.analyse.flame_document import flame_document
from mmload.analyse.flame_tree import parents, with_callees
from mmload.analyse.phases import Judge
from mmload.analyse.slow import PhaseWall, SlowRequests
from mmload.model.flame import CHANGE_WORDS, VALUE_UNIT_MS, ChangeWord, FlameChange, FlameDocument, FlameView
from mmload.model.records import Role
from mmload.plan.phases import PHASES, PhaseName, rules_for
from mmload.store.read import Run
from mmload.store.stacks import read_source


def slow_document(run: Run, found: SlowRequests) -> FlameDocument:
    """found: of that run. Widths are what a thread was in, waits included, while one of the requests waited."""
    judge = Judge(rules_for(run.manifest.engine), read_source(run.layout))
    document = document_of_slow(found, judge)
    return msgspec.structs.replace(document, title=f"what the slowest requests of {run.run_id} waited for")


def document_of_slow(found: SlowRequests, judge: Judge) -> FlameDocument:
    def side(name: str, *, slow: bool) -> FlameProfile:
        processes = {thread: _thread(thread, found, slow=slow) for thread in found.threads}
        return FlameProfile(name=name, variant=name, unit="wall_ms_per_request", processes=processes, judge=judge)

    slow, usual = side(f"the slowest {found.slow:,}", slow=True), side("a wait as long, elsewhere", slow=False)
    document = flame_document(slow, usual, [*found.said, *found.notes])
    views = [_worded(view, found.threads[view.id].phases) for view in document.views]
    return msgspec.structs.replace(document, views=views, confidence=None)


def _thread(name: str, found: SlowRequests, *, slow: bool) -> ProcessFlame:
    costs = {}
    for stack, wall in found.threads[name].stacks.items():
        ms, samples = (wall.slow_ms, wall.slow_samples) if slow else (wall.usual_ms, wall.usual_samples)
        if ms or samples:
            costs[stack] = StackCost(samples, ms, 0.0)
    role: Role = "scheduler" if found.threads[name].process.startswith("scheduler") else "tokenizer"
    return ProcessFlame(name=name, role=role, stacks=costs)


def _worded(view: FlameView, walls: Mapping[PhaseName, PhaseWall]) -> FlameView:
    nodes = view.nodes
    frame, phase = np.array(nodes.frame), np.array(nodes.phase)
    own = np.array([nodes.value, nodes.base_value], np.float64) * VALUE_UNIT_MS
    total = with_callees(own, parents(nodes))
    words = [_word(walls.get(PHASES[of]), *ms) for of, ms in zip(nodes.phase, total.T.tolist(), strict=True)]
    main = {int(one): PHASES[phase[frame == one][own[0][frame == one].argmax()]] for one in np.unique(frame)}
    return msgspec.structs.replace(
        view,
        nodes=msgspec.structs.replace(nodes, word=[CHANGE_WORDS.index(word) for word in words]),
        changes=[_changed(change, walls.get(main[change.frame])) for change in view.changes],
    )


def _word(wall: PhaseWall | None, slow_ms: float, usual_ms: float) -> ChangeWord:
    """wall: of the phase, None where the thread was never in it."""
    if wall is None or not wall.named or slow_ms - usual_ms <= _chance_ms(wall):
        return "within noise"
    return "more" if usual_ms > 0 else "appeared"


def _changed(change: FlameChange, wall: PhaseWall | None) -> FlameChange:
    own, total, chance = change.own_ms - change.base_own_ms, change.total_ms - change.base_total_ms, _chance_ms(wall)
    return msgspec.structs.replace(
        change,
        word=_word(wall, change.total_ms, change.base_total_ms),
        low_ms=total - chance,
        high_ms=total + chance,
        own_word=_word(wall, change.own_ms, change.base_own_ms),
        own_low_ms=own - chance,
        own_high_ms=own + chance,
    )


def _chance_ms(wall: PhaseWall | None) -> float:
    return wall.more_ms - wall.low_ms if wall else 0.0
