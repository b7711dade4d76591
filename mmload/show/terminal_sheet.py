"""The few shapes that every terminal view is laid out in: facts that flow, paragraphs, tables that drop columns.

A view is a function from a `Sheet` to lines; `Drawn` calls it when rich knows the width, characters and colours.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest

from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from mmload.show.palette import HEADING, LABEL, OUTCOME_STYLES, Glyphs, glyphs_for
from mmload.show.terminal_figures import MISSING, plain

LABEL_WIDTH = 12
GAP = 2
EXTRA = 5
FLOW_GAP = 3
BESIDE_GAP = 5


@dataclass(frozen=True)
class Sheet:
    """What a view is drawn on. width: cells."""

    console: Console
    width: int

    @property
    def glyphs(self) -> Glyphs:
        return glyphs_for(self.console.encoding)

    @property
    def colour(self) -> bool:
        return self.console.color_system is not None and not self.console.no_color

    @property
    def tells_colours(self) -> bool:
        """Whether there are colours enough to tell phases apart by them alone: sixteen are not."""
        return self.colour and self.console.color_system not in {"standard", "windows"}

    def with_width(self, cells: int) -> Sheet:
        return replace(self, width=max(1, cells))


View = Callable[[Sheet], Iterable[Text]]


class Drawn:
    """A renderable that draws its view, line by line, at the moment it is printed."""

    def __init__(self, view: View) -> None:
        self._view = view

    def lines(self, sheet: Sheet) -> Iterable[Text]:
        """What it draws on `sheet`, to be part of another view."""
        return self._view(sheet)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for line in self._view(Sheet(console, options.max_width)):
            line.no_wrap = True
            line.truncate(options.max_width, overflow="crop")
            yield line


def separated(*blocks: Iterable[Text]) -> Iterator[Text]:
    """The blocks one below the other, a blank line between those that have any."""
    above = False
    for block in blocks:
        lines = list(block)
        if lines and above:
            yield Text()
        yield from lines
        above = above or bool(lines)


def styled(*parts: str | tuple[str, str]) -> Text:
    """A line of plain pieces and (piece, style) pairs, foreign text made harmless; markup in it means nothing."""
    return Text.assemble(*(plain(p) if isinstance(p, str) else (plain(p[0]), p[1]) for p in parts))


def fact(label: str, items: Sequence[Text], sheet: Sheet) -> list[Text]:
    """`label   item   item   item`, the items broken over lines between them, never inside one that fits a line;
    nothing without items."""
    if not items:
        return []
    lines = flow(items, sheet.with_width(sheet.width - LABEL_WIDTH))
    heads = [styled((label.ljust(LABEL_WIDTH), LABEL))] + [Text(" " * LABEL_WIDTH)] * (len(lines) - 1)
    return [head + line for head, line in zip(heads, lines, strict=True)]


def outcome_counts(outcomes: Mapping[str, int]) -> list[Text]:
    """The kinds of outcome that occurred, each in its colour; a dash when none did."""
    occurred = [(f"{kind} {number:,}", OUTCOME_STYLES.get(kind, "")) for kind, number in outcomes.items() if number]
    return [styled(outcome) for outcome in occurred] or [styled(MISSING)]


def flow(items: Sequence[Text], sheet: Sheet) -> list[Text]:
    """The items side by side, as many a line as fit; one that is wider than a line is wrapped."""
    lines: list[Text] = [Text()]
    for item in items:
        gap = FLOW_GAP if lines[-1].cell_len else 0
        if lines[-1].cell_len + gap + item.cell_len <= sheet.width:
            lines[-1] = lines[-1] + " " * gap + item
        else:
            lines += paragraph(item, sheet)
    return [line for line in lines if line.cell_len] or lines


def paragraph(text: Text, sheet: Sheet, lead: Text | str = "") -> list[Text]:
    """Text broken between words; `lead` stands before the first line, as much blank space before the others."""
    first = Text(lead) if isinstance(lead, str) else lead
    lines = text.wrap(sheet.console, max(1, sheet.width - first.cell_len), overflow="fold")
    for line in lines:
        line.rstrip()
    leads = [first] + [Text(" " * first.cell_len)] * (len(lines) - 1)
    return [one + line for one, line in zip(leads, lines, strict=True)]


@dataclass(frozen=True)
class Column:
    """A column of a grid. rank: 0 stays; where the terminal is narrow the greatest rank goes first, and EXTRA ones
    even before the space between columns. elastic: is cut short, with an ellipsis, when nothing is left to go; one that
    folds goes on below instead."""

    head: str = ""
    rank: int = 0
    right: bool = True
    elastic: bool = False
    folds: bool = False


def grid(columns: Sequence[Column], rows: Sequence[Sequence[Text]], sheet: Sheet) -> Iterator[Text]:
    """An aligned table without rules. The first column's head is the table's title and stands out; where no column
    has a head there is no header line."""
    for lines in grid_rows(columns, rows, sheet):
        yield from lines


def grid_rows(columns: Sequence[Column], rows: Sequence[Sequence[Text]], sheet: Sheet) -> Iterator[list[Text]]:
    """The lines of each row of a `grid`, those of its header first."""
    table = [list(row) for row in rows]
    if any(column.head for column in columns):
        heads = [styled((column.head, LABEL if place else HEADING)) for place, column in enumerate(columns)]
        table.insert(0, heads)
    widths = [max((row[place].cell_len for row in table), default=0) for place in range(len(columns))]
    kept, gap = _fit(columns, widths, sheet.width)
    excess = _length(widths, kept, gap) - sheet.width
    if excess > 0:
        widths = [max(1, width - excess) if c.elastic else width for width, c in zip(widths, columns, strict=True)]
    for row in table:
        cells = [_cell(row[place], widths[place], columns[place], sheet) for place in kept]
        layout = [(widths[place], columns[place].right) for place in kept]
        yield [_row(line, layout, gap) for line in zip_longest(*cells, fillvalue=Text())]


def _cell(text: Text, width: int, column: Column, sheet: Sheet) -> list[Text]:
    """Its lines, each within the width."""
    indent = len(text.plain) - len(text.plain.lstrip())
    if not column.folds or text.cell_len <= width or indent >= width:
        return [cut(text, width, sheet.glyphs)]
    return paragraph(text[indent:], sheet.with_width(width), " " * indent)


def _fit(columns: Sequence[Column], widths: Sequence[int], width: int) -> tuple[list[int], int]:
    """Which columns stay, and the space between them: a tight table goes before a column that is not EXTRA."""
    kept = list(range(len(columns)))
    while True:
        first_to_go = max(kept, key=lambda place: columns[place].rank)
        rank = columns[first_to_go].rank
        for gap in (GAP,) if rank >= EXTRA else (GAP, 1):
            if _length(widths, kept, gap) <= width:
                return kept, gap
        if rank == 0:
            return kept, 1
        kept.remove(first_to_go)


def _length(widths: Sequence[int], kept: Sequence[int], gap: int) -> int:
    return sum(widths[place] for place in kept) + gap * (len(kept) - 1)


def beside(left: Iterable[Text], right: Iterable[Text], sheet: Sheet, left_width: int = 0) -> Iterator[Text]:
    """Two blocks next to each other where their widths allow it, else one below the other. left_width: least width
    of the left one, so that the right one stays where it is."""
    lefts, rights = list(left), list(right)
    indent = max([left_width, *(line.cell_len for line in lefts)]) + BESIDE_GAP
    if indent + max((line.cell_len for line in rights), default=0) > sheet.width:
        yield from separated(lefts, rights)
        return
    for one, other in zip_longest(lefts, rights, fillvalue=Text()):
        yield one + " " * (indent - one.cell_len) + other if other.cell_len else one


def cut(text: Text, width: int, glyphs: Glyphs) -> Text:
    """Text of at most `width` cells, with an ellipsis where something is missing."""
    if text.cell_len <= width:
        return text
    short = text.copy()
    short.truncate(max(0, width - len(glyphs.ellipsis)), overflow="crop")
    return short + glyphs.ellipsis[:width]


def _row(cells: Sequence[Text], layout: Sequence[tuple[int, bool]], gap: int) -> Text:
    """layout: the width of each cell, and whether it stands at the right of it."""
    line = Text()
    for cell, (width, right) in zip(cells, layout, strict=True):
        blank = " " * (width - cell.cell_len)
        line += (Text(blank) + cell if right else cell + blank) + " " * gap
    line.rstrip()
    return line
