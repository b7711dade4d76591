"""Carry out a plan before a person's eyes: the live display, then its end, also of a run that ended early."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from mmload.model.plan import Plan
    from mmload.session.crew import Show
    from mmload.show.terminal_sheet import Drawn
    from mmload.store.read import Run

    Session = Callable[[Plan, Path, Show, Callable[[Run], None]], object]


def carry_out(
    session: Session,
    plan: Plan,
    out: Path,
    console: Console,
    title: str,
    ending: Callable[[Run], Drawn],
) -> Run:
    """The sealed run. What `ending` makes of it goes to the console, and its summary as a document to standard output
    where that is not the console's."""
    from mmload.show.live import LiveDisplay  # noqa: PLC0415
    from mmload.show.terminal import print_document  # noqa: PLC0415

    sealed: list[Run] = []
    try:
        with LiveDisplay(console, title) as display:
            session(plan, out, display.update, sealed.append)
    finally:
        for stored in sealed:
            console.print(ending(stored))
            if console.stderr:
                print_document(stored.layout.summary.read_text(encoding="utf-8"))
    return sealed[0]
