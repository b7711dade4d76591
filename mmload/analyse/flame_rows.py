"""The hottest paths of flame views as rows: a few dozen of their nodes, as a person reads them in a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mmload.analyse.flame_tree import with_callees
from mmload.model.flame import (
    CHANGE_WORDS,
    SAYS_NOTHING,
    VALUE_UNIT_MS,
    ChangeWord,
    FlameDocument,
    FlameFrame,
    FlameView,
)

LEAST_SHARE = 0.005  # of all that is shown, for a row
_AROUND = 8  # rows of a difference, where less differs
_DIFFERING = [place for place, word in enumerate(CHANGE_WORDS) if word not in SAYS_NOTHING]
_PASSED_THROUGH = 0.97  # of what a node costs is one thing that it called: it says nothing by itself

Values = NDArray[np.float64]


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
    """Rows of several views side by side. total_ms, base_total_ms: by view, of all in it. left_out: nodes that are too
    small for a row, or beyond the most; outside_ms: what is below none of the rows, on this side."""

    views: Sequence[FlameView]
    rows: Sequence[FlameRow]
    total_ms: Sequence[float]
    base_total_ms: Sequence[float]
    left_out: int
    outside_ms: float


def flame_table(document: FlameDocument, views: Sequence[FlameView], most: int) -> FlameTable:
    """The views' nodes laid on top of each other, at most `most` rows: those that cost most; of a difference those that
    differ most by more than chance, and some around them."""
    paths = _Paths(document, views)
    total = with_callees(paths.own, paths.parent)
    weight = total.max(axis=0).sum(axis=0)  # of the larger side, over all views
    whole = weight[paths.parent < 0].sum()
    passing = _passing(paths.parent, weight, paths.own.max(axis=0).sum(axis=0))
    worth = (weight >= LEAST_SHARE * whole) & (weight > 0) & ~passing
    chosen = _chosen(worth, weight, most)
    if document.base is not None:
        differs = np.isin(paths.word, _DIFFERING)
        by_difference = np.abs(total[0] - total[1]).sum(axis=0)
        around = chosen[: max(0, min(most, _AROUND) - int((worth & differs).sum()))]
        chosen = [*_chosen(worth & differs, by_difference, most), *around]
    is_shown = np.zeros(len(weight), np.bool_)
    is_shown[chosen] = True
    all_of = [side.sum(axis=1).tolist() for side in paths.own]
    return FlameTable(
        views=views,
        rows=list(_rows(document, paths, paths.own, total, set(chosen))),
        total_ms=all_of[0],
        base_total_ms=all_of[1] if len(all_of) > 1 else [],
        left_out=int(((weight > 0) & ~passing & ~is_shown).sum()),
        outside_ms=float(paths.own[0][:, ~_below(is_shown, paths.parent)].sum()),
    )


def _chosen(worth: NDArray[np.bool_], by: Values, most: int) -> list[int]:
    """The most of those worth a row, by what they have the most of."""
    places = np.flatnonzero(worth)
    return [int(place) for place in places[np.argsort(-by[places], kind="stable")][:most]]


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


def _passing(parent: NDArray[np.int64], weight: Values, own: Values) -> NDArray[np.bool_]:
    largest = np.zeros(len(parent))
    below = parent >= 0
    np.maximum.at(largest, parent[below], weight[below])
    return (largest >= _PASSED_THROUGH * weight) & (own < (1 - _PASSED_THROUGH) * weight)


def _below(is_shown: NDArray[np.bool_], parent: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which nodes are shown or below one that is."""
    found: list[bool] = []
    for shown, above in zip(is_shown.tolist(), parent.tolist(), strict=True):
        found.append(shown or (above >= 0 and found[above]))
    return np.array(found, np.bool_)


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
