"""The ratio of two figures that were measured apart."""

from __future__ import annotations

import math

from mmload.analyse.cpu import Interval


def ratio_of_intervals(figure: Interval, other: Interval) -> Interval:
    """The ratio of two independent figures above 0, its bounds from theirs in quadrature on the logarithmic scale (Zou
    and Donner 2008)."""
    value = figure.value / other.value
    below = math.hypot(_log(figure.value, figure.low), _log(other.high, other.value))
    above = math.hypot(_log(figure.high, figure.value), _log(other.value, other.low))
    return Interval(value, value * math.exp(-below), value * math.exp(above))


def _log(above: float, below: float) -> float:
    return math.log(above / below) if below > 0 else math.inf
