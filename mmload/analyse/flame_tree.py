"""Folded stacks as a forest of functions, of one side or of two laid on top of each other.

A node is a function with all its lines, below what called it, in one phase: the phase of the stack that ends there. So
one function may stand twice beside itself, where one of its lines hashes and another one waits.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from mmload.analyse.flame import StackCost
from mmload.analyse.phases import Judge
from mmload.analyse.stacks import parse_frame
from mmload.model.flame import FlameFrame
from mmload.plan.phases import PHASES

Costs = Mapping[str, StackCost]

Number = TypeVar("Number", np.int64, np.float64)

_OTHER = PHASES.index("other")


class SideCosts(NamedTuple):
    """The parts of a StackCost, each (sides, nodes)."""

    samples: NDArray[np.int64]
    ms: NDArray[np.float64]
    variance: NDArray[np.float64]


class Forest(NamedTuple):
    """Nodes in preorder, siblings by what they cost, the largest first. parent: index of each one's, -1 for a root.
    frame: index into the frames of its Frames. phase: index into PHASES. own: of what is innermost in a node; total:
    with all that it called."""

    parent: NDArray[np.int64]
    frame: NDArray[np.int64]
    phase: NDArray[np.int64]
    own: SideCosts
    total: SideCosts


class Frames:
    """The distinct functions of all forests of a document."""

    def __init__(self) -> None:
        self.frames: list[FlameFrame] = []
        self._places: dict[tuple[str, str], int] = {}
        self._by_text: dict[str, int] = {}

    def place(self, text: str) -> int:
        """The index of the function that a frame's text names."""
        place = self._by_text.get(text)
        if place is None:
            function, file, _ = parse_frame(text)
            place = self._by_text[text] = self._places.setdefault((function, file), len(self.frames))
            if place == len(self.frames):
                self.frames.append(FlameFrame(function, file, _package(file)))
        return place


def forest(sides: Sequence[Sequence[tuple[Costs, Judge]]], frames: Frames) -> Forest:
    """sides: of each, the stacks of its processes, each with what knows its phases."""
    growing = _Growing(len(sides), frames)
    for side, parts in enumerate(sides):
        for costs, judge in parts:
            growing.take(side, costs, judge)
    return growing.grown()


def with_callees(own: NDArray[Number], parent: NDArray[np.int64]) -> NDArray[Number]:
    """(.., nodes) of what is innermost in each node -> of all that it called too. Parents stand before their children;
    parent: -1 for a root."""
    total, depth = own.copy(), [0] * len(parent)
    for node, above in enumerate(parent.tolist()):
        depth[node] = depth[above] + 1 if above >= 0 else 0
    by_depth = np.argsort(depth, kind="stable")
    for level in reversed(np.split(by_depth, np.flatnonzero(np.diff(np.array(depth)[by_depth])) + 1)[1:]):
        np.add.at(total.T, parent[level], total.T[level])
    return total


class _Node(NamedTuple):
    """inherited: the phase of what is called from here and has no rule of its own."""

    place: int
    inherited: int
    children: dict[str, _Node]


class _Growing:
    """Nodes in the order in which they are met, so that parents stand before their children."""

    def __init__(self, sides: int, frames: Frames) -> None:
        self._sides = sides
        self._frames = frames
        self._places: dict[tuple[int, int, int], int] = {}
        self._own: list[list[list[float]]] = []  # (nodes, sides, the parts of a StackCost)

    def take(self, side: int, costs: Costs, judge: Judge) -> None:
        root = _Node(-1, _OTHER, {})
        for stack, cost in costs.items():
            node, texts = root, stack.split(";")
            for depth, text in enumerate(texts):
                child = node.children.get(text)
                if child is None:
                    child = node.children[text] = self._child(node, texts, depth, judge)
                node = child
            own = self._own[node.place][side]
            for part, amount in enumerate(cost):
                own[part] += amount

    def _child(self, node: _Node, texts: Sequence[str], depth: int, judge: Judge) -> _Node:
        phase = inherited = node.inherited
        if judge.has_rules(texts[depth]):
            ends = judge.rule_at(texts, depth, innermost=True)
            passes = judge.rule_at(texts, depth, innermost=False)
            inherited = PHASES.index(passes.phase) if passes else inherited
            phase = PHASES.index(ends.phase) if ends else inherited
        key = node.place, self._frames.place(texts[depth]), phase
        place = self._places.setdefault(key, len(self._own))
        if place == len(self._own):
            self._own.append([[0, 0.0, 0.0] for _ in range(self._sides)])
        return _Node(place, inherited, {})

    def grown(self) -> Forest:
        parent, frame, phase = np.array(list(self._places), np.int64).reshape(-1, 3).T
        own = np.array(self._own, np.float64).reshape(-1, self._sides, len(StackCost._fields))
        total = np.moveaxis(with_callees(np.moveaxis(own, 0, -1), parent), -1, 0)
        samples, ms, _ = total.max(axis=1, initial=0).T
        order = np.fromiter(_preorder(parent, ms, samples), np.int64, len(parent))
        place = np.empty(len(order) + 1, np.int64)
        place[order], place[-1] = np.arange(len(order)), -1
        return Forest(place[parent[order]], frame[order], phase[order], _sides(own[order]), _sides(total[order]))


def _sides(costs: NDArray[np.float64]) -> SideCosts:
    """(nodes, sides, parts) -> of each part (sides, nodes)."""
    samples, ms, variance = costs.transpose(2, 1, 0)
    return SideCosts(samples.astype(np.int64), ms, variance)


def _preorder(parent: NDArray[np.int64], ms: NDArray[np.float64], samples: NDArray[np.int64]) -> Iterator[int]:
    children: dict[int, list[int]] = {}
    for node in np.lexsort((np.arange(len(parent)), samples, ms)).tolist():  # the largest last, so that it is next
        children.setdefault(int(parent[node]), []).append(node)
    waiting = children.get(-1, [])
    while waiting:
        node = waiting.pop()
        yield node
        waiting += children.get(node, ())


def _package(file: str) -> str:
    """The outermost folder of a file; 'python' for what is frozen into the interpreter, '' for what is no file."""
    if file.startswith("<frozen"):
        return "python"
    return file.partition("/")[0] if "/" in file else ""
