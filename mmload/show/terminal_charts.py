"""Charts of one line each, made of characters."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import pairwise

from mmload.show.palette import UNICODE, Glyphs


def sparkline(values: Sequence[float], width: int, top: float | None = None, glyphs: Glyphs = UNICODE) -> str:
    """The last of `values` as one character each, right-aligned in time, at most `width` of them; where there are
    more values than cells, neighbours are averaged. The scale is 0 to `top` (default: the largest value). A cell that
    nothing is known of (NaN) is blank; one with an infinite value says so."""
    means = [_mean(values[a:b]) for a, b in pairwise(cell_edges(len(values), width))]
    scale = top or max((mean for mean in means if math.isfinite(mean)), default=0.0)
    return "".join(_cell(mean, scale, glyphs) for mean in means)


def cell_edges(count: int, width: int) -> list[int]:
    """Where each of at most `width` cells begins among `count` values side by side, and where the last one ends."""
    cells = max(0, min(width, count))
    return [count * i // cells for i in range(cells + 1)] if cells else []


def bar(value: float, top: float, width: int, glyphs: Glyphs = UNICODE) -> str:
    """A bar of `value` on a scale of 0 to `top` that fills `width` cells, to a part of a cell where the characters
    allow it. Never longer than `width`; a value above 0 shows at least the smallest part."""
    if value <= 0 or top <= 0 or width <= 0:
        return ""
    steps = len(glyphs.parts) + 1
    filled = max(1, round(min(1.0, value / top) * width * steps))
    whole, part = divmod(filled, steps)
    return glyphs.full * whole + (glyphs.parts[part - 1] if part else "")


def stack(shares: Mapping[str, float], width: int) -> dict[str, int]:
    """Cells of a stacked bar for each share of the whole (the largest remainder method: they add up to `width` when
    the shares add up to 1)."""
    known = {name: min(1.0, share) for name, share in shares.items() if share > 0}
    scale = width / max(1.0, sum(known.values()))
    exact = {name: share * scale for name, share in known.items()}
    cells = {name: int(length) for name, length in exact.items()}
    left = round(sum(exact.values())) - sum(cells.values())
    for name in sorted(exact, key=lambda n: cells[n] - exact[n])[:left]:
        cells[name] += 1
    return cells


def _mean(values: Sequence[float]) -> float:
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan


def _cell(value: float, top: float, glyphs: Glyphs) -> str:
    if math.isnan(value):
        return " "
    return glyphs.beyond if math.isinf(value) else glyphs.spark[_level(value, top, len(glyphs.spark))]


def _level(value: float, top: float, levels: int) -> int:
    return min(levels - 1, int(min(1.0, value / top) * levels)) if top > 0 else 0
