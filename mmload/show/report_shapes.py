"""The shapes that a report is laid out in: facts, tables, bars. Plain text only; the page's templates escape it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import msgspec

from mmload.show.terminal_figures import plain

Tone = Literal["", "good", "bad", "warn", "invalid", "muted", "strong"]

VERDICT_TONES: dict[str, Tone] = {
    "PASS": "good",
    "FAIL": "bad",
    "INCONCLUSIVE": "warn",
    "INVALID": "invalid",
    "SKIPPED": "muted",
    "better": "good",
    "worse": "bad",
    "mixed": "warn",
    "baseline": "muted",
    "not known": "muted",
}


class Cell(msgspec.Struct, frozen=True):
    text: str
    tone: Tone = ""


class Table(msgspec.Struct, frozen=True, kw_only=True):
    """columns: their heads. left: the columns that hold words, by place; the others hold figures. rows: as many cells
    each as there are columns."""

    title: str
    columns: list[str]
    rows: list[list[Cell]]
    left: tuple[int, ...] = (0,)
    note: str = ""


class Fact(msgspec.Struct, frozen=True):
    """is_code: to be copied as it stands."""

    name: str
    value: str
    tone: Tone = ""
    is_code: bool = False


class BarPart(msgspec.Struct, frozen=True):
    """A stretch of a bar, in thousandths of the full width. about: what it is, in words."""

    start: float
    length: float
    colour: str
    about: str


class Bar(msgspec.Struct, frozen=True):
    label: str
    figure: str
    parts: list[BarPart]


class Bars(msgspec.Struct, frozen=True):
    """key: what the colours mean, each once. note: what the full width is."""

    title: str
    bars: list[Bar]
    key: list[tuple[str, str]]
    note: str = ""


def table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[str | Cell]], left: Sequence[int] = (0,), note: str = ""
) -> Table:
    """Foreign text in it made harmless to read: no line breaks, no marks that reorder a line."""
    cells = [[cell if isinstance(cell, Cell) else Cell(plain(cell)) for cell in row] for row in rows]
    return Table(title=title, columns=[plain(column) for column in columns], rows=cells, left=tuple(left), note=note)


def facts(values: Mapping[str, object]) -> list[Fact]:
    """Those that are known."""
    return [Fact(name, plain(str(value))) for name, value in values.items() if value not in (None, "")]


def word(text: str) -> Cell:
    """A verdict's or a difference's word in its colour."""
    return Cell(text, VERDICT_TONES.get(text, ""))


def bar(label: str, figure: str, parts: Iterable[tuple[float, str, str]], full: float) -> Bar:
    """parts: length, colour and words of each, one after the other; full: the length of the full width."""
    laid: list[BarPart] = []
    start = 0.0
    for length, colour, about in parts:
        share = 1000 * length / full if full else 0.0
        laid.append(BarPart(round(start, 2), round(share, 2), colour, about))
        start += share
    return Bar(label, figure, laid)
