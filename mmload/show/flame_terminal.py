"""Flame views in the terminal: what each phase costs, the hottest paths as trees with bars, what differs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median

from rich.text import Text

from mmload.analyse.flame_document import is_rank
from mmload.analyse.flame_rows import FlameRow, FlameTable, flame_table
from mmload.analyse.flame_select import phase_costs
from mmload.model.flame import UNIT_WORDS, ChangeWord, FlameDocument, FlameView
from mmload.show.flame_changes import CHANGE_STYLES, changed_functions, side_names, signed_ms
from mmload.show.palette import LABEL, PHASE_COLOURS
from mmload.show.terminal_charts import bar
from mmload.show.terminal_figures import MISSING, count, figure
from mmload.show.terminal_sheet import EXTRA, GAP, Column, Drawn, Sheet, fact, grid, paragraph, separated, styled

_BAR = 8
_PHASE_WIDTH = 18  # of the column that names them
_FIGURE_WIDTH = 6
_PATH_WIDTH = 40  # of a tree's name, as good as it gets where ranks stand beside it
_SPREAD = ("least", "median", "most")


def render_flame(document: FlameDocument, views: Sequence[FlameView], rows: int, about: Sequence[str] = ()) -> Drawn:
    """views: those to show; ranks stand side by side where there is no base. rows: the most of each tree. about: what
    the run is, in a few words each."""

    def lines(sheet: Sheet) -> Iterator[Text]:
        is_diff = document.base is not None
        yield from separated(
            _head(document, about, sheet),
            *(changed_functions(document, view, sheet) for view in views if is_diff),
            *_phases(document, views, sheet),
            *(_tree(document, flame_table(document, group, rows), sheet) for group in _groups(document, views)),
        )

    return Drawn(lines)


def _groups(document: FlameDocument, views: Sequence[FlameView]) -> list[list[FlameView]]:
    """The ranks as one group, each other view alone; of a difference each view is one."""
    if document.base is not None:
        return [[view] for view in views]
    ranks = [view for view in views if is_rank(view.id)]
    return [group for group in (ranks, *([view] for view in views if view not in ranks)) if group]


def _head(document: FlameDocument, about: Sequence[str], sheet: Sheet) -> Iterator[Text]:
    yield from fact("flame", [styled(item) for item in (document.this, *about)], sheet)
    if document.base is not None:
        yield from fact("against", [styled(document.base)], sheet)
    for note in document.notes:
        yield from paragraph(styled(note), sheet, " " * 12)


def _phases(document: FlameDocument, views: Sequence[FlameView], sheet: Sheet) -> Iterator[Iterator[Text]]:
    """What each phase costs in each view, as one table or more."""
    if document.unit == "wall_ms_per_request":
        return
    if document.base is not None:
        yield from (_phase_differences(document, view, sheet) for view in views)
        return
    columns = [(view, phase_costs(document, view)[0][0].tolist()) for view in views]
    ranks = [values for view, values in columns if is_rank(view.id)]
    named = [(view.label, values) for view, values in columns]
    if len(ranks) > _fitting(sheet.width - _PHASE_WIDTH):
        others = [(view.label, values) for view, values in columns if not is_rank(view.id)]
        spread = zip(*map(_spread, zip(*ranks, strict=True)), strict=True)
        named = [*zip(_SPREAD, map(list, spread), strict=True), *others]
    for chunk in _chunks(named, sheet.width - _PHASE_WIDTH):
        yield _phase_table(document, chunk, sheet)
    if len(named) < len(columns):
        yield _of_many(len(ranks))


def _fitting(width: int) -> int:
    """How many columns of figures."""
    return max(2, width // (_FIGURE_WIDTH + GAP))


def _spread(of_ranks: Sequence[float]) -> tuple[float, float, float]:
    return min(of_ranks), median(of_ranks), max(of_ranks)


def _of_many(ranks: int) -> Iterator[Text]:
    yield styled((f"  least, median and most: of {ranks} ranks, figure by figure; --rank TP0 shows one", LABEL))


def _chunks(columns: Sequence[tuple[str, list[float]]], width: int) -> Iterator[list[tuple[str, list[float]]]]:
    """As many columns at once as fit, at least one."""
    chunk: list[tuple[str, list[float]]] = []
    for column in columns:
        if chunk and sum(max(_FIGURE_WIDTH, len(label)) + GAP for label, _ in (*chunk, column)) > width:
            yield chunk
            chunk = []
        chunk.append(column)
    if chunk:
        yield chunk


def _phase_table(document: FlameDocument, columns: Sequence[tuple[str, list[float]]], sheet: Sheet) -> Iterator[Text]:
    rows = [
        [_phase(phase, sheet), *(styled(_ms(values[place]) if values[place] else MISSING) for _, values in columns)]
        for place, phase in enumerate(document.phases)
        if any(values[place] for _, values in columns)
    ]
    rows.append([styled("all"), *(styled(_ms(values[-1])) for _, values in columns)])
    heads = [Column(UNIT_WORDS[document.unit], right=False, elastic=True), *(Column(label) for label, _ in columns)]
    yield from grid(heads, rows, sheet)


def _phase_differences(document: FlameDocument, view: FlameView, sheet: Sheet) -> Iterator[Text]:
    (this, base), words = phase_costs(document, view)
    rows = [
        [_phase(phase, sheet), *_difference(this[place], base[place], words[place])]
        for place, phase in enumerate(document.phases)
        if this[place] or base[place]
    ]
    rows.append([styled("all"), *_difference(this[-1], base[-1], words[-1])])
    title = f"{UNIT_WORDS[document.unit]}, {view.label}"
    columns = [Column(title, right=False, elastic=True), Column("base"), Column("this"), Column("change")]
    yield from grid([*columns, Column("", right=False)], rows, sheet)


def _phase(phase: str, sheet: Sheet) -> Text:
    return styled((f"{sheet.glyphs.block} " if sheet.colour else "", PHASE_COLOURS[phase]), phase)


def _difference(this: float, base: float, word: ChangeWord) -> list[Text]:
    style = CHANGE_STYLES[word]
    return [styled(_ms(base)), styled(_ms(this)), styled((signed_ms(this - base), style)), styled((word, style))]


def _tree(document: FlameDocument, table: FlameTable, sheet: Sheet) -> Iterator[Text]:
    if not table.rows:
        return
    columns, rows = _differing(document, table, sheet) if document.base is not None else _side_by_side(table, sheet)
    yield from grid(columns, rows, sheet)
    if table.left_out:
        said = f"{count(table.left_out, 'smaller node')} left out"
        said += f"; {_ms(table.outside_ms)} ms is below none of these rows" if table.outside_ms else ""
        yield from paragraph(styled((said, LABEL)), sheet, "  ")


def _side_by_side(table: FlameTable, sheet: Sheet) -> tuple[list[Column], list[list[Text]]]:
    many = len(table.views) > 1
    title = "hottest paths" if many else f"hottest paths of {table.views[0].label}"
    columns = [Column(title, right=False, elastic=True), Column("phase", right=False, rank=EXTRA + 1)]
    columns += [Column("total"), Column("own")]
    fits = len(table.views) <= _fitting(sheet.width - _PATH_WIDTH)
    columns += [Column(head) for head in ([view.label for view in table.views] if fits else _SPREAD) if many]
    columns += [Column("where", right=False, rank=EXTRA + 2)]
    whole = sum(table.total_ms)
    rows = [
        [
            _name(row, sum(row.total_ms), whole, PHASE_COLOURS[row.phase], sheet),
            styled(row.phase),
            *(styled(_ms(sum(values))) for values in (row.total_ms, row.own_ms)),
            *(styled(_ms(value)) for value in (row.total_ms if fits else _spread(row.total_ms)) if many),
            styled((row.frame.file, LABEL)),
        ]
        for row in table.rows
    ]
    return columns, rows


def _differing(document: FlameDocument, table: FlameTable, sheet: Sheet) -> tuple[list[Column], list[list[Text]]]:
    columns = [Column(f"hottest paths of {table.views[0].label}", right=False, elastic=True)]
    columns += [Column("phase", right=False, rank=EXTRA + 1), *map(Column, side_names(document)), Column("change")]
    columns += [Column("", right=False)]
    whole = max(sum(table.total_ms), sum(table.base_total_ms))
    rows = []
    for row in table.rows:
        this, base, word = sum(row.total_ms), sum(row.base_total_ms), row.word or "within noise"
        name = _name(row, max(this, base), whole, CHANGE_STYLES[word], sheet)
        rows.append([name, styled(row.phase), *_difference(this, base, word)])
    return columns, rows


def _name(row: FlameRow, ms: float, whole_ms: float, style: str, sheet: Sheet) -> Text:
    drawn = bar(ms, whole_ms, _BAR, sheet.glyphs)
    through = f"+{row.skipped} " if row.skipped else ""
    return styled((drawn.ljust(_BAR), style), " " * (row.depth + 1), (through, LABEL), row.frame.function)


def _ms(value: float) -> str:
    return figure(value, most=3) if value else "0"
