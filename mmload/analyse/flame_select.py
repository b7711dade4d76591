"""A part of a flame view: some phases, or what runs through some functions. Its words are those of the part."""

from __future__ import annotations

import re
from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from mmload.analyse.flame_diff import changes, differences
from mmload.analyse.flame_document import flame_nodes, is_judged, unjudged
from mmload.analyse.flame_tree import Forest, SideCosts, parents, with_callees
from mmload.model.flame import CHANGE_WORDS, VALUE_UNIT_MS, ChangeWord, FlameDocument, FlameNodes, FlameView

Values = NDArray[np.float64]


class Selection(msgspec.Struct, frozen=True):
    """What is looked at. phases: empty for all. function: stacks through a function that this matches, by its name or
    by `name (file)`; None for all."""

    phases: tuple[str, ...] = ()
    function: re.Pattern[str] | None = None

    @property
    def is_all(self) -> bool:
        return not self.phases and self.function is None


def selected(document: FlameDocument, views: Sequence[FlameView], selection: Selection) -> list[FlameView]:
    """The views with nothing in them but what is selected."""
    return list(views) if selection.is_all else [_selected(document, view, selection) for view in views]


def costs_of(nodes: FlameNodes) -> SideCosts:
    """What is innermost in each node. The samples of a node weigh alike here: stacks that share one do, nearly."""
    samples = np.array([nodes.samples, nodes.base_samples][: 2 if nodes.word else 1], np.int64)
    ms = np.array([nodes.value, nodes.base_value][: len(samples)], np.float64) * VALUE_UNIT_MS
    tick_ms = ms.sum(axis=1, keepdims=True) / np.maximum(1, samples.sum(axis=1, keepdims=True))
    return SideCosts(samples, ms, ms * np.where(samples > 0, ms / np.maximum(1, samples), tick_ms))


def _selected(document: FlameDocument, view: FlameView, selection: Selection) -> FlameView:
    nodes, runs = view.nodes, (view.runs, view.base_runs)
    parent, mask = parents(nodes), _mask(document, nodes, selection)
    whole = costs_of(nodes)
    own = SideCosts(whole.samples * mask, whole.ms * mask, whole.variance * mask)
    total = SideCosts(
        with_callees(own.samples, parent), with_callees(own.ms, parent), with_callees(own.variance, parent)
    )
    part = Forest(parent, np.array(nodes.frame, np.int64), np.array(nodes.phase, np.int64), own, total)
    has_base = document.base is not None
    found = msgspec.structs.replace(
        view,
        is_part=True,
        samples=int(own.samples[0].sum()),
        value_ms=float(own.ms[0].sum()),
        base_samples=int(own.samples[1].sum()) if has_base else None,
        base_value_ms=float(own.ms[1].sum()) if has_base else None,
        nodes=flame_nodes(part, runs),
        changes=[change for change in changes(part, runs) if change.total_ms or change.base_total_ms]
        if has_base
        else [],
    )
    return found if is_judged(view) or not has_base else unjudged(found)


def phase_costs(document: FlameDocument, view: FlameView) -> tuple[Values, list[ChangeWord]]:
    """By phase, all together last, (sides, phases) in ms; and the word of each difference."""
    own, phases = costs_of(view.nodes), len(document.phases)

    def by_phase(part: Values) -> Values:
        sums = np.stack([np.bincount(view.nodes.phase, side, phases) for side in part])
        return np.hstack((sums, sums.sum(axis=1, keepdims=True)))

    ms, variance = by_phase(own.ms), by_phase(own.variance)
    if len(ms) == 1:
        return ms, []
    if not view.is_part:
        variance[:, -1] = 1e-12 * ms[:, -1] ** 2  # the kernel's clocks know it without samples
    found = differences(SideCosts(np.zeros_like(ms, np.int64), ms, variance), (view.runs, view.base_runs))
    return ms, [CHANGE_WORDS[word] if is_judged(view) else "not judged" for word in found.word]


def _mask(document: FlameDocument, nodes: FlameNodes, selection: Selection) -> NDArray[np.bool_]:
    wanted = [not selection.phases or phase in selection.phases for phase in document.phases]
    chosen = np.array(wanted, np.bool_)[np.array(nodes.phase, np.int64)]
    if selection.function is None:
        return chosen
    search = selection.function.search
    matching = [bool(search(one.function) or search(f"{one.function} ({one.file})")) for one in document.frames]
    through: list[bool] = []
    for place, (up, frame) in enumerate(zip(nodes.up, nodes.frame, strict=True)):
        through.append(matching[frame] or (up > 0 and through[place - up]))
    return chosen & np.array(through, np.bool_)
