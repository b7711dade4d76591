"""What the plots of a report are made of: the data that its scripts draw, each with the same in words.

A plot over time is a *panel*; the share of the requests that took longer is drawn as a *curve*.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from mmload.analyse.report_series import Curve
from mmload.show.report_shapes import Table

Kind = Literal["line", "thin", "area", "dashed", "stack", "errors"]
Value = float | str | None

_BASE = "base"
_COLOURS = 8
_DIGITS = 4


class Axis(msgspec.Struct, frozen=True, kw_only=True):
    """The bins of one run: seconds since its measure window began. phases: name, start and end of each."""

    start_s: float
    bin_s: float
    bins: int
    phases: list[tuple[str, float, float]]


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """axis: whose bins these are. values: one a bin, None where nothing is known, 'inf' where no number is enough.
    group: those of one have one entry in the legend. unit: of the values. Those of the kind 'stack' lie on each other
    in their order."""

    label: str
    group: str
    axis: int
    unit: str
    values: list[Value]
    colour: str
    kind: Kind = "line"


class Panel(msgspec.Struct, frozen=True, kw_only=True):
    """A plot over time. unit: of its axis, and what else is to be known at a glance. height: in pixels. about: what is
    drawn, for a person; text: the same figures as a table."""

    id: str
    title: str
    unit: str
    height: int = 112
    series: list[Series]
    about: str
    text: Table


class DrawnCurve(msgspec.Struct, frozen=True, kw_only=True):
    """group: as of a series."""

    label: str
    group: str
    colour: str
    curve: Curve
    kind: Kind = "line"


class Limit(msgspec.Struct, frozen=True):
    """Of a gate: at most `ms` at the percentile `share`."""

    share: float
    ms: float
    text: str


class CurvePlot(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    title: str
    curves: list[DrawnCurve]
    limits: list[Limit]
    about: str
    text: Table


class Plots(msgspec.Struct, frozen=True, kw_only=True):
    """All that the scripts of the page need."""

    axes: list[Axis]
    panels: list[Panel]
    curves: list[CurvePlot]


def plot_values(values: NDArray[np.float64]) -> list[Value]:
    """To so many digits as a plot can show."""
    return [None if math.isnan(v) else "inf" if math.isinf(v) else float(f"{v:.{_DIGITS}g}") for v in values.tolist()]


def groups(labels_by_side: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Label -> what the legend calls it: its side, where that has several."""
    found = list(labels_by_side)
    sides = Counter(side for _, side in found)
    return {label: side if sides[side] > 1 else label for label, side in found}


def side_colours(sides: Iterable[str], baseline: str | None) -> dict[str, str]:
    """The baseline in ink, the others in colours that can be told apart."""
    others = [side for side in dict.fromkeys(sides) if side != baseline]
    found = {side: colour_of(place) for place, side in enumerate(others)}
    return found | ({baseline: _BASE} if baseline is not None else {})


def colour_of(place: int) -> str:
    """One of those that can be told apart."""
    return f"s{place % _COLOURS}"
