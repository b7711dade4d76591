"""Figures of the handoff alone, per request, from what each round showed.

    wall_ms          the batch, divided by its requests
    cpu_ms           whole processes: ranks_cpu_ms and tokenizer_cpu_ms
    build_cpu_ms     construction and hash, over all processes: from the counters of mmload.handoff.counters
    handoff_cpu_ms   with receive, pickle and broadcast: from these too
    modelled_cpu_ms  what modelled builds would have burnt; it is slept, and in no other figure
    overhead_ms      wall_ms less one modelled build
    throughput_rps   requests over wall
    moved_mb         bytes unpickled by all ranks, and written to shared memory
    broadcasts       a variant's own

A figure is the geometric mean over rounds, its interval Student's t on the logarithms: times of one thing spread by
factors. Rounds count as independent, because each starts the processes anew and minutes lie between the first and the
last. A ratio is taken within each round first, so that a slow round is slow for both.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from mmload.analyse.blocks import FEWEST_BLOCKS, TWO_SIDED_95
from mmload.analyse.distributions import t_quantile
from mmload.analyse.handoff import BUILD_STAGES, HANDOFF_STAGES
from mmload.model.handoff import Cell, Estimate, HandoffRow, Observation, Reading

Place = tuple[str, Cell]
Rounds = Mapping[int, float]


class Measured:
    """Per-round figures of all variants at all cells."""

    def __init__(self, observations: Iterable[Observation]) -> None:
        self._figures: defaultdict[Place, defaultdict[str, dict[int, float]]] = defaultdict(lambda: defaultdict(dict))
        self._requests: defaultdict[Place, int] = defaultdict(int)
        self.fallbacks: defaultdict[str, int] = defaultdict(int)
        for each in observations:
            place = each.variant, each.cell
            counted = each.readings[1:] or each.readings  # the first of several warms up
            for name, value in _figures(each.cell, counted, each.cell.tp).items():
                self._figures[place][name][each.round] = value
            self._requests[place] += len(counted) * each.cell.batch
            self.fallbacks[each.variant] += int(sum(reading.counters["fallbacks"] for reading in each.readings))

    @property
    def places(self) -> list[Place]:
        """Cells from the least to the most, variants as they were met."""
        places = list(self._figures)
        variants = list(dict.fromkeys(variant for variant, _ in places))
        return sorted(places, key=lambda place: (_rank_of(place[1]), variants.index(place[0])))

    def figure(self, place: Place, name: str) -> Rounds:
        """Round -> value; empty where it was not measured."""
        return self._figures[place].get(name, {}) if place in self._figures else {}

    def rows(self) -> list[HandoffRow]:
        return [
            HandoffRow(
                variant=place[0],
                cell=place[1],
                rounds=len(self.figure(place, "wall_ms")),
                requests=self._requests[place],
                figures={name: estimate(rounds.values()) for name, rounds in self._figures[place].items()},
            )
            for place in self.places
        ]

    def ratio(self, place: Place, versus: Place, name: str) -> Estimate | None:
        """Of the rounds that both have; None where there is none."""
        ours, theirs = self.figure(place, name), self.figure(versus, name)
        shared = [number for number in ours if number in theirs and theirs[number] > 0]
        return estimate([ours[number] / theirs[number] for number in shared]) if shared else None


def estimate(values: Iterable[float]) -> Estimate:
    """Of one value a round: the geometric mean, or where a value is not above 0 the mean."""
    each = np.array(list(values))
    back: Callable[[float], float] = float
    if (each > 0).all():
        each, back = np.log(each), lambda mean: float(np.exp(mean))
    mean, n = float(each.mean()), len(each)
    if n < FEWEST_BLOCKS:
        return Estimate(value=back(mean))
    half = t_quantile(TWO_SIDED_95, n - 1) * float(each.std(ddof=1)) / math.sqrt(n)
    return Estimate(value=back(mean), low=back(mean - half), high=back(mean + half))


def _figures(cell: Cell, readings: Sequence[Reading], tp: int) -> dict[str, float]:
    """Means over the readings of a turn."""

    def mean(of: Callable[[Reading], float]) -> float:
        return sum(map(of, readings)) / len(readings) / cell.batch

    def stages(names: Iterable[str]) -> float:
        return 1e3 * mean(lambda reading: sum(reading.counters[f"{name}_cpu_seconds"] for name in names))

    wall_ms = 1e3 * mean(lambda reading: reading.wall_s)
    figures = {
        "wall_ms": wall_ms,
        "cpu_ms": 1e3 * mean(lambda reading: reading.tokenizer_cpu_s + reading.ranks_cpu_s),
        "ranks_cpu_ms": 1e3 * mean(lambda reading: reading.ranks_cpu_s),
        "tokenizer_cpu_ms": 1e3 * mean(lambda reading: reading.tokenizer_cpu_s),
        "build_cpu_ms": stages(BUILD_STAGES),
        "handoff_cpu_ms": stages(HANDOFF_STAGES),
        "throughput_rps": 1e3 / wall_ms,
        "moved_mb": mean(lambda reading: reading.counters["received_bytes"] + reading.counters["shm_bytes"]) / 1e6,
        "broadcasts": mean(lambda reading: reading.counters["broadcasts"]) / tp,
    }
    if cell.build_ms is not None:
        figures["modelled_cpu_ms"] = cell.build_ms * mean(lambda reading: reading.counters["objects_built"])
        figures["overhead_ms"] = wall_ms - cell.build_ms
    return figures


def _rank_of(cell: Cell) -> tuple[float, int, int, int]:
    return (-1.0 if cell.build_ms is None else cell.build_ms, cell.tp, cell.size_bytes, cell.batch)
