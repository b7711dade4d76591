"""What a metric says about a run: a figure with its bounds, what it rests on, and what more evidence would do."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal

import msgspec

from mmload.analyse.cpu import Interval
from mmload.analyse.reading import Reading
from mmload.judge.pooling import Pooled, difference, exponential
from mmload.model.result import AnswerDifference

Project = Callable[[float], Interval]


class Terms(msgspec.Struct, frozen=True):
    """What the gate asks of every figure: one-sided bounds at `confidence`, with this declared design effect."""

    confidence: float
    design_effect: float


class Least(msgspec.Struct, frozen=True):
    """The least evidence that could bring the upper bound below a limit. needed: limit -> observations in all, if no
    further one is bad; None where no number is enough. bad: what such a one is, in words."""

    needed: Callable[[float], int | None]
    bad: str


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """value: None where the figure is infinite or there is none. low, high: one-sided bounds, infinite where nothing
    bounds it. n: how many observations it rests on. evidence: the file, and how the bounds were computed.

    project: the bounds as they would be with so many times as much evidence of the same kind; None where more of it
    changes nothing. least: where one can be told. profiled: the evidence includes the profile window's. offered_rps:
    of an achieved rate, the most that the load let it be. obstacle: why no figure is possible. skipped: why it is not
    judged. differences: answers that are not the baseline's, the first of them; more_differences: how many more there
    are. is_counted: there is nothing to estimate, so no confidence either.
    """

    value: float | None
    low: float = -math.inf
    high: float = math.inf
    n: int = 0
    evidence: str
    project: Project | None = None
    least: Least | None = None
    profiled: bool = False
    offered_rps: float | None = None
    obstacle: str | None = None
    skipped: str | None = None
    differences: tuple[AnswerDifference, ...] = ()
    more_differences: int = 0
    is_counted: bool = False

    @property
    def infinite(self) -> list[Literal["value", "low", "high"]]:
        """Which of them are infinitely large."""
        if self.obstacle or self.skipped:
            return []
        value = math.inf if self.value is None else self.value
        named: list[tuple[Literal["value", "low", "high"], float]]
        named = [("value", value), ("low", self.low), ("high", self.high)]
        return [name for name, end in named if end == math.inf]


def no_figure(obstacle: str, evidence: str, n: int = 0) -> Figure:
    return Figure(value=None, n=n, evidence=evidence, obstacle=obstacle)


def counted_figure(value: float, n: int, evidence: str) -> Figure:
    """A figure without interval, by its nature."""
    return Figure(value=value, low=value, high=value, n=n, evidence=evidence, is_counted=True)


def bounded(interval: Interval, n: int, evidence: str, project: Project | None = None) -> Figure:
    """A figure from its interval."""
    value = interval.value if math.isfinite(interval.value) else None
    return Figure(value=value, low=interval.low, high=interval.high, n=n, evidence=evidence, project=project)


def pooled_figure(pooled: Pooled, n: int, evidence: str, terms: Terms) -> Figure:
    """A figure from one or several runs."""
    project = partial(pooled.interval, terms.confidence)
    return bounded(project(1.0), n, evidence, project)


def ratio_figure(sides: Sequence[Sequence[Reading]], n: int, evidence: str, terms: Terms) -> Figure:
    """The ratio of the readings of a candidate, one a run, to those of its baseline; all above 0."""
    ours, theirs = ([reading.logarithm for reading in side] for side in sides)
    pooled = difference(ours, theirs)

    def bounds(factor: float) -> Interval:
        return exponential(pooled.interval(terms.confidence, factor))

    return bounded(bounds(1.0), n, evidence, bounds)
