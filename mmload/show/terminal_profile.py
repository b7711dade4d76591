"""How good a profile is: what was asked of it, what it brought, and what is poor about it."""

from __future__ import annotations

from collections.abc import Iterator

from rich.text import Text

from mmload.model.manifest import ProfileInfo, StampedInfo
from mmload.show.palette import LABEL, WARNING
from mmload.show.terminal_figures import MISSING
from mmload.show.terminal_sheet import Column, Sheet, fact, grid, styled


def profile_quality(profile: ProfileInfo, sheet: Sheet) -> Iterator[Text]:
    """A line for each process; asked: as many samples as its rate asks for, where anybody knows."""
    yield from fact("profile", [styled(profile.mode), *(_rate(profile) if profile.mode != "none" else [])], sheet)
    columns = (
        Column("process", right=False),
        Column("pid", rank=3),
        Column("samples"),
        Column("asked", rank=2),
        Column("errors", rank=1),
        Column("segments", rank=4),
        Column("", right=False, elastic=True),
    )
    rows = [
        [
            styled("  ", file.process),
            styled(str(file.pid)),
            styled(f"{file.samples:,}"),
            styled(MISSING if file.asked is None else f"{file.asked:,}"),
            styled(f"{file.errors:,}"),
            styled(f"{sum(not segment.error for segment in file.segments)} of {len(file.segments)}"),
            styled(("good", LABEL)) if file.error is None else styled((file.error, WARNING)),
        ]
        for file in profile.files
    ]
    if rows:
        yield from grid(columns, rows, sheet)


def stamped_quality(stamped: StampedInfo, sheet: Sheet) -> Iterator[Text]:
    """Of the stacks with their times, all processes in a line."""
    taken = [file for file in stamped.files if file.error is None]
    figures = {
        "rate": f"{stamped.rate_hz} Hz",
        "processes": f"{len(taken)} of {len(stamped.files)}",
        "changes": f"{sum(file.changes for file in taken):,}",
        "errors": f"{sum(file.errors for file in stamped.files):,}",
    }
    if known_ms := [file.clock_error_ms for file in taken if file.clock_error_ms is not None]:
        figures["clock within"] = f"{max(known_ms):.1f} ms"
    yield from fact("stamped", [styled((name, LABEL), f" {value}") for name, value in figures.items()], sheet)


def _rate(profile: ProfileInfo) -> list[Text]:
    figures = {"rate": f"{profile.rate_hz} Hz", "samples": f"{profile.samples:,}", "errors": f"{profile.errors:,}"}
    return [styled((name, LABEL), f" {value}") for name, value in figures.items()]
