"""Why requests failed, on the terminal: each kind of failure, and below it what was said."""

from __future__ import annotations

from collections.abc import Iterator

from rich.text import Text

from mmload.analyse.failures import VARIES
from mmload.model.result import Failure, Summary
from mmload.show.palette import LABEL, OUTCOME_STYLES
from mmload.show.terminal_figures import count, figures
from mmload.show.terminal_sheet import LABEL_WIDTH, Column, Sheet, cut, grid_rows, paragraph, styled

_COLUMNS = (
    Column("failures", right=False),
    Column("requests"),
    Column("first due, s"),
    Column("last"),
    Column("the first's id", rank=1, right=False),
)


def failure_kinds(summary: Summary, sheet: Sheet) -> Iterator[Text]:
    """All that the summary holds, the most frequent first; nothing where none failed."""
    if not summary.failures:
        return
    header, *rows = grid_rows(_COLUMNS, [_row(kind) for kind in summary.failures], sheet)
    yield from header
    for row, kind in zip(rows, summary.failures, strict=True):
        yield from row
        yield from paragraph(styled(kind.error), sheet, "    ") if kind.error else []
    if summary.more_failures:
        yield styled((f"  and {count(summary.more_failures, 'more kind')}", LABEL))
    if any(VARIES in kind.error for kind in summary.failures):
        yield styled((f"  {VARIES}: what differs from one request to the next", LABEL))


def most_frequent_failure(summary: Summary, sheet: Sheet) -> Iterator[Text]:
    """In one line; nothing where none failed."""
    for kind in summary.failures[:1]:
        said = styled(("most often".ljust(LABEL_WIDTH), LABEL), f"{kind.requests:,} {kind.outcome}")
        yield cut(said + styled(f": {kind.error}" if kind.error else ""), sheet.width, sheet.glyphs)


def _row(kind: Failure) -> list[Text]:
    first, last = figures([kind.first_s, kind.last_s], most=1)
    outcome = styled("  ", (kind.outcome, OUTCOME_STYLES.get(kind.outcome, "")))
    return [outcome, *map(styled, (f"{kind.requests:,}", first, last, kind.example))]
