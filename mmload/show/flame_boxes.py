"""Where the frames of a flame view lie in a picture: each below what called it, as wide as what it stands for.

With a second side a frame's width is the larger of the two, summed over the stacks that end in it, so that what
appeared and what vanished both have room.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mmload.analyse.flame_tree import parents, with_callees
from mmload.model.flame import VALUE_UNIT_MS, FlameNodes

Column = NDArray[np.float64]


class Totals(NamedTuple):
    """Of each node with all that it called. ms, base_ms: of the two sides; weight: what its width stands for, in ms.
    size: how many nodes it is, itself one of them."""

    ms: Column
    base_ms: Column
    weight: Column
    samples: NDArray[np.int64]
    size: NDArray[np.int64]


class Picture(NamedTuple):
    """boxes: parents before what they called. whole_ms: what the whole width stands for. narrow: how many nodes have
    no box of their own, narrow_ms: what these stand for. rows: how deep it is."""

    boxes: list[Box]
    whole_ms: float
    narrow: int
    narrow_ms: float

    @property
    def rows(self) -> int:
        return max((box.depth + 1 for box in self.boxes), default=0)


class Box(NamedTuple):
    """A rectangle. x, width: in pixels. node: the place of its frame among the nodes; None for neighbours that are too
    narrow to be drawn alone, `size` of them with all that they called, `weight_ms` together."""

    x: float
    width: float
    depth: int
    node: int | None
    size: int
    weight_ms: float


def totals(nodes: FlameNodes) -> Totals:
    parent = parents(nodes)
    own_ms = np.array(nodes.value, np.float64) * VALUE_UNIT_MS
    base_own_ms = np.array(nodes.base_value or [0] * len(parent), np.float64) * VALUE_UNIT_MS
    ms, base_ms, weight = with_callees(np.stack((own_ms, base_own_ms, np.maximum(own_ms, base_own_ms))), parent)
    samples, size = with_callees(np.stack((np.array(nodes.samples, np.int64), np.ones_like(parent))), parent)
    return Totals(ms, base_ms, weight, samples, size)


def picture(nodes: FlameNodes, sums: Totals, width_px: float, least_px: float) -> Picture:
    """From the roots down. No frame that is narrower than `least_px` has a box of its own; the narrow ones below one
    frame share one, if together they are wide enough."""
    children: dict[int, list[int]] = {}
    for node, parent in enumerate(parents(nodes).tolist()):
        children.setdefault(parent, []).append(node)
    whole_ms = float(sums.weight[children.get(-1, [])].sum())
    scale = width_px / whole_ms if whole_ms else 0.0
    placed: list[Box] = []
    waiting = [(-1, 0.0, 0)]
    narrow, narrow_ms = 0, 0.0
    while waiting:
        parent, x, depth = waiting.pop()
        below = children.get(parent, [])
        wide = [node for node in below if sums.weight[node] * scale >= least_px]
        for node in wide:
            weight_ms = float(sums.weight[node])
            placed.append(Box(x, weight_ms * scale, depth, node, 1, weight_ms))
            waiting.append((node, x, depth + 1))
            x += weight_ms * scale
        if len(wide) < len(below):
            rest = sorted(set(below) - set(wide))
            count, weight_ms = int(sums.size[rest].sum()), float(sums.weight[rest].sum())
            narrow, narrow_ms = narrow + count, narrow_ms + weight_ms
            if weight_ms * scale >= least_px:
                placed.append(Box(x, weight_ms * scale, depth, None, count, weight_ms))
    return Picture(placed, whole_ms, narrow, narrow_ms)
