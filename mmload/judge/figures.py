"""What a metric says about a run: a figure with its bounds, what it rests on, and what more evidence would do."""

from __future__ import annotations

import math
from collections.abc import Callable

import msgspec

from mmload.analyse.cpu import Interval

Project = Callable[[float], Interval]


class Terms(msgspec.Struct, frozen=True):
    """What the gate asks of every figure: one-sided bounds at `confidence`, with this declared design effect."""

    confidence: float
    design_effect: float


class Figure(msgspec.Struct, frozen=True, kw_only=True):
    """value: None where the figure is infinite or there is none. low, high: one-sided bounds, infinite where nothing
    bounds it. n: how many observations it rests on. evidence: the file, and how the bounds were computed.

    project: the bounds as they would be with so many times as much evidence of the same kind; None where more of it
    changes nothing. profiled: that evidence includes the profile window's. offered_rps: of an achieved rate, the most
    that the load let it be. obstacle: why no figure is possible. skipped: why it is not judged.
    """

    value: float | None
    low: float = -math.inf
    high: float = math.inf
    n: int = 0
    evidence: str
    project: Project | None = None
    profiled: bool = False
    offered_rps: float | None = None
    obstacle: str | None = None
    skipped: str | None = None


def no_figure(obstacle: str, evidence: str, n: int = 0) -> Figure:
    return Figure(value=None, n=n, evidence=evidence, obstacle=obstacle)


def bounded(interval: Interval, n: int, evidence: str, project: Project | None = None) -> Figure:
    """A figure from its interval."""
    value = interval.value if math.isfinite(interval.value) else None
    return Figure(value=value, low=interval.low, high=interval.high, n=n, evidence=evidence, project=project)


def shrunk(interval: Interval, factor: float) -> Interval:
    """The interval as it would be with `factor` times as much evidence: errors fall with the square root."""
    shrink = 1 / math.sqrt(factor)
    return Interval(
        interval.value,
        interval.value - (interval.value - interval.low) * shrink,
        interval.value + (interval.high - interval.value) * shrink,
    )
