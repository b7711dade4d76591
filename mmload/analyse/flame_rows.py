"""The hottest paths of flame views as rows: a few dozen of their nodes, as a person reads them in a terminal."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from mmload.analyse.flame_tree import with_callees
from mmload.model.flame import CHANGE_WORDS, VALUE_UNIT_MS, ChangeWord, FlameDocument, FlameFrame, FlameView

LEAST_SHARE = 0.005  # of all that is shown, for a row
_PASSED_THROUGH = 0.97  # of what a node costs is one thing that it called: it says nothing by itself

Values = NDArray[np.float64]


class Selection(msgspec.Struct, frozen=True):
    """What is looked at. phases: empty for all. function: stacks through a function that this matches, None for all."""

    phases: tuple[str, ...] = ()
    function: re.Pattern[str] | None = None


class FlameRow(NamedTuple):
    """A node. depth: how many rows it is below a root's. skipped: nodes between it and the row that it is below, which
    passed everything on to it. total_ms: by view, what it called included; own_ms: without. base_*: the other side's,
    empty without one. word: of the first view."""

    depth: int
    skipped: int
    frame: FlameFrame
    phase: str
    total_ms: Sequence[float]
    own_ms: Sequence[float]
    base_total_ms: Sequence[float]
    base_own_ms: Sequence[float]
    word: ChangeWord | None


class FlameTable(NamedTuple):
    """Rows of several views side by side. total_ms, base_total_ms: by view, of all that was selected. left_out: nodes
    that are too small for a row, or beyond the most."""

    views: Sequence[FlameView]
    rows: Sequence[FlameRow]
    total_ms: Sequence[float]
    base_total_ms: Sequence[float]
    left_out: int


def flame_table(document: FlameDocument, views: Sequence[FlameView], selection: Selection, most: int) -> FlameTable:
    """The views' nodes laid on top of each other, at most `most` rows, those that cost most."""
    paths = _Paths(document, views)
    own = paths.own * _selected(paths, document, selection)
    total = with_callees(own, paths.parent)
    weight = total.max(axis=0).sum(axis=0)  # of the larger side, over all views
    whole = weight[paths.parent < 0].sum()
    passing = _passing(paths.parent, weight, own.max(axis=0).sum(axis=0))
    worth = np.flatnonzero((weight >= LEAST_SHARE * whole) & (weight > 0) & ~passing)
    chosen = set(worth[np.argsort(-weight[worth], kind="stable")][:most].tolist())
    all_of = [side.sum(axis=1).tolist() for side in own]
    return FlameTable(
        views=views,
        rows=list(_rows(document, paths, own, total, chosen)),
        total_ms=all_of[0],
        base_total_ms=all_of[1] if len(all_of) > 1 else [],
        left_out=int(((weight > 0) & ~passing).sum()) - len(chosen),
    )


class _Paths:
    """The distinct paths of several views, parents before children. own: (sides, views, paths) in ms."""

    def __init__(self, document: FlameDocument, views: Sequence[FlameView]) -> None:
        places: dict[tuple[int, int, int], int] = {}
        placed = [list(_placed(view, places)) for view in views]
        columns = np.array(list(places), np.int64).reshape(-1, 3)
        self.parent, self.frame, self.phase = columns.T
        self.word = np.zeros(len(columns), np.int64)
        self.own = np.zeros((1 if document.base is None else 2, len(views), len(columns)))
        for number, (view, where) in enumerate(zip(views, placed, strict=True)):
            for side, values in enumerate((view.nodes.value, view.nodes.base_value)[: len(self.own)]):
                np.add.at(self.own[side, number], where, np.array(values) * VALUE_UNIT_MS)
        if views and views[0].nodes.word:
            self.word[placed[0]] = views[0].nodes.word


def _placed(view: FlameView, places: dict[tuple[int, int, int], int]) -> Iterator[int]:
    """The place of each node's path; new paths get one."""
    found: list[int] = []
    nodes = view.nodes
    for node, (up, frame, phase) in enumerate(zip(nodes.up, nodes.frame, nodes.phase, strict=True)):
        key = found[node - up] if up else -1, frame, phase
        found.append(places.setdefault(key, len(places)))
        yield found[-1]


def _selected(paths: _Paths, document: FlameDocument, selection: Selection) -> NDArray[np.bool_]:
    wanted = [not selection.phases or phase in selection.phases for phase in document.phases]
    chosen = np.array(wanted, np.bool_)[paths.phase]
    if selection.function is None:
        return chosen
    matching = [selection.function.search(frame.function) is not None for frame in document.frames]
    through = np.zeros(len(paths.parent), np.bool_)
    for place, (parent, frame) in enumerate(zip(paths.parent.tolist(), paths.frame.tolist(), strict=True)):
        through[place] = matching[frame] or (parent >= 0 and through[parent])
    return chosen & through


def _passing(parent: NDArray[np.int64], weight: Values, own: Values) -> NDArray[np.bool_]:
    largest = np.zeros(len(parent))
    below = parent >= 0
    np.maximum.at(largest, parent[below], weight[below])
    return (largest >= _PASSED_THROUGH * weight) & (own < (1 - _PASSED_THROUGH) * weight)


def _rows(document: FlameDocument, paths: _Paths, own: Values, total: Values, chosen: set[int]) -> Iterator[FlameRow]:
    """Depth first, the largest first."""
    children: dict[int, list[int]] = {}
    for place in np.argsort(total.max(axis=0).sum(axis=0), kind="stable").tolist():
        children.setdefault(int(paths.parent[place]), []).append(place)
    waiting = [(place, 0, 0) for place in children.get(-1, [])]
    while waiting:
        place, depth, skipped = waiting.pop()
        shown = place in chosen
        if shown:
            sides = [[*values[:, :, place].tolist(), []] for values in (total, own)]
            yield FlameRow(
                depth=depth,
                skipped=skipped,
                frame=document.frames[paths.frame[place]],
                phase=document.phases[paths.phase[place]],
                total_ms=sides[0][0],
                own_ms=sides[1][0],
                base_total_ms=sides[0][1],
                base_own_ms=sides[1][1],
                word=None if document.base is None else CHANGE_WORDS[paths.word[place]],
            )
        waiting += [(child, depth + shown, 0 if shown else skipped + 1) for child in children.get(place, [])]
