"""Slow requests in a report: what the ranks did while the slowest were waiting, beside the rest."""

from __future__ import annotations

from mmload.analyse.slow import PhaseWall, SlowRequests
from mmload.show.report_shapes import Cell, Table, table
from mmload.show.terminal_figures import figures
from mmload.show.terminal_processes import in_order, short_name

_LEAST_MS = 0.05  # what rounds to nothing for both is left out
_MOST_UNNAMED = 8  # phases that may be chance, of which those with the most beyond the usual are shown


def slow_table(found: SlowRequests) -> Table:
    """A row for each phase of each thread, those first that are more than chance, and of the others the first few."""
    walls = [
        (short_name(name), phase, wall)
        for name, thread in in_order(found.threads).items()
        for phase, wall in thread.phases.items()
        if max(wall.slow_ms, wall.rest_ms) >= _LEAST_MS
    ]
    named = [row for row in walls if row[2].named]
    others = sorted((row for row in walls if not row[2].named), key=lambda row: -row[2].more_ms)
    head = ("thread", "phase", f"slowest {found.slow:,}, ms", f"other {found.rest:,}, ms", "more, ms", "bounds", "")
    left_out = len(others) - _MOST_UNNAMED
    note = (
        "wall-clock milliseconds a request while it waited; more: beyond what a wait as long holds of the phase "
        f"elsewhere. Spells of slow requests: {found.spells:,}; waits that were not wholly seen: {found.left_out:,}"
        f"{f'. {left_out:,} more phases that may be chance are left out' if left_out > 0 else ''}"
    )
    rows = (_row(*wall) for wall in (*named, *others[:_MOST_UNNAMED]))
    return table("slow requests", head, rows, left=(0, 1, 6), note=note)


def _row(thread: str, phase: str, wall: PhaseWall) -> list[str | Cell]:
    slow, rest = figures([wall.slow_ms, wall.rest_ms], most=1)
    more, low, high = figures([wall.more_ms, wall.low_ms, wall.high_ms], "∞", most=1)
    word = Cell("more than chance", "warn") if wall.named else Cell("")
    return [thread, phase, slow, rest, Cell(more, "strong"), Cell(f"{low} to {high}", "muted"), word]
