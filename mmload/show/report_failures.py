"""Why requests failed, in a report."""

from __future__ import annotations

from mmload.analyse.failures import VARIES
from mmload.model.result import Failure, Summary
from mmload.show.report_shapes import Cell, Table, table
from mmload.show.terminal_figures import MISSING, count, figures, percent

_COLUMNS = ("failures", "requests", "what was said", "share", "first due, s", "last due, s", "the first's id")


def failure_table(summary: Summary) -> Table | None:
    """A row for each kind, the most frequent first; None where none failed."""
    if not summary.failures:
        return None
    note = f"due: in seconds since the measured window began; {VARIES}: what differs from one request to the next"
    if summary.more_failures:
        note = f"and {count(summary.more_failures, 'more kind')}; {note}"
    rows = [_row(kind, summary.requests) for kind in summary.failures]
    return table("failures", _COLUMNS, rows, left=(0, 2), note=note)


def _row(kind: Failure, requests: int) -> list[str | Cell]:
    first, last = figures([kind.first_s, kind.last_s], most=1)
    share = f"{percent(kind.requests / requests)} %"
    return [kind.outcome, Cell(f"{kind.requests:,}", "bad"), kind.error or MISSING, share, first, last, kind.example]
