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
from mmload.model.flame import FlameFrame, FlameNodes
from mmload.plan.phases import PHASES

Costs = Mapping[str, StackCost]

Number = TypeVar("Number", np.int64, np.float64)

_OTHER = PHASES.index("other")
_NO_NODE = -1  # what calls a root


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
    """What all forests of a document share: the distinct functions, and each process's own tree, grown once."""

    def __init__(self) -> None:
        self.frames: list[FlameFrame] = []
        self._places: dict[tuple[str, str], int] = {}
        self._by_text: dict[str, int] = {}
        self._trees: dict[tuple[int, int], _Tree] = {}
        self._grown_of: list[tuple[Costs, Judge]] = []  # kept, so that nothing else can have their ids

    def place(self, text: str) -> int:
        """The index of the function that a frame's text names."""
        place = self._by_text.get(text)
        if place is None:
            function, file, _ = parse_frame(text)
            place = self._by_text[text] = self._places.setdefault((function, file), len(self.frames))
            if place == len(self.frames):
                self.frames.append(FlameFrame(function, file, _package(file)))
        return place

    def tree(self, costs: Costs, judge: Judge) -> _Tree:
        """That of these very stacks, which must not change any more."""
        key = id(costs), id(judge)
        if key not in self._trees:
            self._grown_of.append((costs, judge))
            self._trees[key] = _grow(costs, judge, self)
        return self._trees[key]


def forest(sides: Sequence[Sequence[tuple[Costs, Judge]]], frames: Frames) -> Forest:
    """sides: of each, the stacks of its processes, each with what knows its phases."""
    nodes: _Nodes = {}
    laid = [
        (side, tree.own, _lay(tree, nodes))
        for side, parts in enumerate(sides)
        for tree in (frames.tree(costs, judge) for costs, judge in parts)
    ]
    own = np.zeros((len(nodes), len(sides), len(StackCost._fields)))
    for side, costs, at in laid:
        own[at, side] += costs
    return _forest(nodes, own)


def parents(nodes: FlameNodes) -> NDArray[np.int64]:
    """The place of each node's parent; -1 for a root."""
    up = np.array(nodes.up, np.int64)
    return np.where(up > 0, np.arange(len(up)) - up, _NO_NODE)


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


_Nodes = dict[tuple[int, int, int], int]  # (parent, frame, phase) -> place, in the order in which they are met


class _Tree(NamedTuple):
    """What one process's stacks grow into. own: (nodes, the parts of a StackCost)."""

    nodes: _Nodes
    own: NDArray[np.float64]


class _State(NamedTuple):
    """Where a stack has come to. inherited: the phase of what is called from here and has no rule of its own. calls:
    frame -> where it leads; the lines of a function that are alike in phase lead to one state."""

    node: int
    inherited: int
    calls: dict[str, _State]


def _grow(costs: Costs, judge: Judge, frames: Frames) -> _Tree:
    growing = _Growing(judge, frames)
    ends = [growing.end_of(stack) for stack in costs]
    own = np.zeros((len(growing.nodes), len(StackCost._fields)))
    np.add.at(own, ends, np.array(list(costs.values()), np.float64).reshape(-1, own.shape[1]))
    return _Tree(growing.nodes, own)


class _Growing:
    """Nodes in the order in which they are met, so that parents stand before their children."""

    def __init__(self, judge: Judge, frames: Frames) -> None:
        self.nodes: _Nodes = {}
        self._judge = judge
        self._frames = frames
        self._root = _State(_NO_NODE, _OTHER, {})
        self._states: dict[tuple[int, int], _State] = {}

    def end_of(self, stack: str) -> int:
        """The place of the node in which it ends."""
        state, texts = self._root, stack.split(";")
        for depth, text in enumerate(texts):
            state = state.calls.get(text) or self._call(state, texts, depth)
        return state.node

    def _call(self, state: _State, texts: Sequence[str], depth: int) -> _State:
        phase = inherited = state.inherited
        text = texts[depth]
        if self._judge.has_rules(text):
            ends = self._judge.rule_at(texts, depth, innermost=True)
            passes = self._judge.rule_at(texts, depth, innermost=False)
            inherited = PHASES.index(passes.phase) if passes else inherited
            phase = PHASES.index(ends.phase) if ends else inherited
        node = self.nodes.setdefault((state.node, self._frames.place(text), phase), len(self.nodes))
        called = self._states.get((node, inherited))
        if called is None:
            called = self._states[node, inherited] = _State(node, inherited, {})
        state.calls[text] = called
        return called


def _lay(tree: _Tree, nodes: _Nodes) -> list[int]:
    """Where each of the tree's nodes stands among `nodes`, to which the new ones are added."""
    at = {_NO_NODE: _NO_NODE}
    for (parent, frame, phase), node in tree.nodes.items():
        at[node] = nodes.setdefault((at[parent], frame, phase), len(nodes))
    return list(at.values())[1:]


def _forest(nodes: _Nodes, own: NDArray[np.float64]) -> Forest:
    """own: (nodes, sides, the parts of a StackCost)."""
    parent, frame, phase = np.array(list(nodes), np.int64).reshape(-1, 3).T
    total = np.moveaxis(with_callees(np.moveaxis(own, 0, -1), parent), -1, 0)
    samples, ms, _ = total.max(axis=1, initial=0).T
    order = np.fromiter(_preorder(parent, ms, samples), np.int64, len(parent))
    place = np.empty(len(order) + 1, np.int64)
    place[order], place[_NO_NODE] = np.arange(len(order)), _NO_NODE
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
