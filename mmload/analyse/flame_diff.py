"""Which nodes and functions of two profiles differ by more than chance.

A profile's samples are a draw from all moments of its window, so the number of those in a node is a Poisson variable:
the bootstrap of the samples, in closed form, with Byar's approximation to its exact bounds (Rothman and Boice 1979)
where there are few. The bounds of a difference add those of both sides in quadrature (Zou and Donner 2008). Two starts
of one server differ besides, which BETWEEN_STARTS allows for. How many nodes of two runs of one variant are taken to
differ all the same: bench/flame_noise.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mmload.analyse.flame_tree import Forest, SideCosts
from mmload.model.flame import CHANGE_WORDS, ChangeWord, FlameChange

CONFIDENCE = 0.999  # of each node's bounds, two-sided: a view has hundreds, and none should be coloured by chance
BETWEEN_STARTS = 0.05  # relative standard deviation of a node's CPU between starts of one server

THIS, BASE = 0, 1

Values = NDArray[np.float64]


class Differences(NamedTuple):
    """Arrays with an entry for each node: bounds of this less base, in ms, and indices into CHANGE_WORDS."""

    low: Values
    high: Values
    word: NDArray[np.int64]


def differences(costs: SideCosts, runs: Sequence[int] = (1, 1)) -> Differences:
    """costs: of two sides, THIS and BASE. runs: of how many each is the mean."""
    z = NormalDist().inv_cdf((1 + CONFIDENCE) / 2)
    below, above = zip(*(_chance(costs, side, z) for side in (THIS, BASE)), strict=True)
    this, base = costs.ms
    starts = z * BETWEEN_STARTS * np.hypot(this / math.sqrt(runs[THIS]), base / math.sqrt(runs[BASE]))
    difference = this - base
    low = difference - np.sqrt(below[THIS] ** 2 + above[BASE] ** 2 + starts**2)
    high = difference + np.sqrt(above[THIS] ** 2 + below[BASE] ** 2 + starts**2)
    return Differences(low, high, _words(low, high, this, base))


def changes(forest: Forest, runs: Sequence[int] = (1, 1)) -> list[FlameChange]:
    """By function, over all nodes of it, the largest difference of its own first; of the total, a function that calls
    itself counts once."""
    functions = int(forest.frame.max(initial=-1)) + 1
    everywhere = np.ones(len(forest.frame), np.bool_)
    own, total = (
        _by_function(costs, forest.frame, functions, nodes)
        for costs, nodes in ((forest.own, everywhere), (forest.total, _outermost(forest)))
    )
    own_found, found = differences(own, runs), differences(total, runs)
    by_own, by_total = (np.abs(part.ms[THIS] - part.ms[BASE]) for part in (own, total))
    order = np.lexsort((-by_total, -by_own))
    return [
        FlameChange(
            frame=frame,
            total_ms=float(total.ms[THIS, frame]),
            base_total_ms=float(total.ms[BASE, frame]),
            own_ms=float(own.ms[THIS, frame]),
            base_own_ms=float(own.ms[BASE, frame]),
            low_ms=float(found.low[frame]),
            high_ms=float(found.high[frame]),
            word=CHANGE_WORDS[found.word[frame]],
            own_low_ms=float(own_found.low[frame]),
            own_high_ms=float(own_found.high[frame]),
            own_word=CHANGE_WORDS[own_found.word[frame]],
        )
        for frame in order[np.isin(order, forest.frame)].tolist()
    ]


def _chance(costs: SideCosts, side: int, z: float) -> tuple[Values, Values]:
    """How far below and above a node's ms the truth may lie. Stacks weigh differently where their threads burnt
    differently: as many samples of equal weight as have the same variance stand for them. Where a side has none, one
    weighs as much as it does on the other, or as the lightest there is."""
    ms, variance = costs.ms[side], costs.variance[side]
    weights = np.divide(costs.variance, costs.ms, out=np.zeros_like(costs.ms), where=costs.ms > 0)
    weight = np.where(weights[side] > 0, weights[side], weights[1 - side])
    n = np.divide(ms**2, variance, out=np.zeros_like(ms), where=variance > 0)
    return ms - weight * _byar(n, -z), weight * _byar(n + 1, z) - ms


def _byar(n: Values, z: float) -> Values:
    """A bound of the mean of a Poisson variable: the lower one of n with -z, the upper one of n - 1 with z."""
    some = np.maximum(n, 1e-9)
    return np.where(n > 0, some * np.maximum(0.0, 1 - 1 / (9 * some) + z / (3 * np.sqrt(some))) ** 3, 0.0)


def _words(low: Values, high: Values, this: Values, base: Values) -> NDArray[np.int64]:
    def index(word: ChangeWord) -> int:
        return CHANGE_WORDS.index(word)

    more = np.where(base > 0, index("more"), index("appeared"))
    less = np.where(this > 0, index("less"), index("vanished"))
    return np.where(low > 0, more, np.where(high < 0, less, index("within noise")))


def _outermost(forest: Forest) -> NDArray[np.bool_]:
    """Whether a node is called by no other node of its function."""
    is_outermost = np.ones(len(forest.parent), np.bool_)
    path: list[int] = []
    on_path: dict[int, int] = {}
    for node, (parent, frame) in enumerate(zip(forest.parent.tolist(), forest.frame.tolist(), strict=True)):
        while path and path[-1] != parent:
            on_path[int(forest.frame[path.pop()])] -= 1
        is_outermost[node] = not on_path.get(frame)
        path.append(node)
        on_path[frame] = on_path.get(frame, 0) + 1
    return is_outermost


def _by_function(costs: SideCosts, frame: NDArray[np.int64], functions: int, nodes: NDArray[np.bool_]) -> SideCosts:
    """Of these nodes together, by what function they are: (sides, functions)."""

    def summed(part: NDArray[np.float64] | NDArray[np.int64]) -> Values:
        return np.stack([np.bincount(frame[nodes], side[nodes], functions) for side in part])

    return SideCosts(summed(costs.samples).astype(np.int64), summed(costs.ms), summed(costs.variance))
