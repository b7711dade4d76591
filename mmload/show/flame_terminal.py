"""Flame views in the terminal: what each phase costs, the hottest paths as trees with bars, what differs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.text import Text

from mmload.analyse.flame_document import is_rank
from mmload.analyse.flame_rows import FlameRow, FlameTable, Selection, flame_table
from mmload.model.flame import UNIT_WORDS, VALUE_UNIT_MS, ChangeWord, FlameChange, FlameDocument, FlameView
from mmload.show.palette import LABEL, PHASE_COLOURS
from mmload.show.terminal_charts import bar
from mmload.show.terminal_figures import MISSING, count, figure
from mmload.show.terminal_sheet import EXTRA, GAP, Column, Drawn, Sheet, fact, grid, paragraph, separated, styled

_BAR = 8
_CHANGE_STYLES: dict[ChangeWord, str] = {
    "within noise": LABEL,
    "more": "red",
    "appeared": "red",
    "less": "blue",
    "vanished": "blue",
}
_MOST_CHANGES = 12
_PHASE_WIDTH = 18  # of the column that names them
_FIGURE_WIDTH = 6


def render_flame(
    document: FlameDocument, views: Sequence[FlameView], selection: Selection, rows: int, about: Sequence[str] = ()
) -> Drawn:
    """views: those to show; ranks stand side by side where there is no base. rows: the most of each tree. about: what
    the run is, in a few words each."""

    def lines(sheet: Sheet) -> Iterator[Text]:
        groups = _groups(document, views)
        yield from separated(
            _head(document, about, sheet),
            _phases(document, views, selection, sheet) if document.unit != "wall_ms_per_request" else (),
            *(_tree(document, flame_table(document, group, selection, rows), sheet) for group in groups),
            *(_changes(document, view, sheet) for view in views if document.base is not None),
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


def _phases(document: FlameDocument, views: Sequence[FlameView], selection: Selection, sheet: Sheet) -> Iterator[Text]:
    """What each phase costs in each view; more views than fit go below."""
    sides = _SIDES if document.base is not None else _SIDES[:1]
    columns = [
        (f"{view.label}{ending}", _by_phase(view, side, len(document.phases)))
        for view in views
        for side, ending in sides
    ]
    for chunk in _chunks(columns, sheet.width - _PHASE_WIDTH):
        yield from separated(_phase_table(document, chunk, selection, sheet))


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


def _phase_table(
    document: FlameDocument, columns: Sequence[tuple[str, list[float]]], selection: Selection, sheet: Sheet
) -> Iterator[Text]:
    rows = []
    for place, phase in enumerate(document.phases):
        values = [found[place] for _, found in columns]
        if any(values) and (not selection.phases or phase in selection.phases):
            mark = styled((f"{sheet.glyphs.block} " if sheet.colour else "", PHASE_COLOURS[phase]), phase)
            rows.append([mark, *(styled(_ms(value) if value else MISSING) for value in values)])
    rows.append([styled("all"), *(styled(_ms(sum(found))) for _, found in columns)])
    heads = [Column(UNIT_WORDS[document.unit], right=False, elastic=True), *(Column(label) for label, _ in columns)]
    yield from grid(heads, rows, sheet)


_SIDES = (("value", ""), ("base_value", " base"))


def _by_phase(view: FlameView, side: str, phases: int) -> list[float]:
    """ms of each phase."""
    found = [0.0] * phases
    for phase, value in zip(view.nodes.phase, getattr(view.nodes, side), strict=True):
        found[phase] += value * VALUE_UNIT_MS
    return found


def _tree(document: FlameDocument, table: FlameTable, sheet: Sheet) -> Iterator[Text]:
    if not table.rows:
        return
    columns, rows = _differing(table, sheet) if document.base is not None else _side_by_side(table, sheet)
    yield from grid(columns, rows, sheet)
    if table.left_out:
        yield styled((f"  {count(table.left_out, 'smaller node')} left out", LABEL))


def _side_by_side(table: FlameTable, sheet: Sheet) -> tuple[list[Column], list[list[Text]]]:
    many = len(table.views) > 1
    title = "hottest paths" if many else f"hottest paths of {table.views[0].label}"
    columns = [Column(title, right=False, elastic=True), Column("phase", right=False, rank=EXTRA + 1)]
    columns += [Column("total"), Column("own")]
    columns += [Column(view.label, rank=place) for place, view in enumerate(table.views, 1) if many]
    columns += [Column("where", right=False, rank=EXTRA + 2)]
    whole = sum(table.total_ms)
    rows = [
        [
            _name(row, sum(row.total_ms), whole, PHASE_COLOURS[row.phase], sheet),
            styled(row.phase),
            *(styled(_ms(sum(values))) for values in (row.total_ms, row.own_ms)),
            *(styled(_ms(value)) for value in row.total_ms if many),
            styled((row.frame.file, LABEL)),
        ]
        for row in table.rows
    ]
    return columns, rows


def _differing(table: FlameTable, sheet: Sheet) -> tuple[list[Column], list[list[Text]]]:
    columns = [Column(f"hottest paths of {table.views[0].label}", right=False, elastic=True)]
    columns += [Column("phase", right=False, rank=EXTRA + 1), Column("base"), Column("this"), Column("change")]
    columns += [Column("", right=False)]
    whole = max(sum(table.total_ms), sum(table.base_total_ms))
    rows = []
    for row in table.rows:
        this, base, word = sum(row.total_ms), sum(row.base_total_ms), row.word or "within noise"
        style = _CHANGE_STYLES[word]
        name = _name(row, max(this, base), whole, style, sheet)
        values = [styled(_ms(base)), styled(_ms(this)), styled((f"{this - base:+.3f}", style)), styled((word, style))]
        rows.append([name, styled(row.phase), *values])
    return columns, rows


def _name(row: FlameRow, ms: float, whole_ms: float, style: str, sheet: Sheet) -> Text:
    drawn = bar(ms, whole_ms, _BAR, sheet.glyphs)
    through = f"+{row.skipped} " if row.skipped else ""
    return styled((drawn.ljust(_BAR), style), " " * (row.depth + 1), (through, LABEL), row.frame.function)


def _changes(document: FlameDocument, view: FlameView, sheet: Sheet) -> Iterator[Text]:
    """The functions whose own cost differs by more than chance."""
    differing = [change for change in view.changes if change.own_word != "within noise"]
    title = f"own cost that changed in {view.label}"
    if not differing:
        yield styled(f"{title}: none beyond chance, of {count(len(view.changes), 'function')}")
        return
    columns = [Column(title, right=False, elastic=True), Column("base"), Column("this"), Column("change")]
    columns += [Column("99 % interval", rank=1), Column("", right=False)]
    yield from grid(columns, [_change(document, change) for change in differing[:_MOST_CHANGES]], sheet)
    rest = len(differing) - _MOST_CHANGES
    within = len(view.changes) - len(differing)
    more = f"{count(rest, 'smaller change')} and " if rest > 0 else ""
    yield styled((f"  {more}{count(within, 'function')} within noise left out", LABEL))


def _change(document: FlameDocument, change: FlameChange) -> list[Text]:
    style = _CHANGE_STYLES[change.own_word]
    return [
        styled(document.frames[change.frame].function),
        styled(_ms(change.base_own_ms)),
        styled(_ms(change.own_ms)),
        styled((f"{change.own_ms - change.base_own_ms:+.3f}", style)),
        styled(f"{change.own_low_ms:+.3f} to {change.own_high_ms:+.3f}"),
        styled((change.own_word, style)),
    ]


def _ms(value: float) -> str:
    return figure(value, most=3) if value else "0"
