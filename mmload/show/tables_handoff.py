"""The handoff alone on the terminal: a table for each cell, then every claim with its figure and its word."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import NamedTuple

from rich.text import Text

from mmload.model.handoff import Cell, ClaimResult, ClaimWord, Estimate, HandoffReport, HandoffRow
from mmload.show.palette import LABEL, WARNING
from mmload.show.terminal_figures import MISSING, figure, figures
from mmload.show.terminal_sheet import EXTRA, Column, Drawn, Sheet, grid, paragraph, separated, styled

_STYLES: dict[ClaimWord, str] = {"SUPPORTED": "bold green", "REFUTED": "bold red", "CANNOT TELL": "bold yellow"}
_UNITS = {
    "wall_ms": "ms",
    "cpu_ms": "ms CPU",
    "build_cpu_ms": "ms build",
    "modelled_cpu_ms": "ms modelled",
    "overhead_ms": "ms over build",
    "throughput_rps": "req/s",
    "moved_mb": "MB moved",
}


class _Shown(NamedTuple):
    """A figure in a table. rank, interval_rank: as in Column; a rank of None has no interval."""

    figure: str
    head: str
    rank: int = 0
    interval_rank: int | None = None
    most: int = 2


_SHOWN = (
    _Shown("wall_ms", "wall ms", interval_rank=1),
    _Shown("cpu_ms", "cpu ms", interval_rank=EXTRA),
    _Shown("ranks_cpu_ms", "ranks", rank=EXTRA + 4),
    _Shown("build_cpu_ms", "build", interval_rank=EXTRA + 1),
    _Shown("modelled_cpu_ms", "modelled", most=0),
    _Shown("throughput_rps", "req/s", rank=3, interval_rank=EXTRA + 2),
    _Shown("moved_mb", "moved MB", interval_rank=EXTRA + 3),
)
_NOTE = (
    "Per request, geometric means over rounds with 95 % intervals. wall: from the tokenizer's first step until all "
    "ranks have the inputs. cpu: whole processes, tokenizer and ranks; build: construction and hash in it. moved: "
    "unpickled by all ranks, and written to shared memory."
)
_MODELLED = " modelled: what the slept builds would have burnt, in no other figure."


def render_handoff(report: HandoffReport) -> Drawn:
    """All tables, claims and warnings of a report."""

    def view(sheet: Sheet) -> Iterator[Text]:
        by_cell = [(cell, list(rows)) for cell, rows in groupby(report.rows, key=lambda row: row.cell)]
        modelled = any(cell.build_ms is not None for cell, _ in by_cell)
        said = [line for text in report.warnings for line in paragraph(styled((text, WARNING)), sheet, "! ")]
        return separated(
            *(_table(cell, rows, sheet) for cell, rows in by_cell),
            paragraph(styled((_NOTE + _MODELLED * modelled, LABEL)), sheet) if by_cell else [],
            _claims(report, sheet),
            said,
        )

    return Drawn(view)


def _table(cell: Cell, rows: Sequence[HandoffRow], sheet: Sheet) -> Iterator[Text]:
    columns = [Column(cell_text(cell), right=False, elastic=True)]
    lines = [[styled("  ", row.variant)] for row in rows]
    for shown in _SHOWN:
        if not all(shown.figure in row.figures for row in rows):
            continue
        values, intervals = _column([row.figures[shown.figure] for row in rows], shown.most)
        columns.append(Column(shown.head, rank=shown.rank))
        lines = [[*line, styled(value)] for line, value in zip(lines, values, strict=True)]
        if shown.interval_rank is not None and any(intervals):
            columns.append(Column("interval", rank=shown.interval_rank))
            lines = [[*line, styled((each, LABEL))] for line, each in zip(lines, intervals, strict=True)]
    return grid(columns, lines, sheet)


def _column(estimates: Sequence[Estimate], most: int) -> tuple[list[str], list[str]]:
    """Values, and their intervals, all with the same decimals."""
    shown = figures([bound for each in estimates for bound in (each.value, each.low, each.high)], most=most)
    bounds = list(zip(shown[1::3], shown[2::3], strict=True))
    return shown[::3], ["" if MISSING in pair else " to ".join(pair) for pair in bounds]


def _claims(report: HandoffReport, sheet: Sheet) -> Iterator[Text]:
    if not report.claims and not report.unmeasured:
        return
    columns = (
        Column("claim", right=False, elastic=True, folds=True),
        Column("tp", rank=3),
        Column("claimed"),
        Column("measured"),
        Column("interval", rank=1),
        Column("judged on", rank=2),
        Column("", right=False, rank=4),
        Column("", right=False),
    )
    if report.claims:
        yield from grid(columns, [_claim(claim) for claim in report.claims], sheet)
    tally = Counter(claim.verdict for claim in report.claims)
    parts = [f"{number} {word.lower()}" for word in _STYLES if (number := tally[word])] or ["none of these cells"]
    left = f"; {report.unmeasured} of other cells or variants" if report.unmeasured else ""
    why = "".join(f"; {note}" for note in sorted({claim.note for claim in report.claims} - {""}))
    yield from paragraph(styled((f"claims: {', '.join(parts)}{left}{why}", LABEL)), sheet)


def _claim(claim: ClaimResult) -> list[Text]:
    size = f", {claim.cell.size_bytes / 1e6:g} MB" if " MB" not in claim.says else ""
    versus = f" (next: {claim.versus})" if claim.versus and claim.versus not in claim.says else ""
    claimed = f"{'' if claim.op == 'about' else claim.op + ' '}{figure(claim.claimed, most=3)}"
    value, interval = _with_interval(claim.measured, most=3)
    judged = Estimate(value=claim.measured.value, low=claim.low, high=claim.high)
    elsewhere = _with_interval(judged, most=3)[1]
    return [
        styled(f"  {claim.source}: {claim.says}{size}{versus}"),
        styled(f"{claim.cell.tp}"),
        styled(claimed),
        styled((value, "bold")),
        styled((interval, LABEL)),
        styled((elsewhere if elsewhere != interval else "", LABEL)),
        styled((f"x {_UNITS[claim.figure].split()[-1]}" if claim.versus else _UNITS[claim.figure], LABEL)),
        styled((claim.verdict, _STYLES[claim.verdict])),
    ]


def _with_interval(estimate: Estimate, most: int = 2) -> tuple[str, str]:
    value, low, high = figures([estimate.value, estimate.low, estimate.high], most=most)
    return value, MISSING if estimate.low is None else f"{low} to {high}"


def cell_text(cell: Cell) -> str:
    """`TP 4, 10 MB`, and what else is special about a cell."""
    together = f" x {cell.batch}" if cell.batch > 1 else ""
    build = f", build {cell.build_ms:g} ms" if cell.build_ms is not None else ""
    return f"TP {cell.tp}, {cell.size_bytes / 1e6:g} MB{together}{build}{by_text(cell)}"


def by_text(cell: Cell) -> str:
    """What ranks broadcast by, unless it is the stand-in's own."""
    return "" if cell.collective == "standin" else f", by {cell.collective}"
