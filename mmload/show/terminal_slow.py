"""What the slowest requests waited for, beside the rest: sentences, then each thread's phases."""

from __future__ import annotations

from collections.abc import Iterator

from rich.text import Text

from mmload.analyse.slow import PhaseWall, SlowRequests
from mmload.show.palette import EMPHASIS, LABEL, WARNING
from mmload.show.terminal_figures import count, figures
from mmload.show.terminal_processes import short_name
from mmload.show.terminal_sheet import Column, Drawn, Sheet, grid, paragraph, separated, styled

_LEAST_PART = 0.05  # of the slow ones' wait: a shorter time in a phase is not shown
_COLUMNS = (
    Column("while waiting", right=False, elastic=True),
    Column("phase", right=False),
    Column("slowest"),
    Column("rest", rank=1),
    Column("more than usual"),
    Column("bounds", rank=2),
)


def render_slow(found: SlowRequests) -> Drawn:
    return Drawn(lambda sheet: separated(_sentences(found, sheet), _table(found, sheet), _notes(found, sheet)))


def _sentences(found: SlowRequests, sheet: Sheet) -> Iterator[Text]:
    who, *named = found.said
    yield from paragraph(styled((who, EMPHASIS)), sheet)
    for sentence in named:
        yield from paragraph(styled(sentence), sheet, "  ")


def _table(found: SlowRequests, sheet: Sheet) -> Iterator[Text]:
    """In milliseconds a request."""
    rows = []
    for name, thread in found.threads.items():
        shown = [(phase, wall) for phase, wall in thread.phases.items() if _is_shown(wall, found)]
        for place, (phase, wall) in enumerate(sorted(shown, key=lambda one: -one[1].slow_ms)):
            style = EMPHASIS if wall.named else ""
            slow, rest, more, low, high = figures(
                [wall.slow_ms, wall.rest_ms, wall.more_ms, wall.low_ms, wall.high_ms], most=0
            )
            cells = [(slow, style), (rest, ""), (more, style), (f"{low} to {high}", LABEL)]
            head = "" if place else short_name(name)
            rows.append([styled((head, LABEL)), styled((phase, style)), *(styled(cell) for cell in cells)])
    yield from grid(_COLUMNS, rows, sheet)


def _is_shown(wall: PhaseWall, found: SlowRequests) -> bool:
    return max(wall.slow_ms / found.slow_wait_ms, wall.rest_ms / found.rest_wait_ms) >= _LEAST_PART


def _notes(found: SlowRequests, sheet: Sheet) -> Iterator[Text]:
    said = "ms a request; usual: what a wait as long holds of it elsewhere"
    if found.spells < found.slow:
        said += f"; the slowest waited in {count(found.spells, 'spell')}, and those of one spell count as one"
    if found.left_out:
        said += f"; {count(found.left_out, 'request')} left out that began or ended while nobody looked"
    yield from paragraph(styled((said, LABEL)), sheet)
    for note in found.notes:
        yield from paragraph(styled((note, WARNING)), sheet)
