"""The selftest while it goes: its rows as they come and, on a terminal, what is being made below them."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from mmload.model.live import LiveView
from mmload.model.selftest import SelftestRow
from mmload.show.tables_selftest import render_row


class SelftestProgress:
    """Told of each row. rows: how many there will be."""

    def __init__(self, console: Console, rows: int) -> None:
        self._console = console
        self._name = ""
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.completed} of {task.total}"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            refresh_per_second=2,  # it runs beside what is measured
            disable=not console.is_interactive,
        )
        self._task = self._bar.add_task("starting", total=rows)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def begins(self, name: str) -> None:
        self._name = name
        self._bar.update(self._task, description=name)

    def shows(self, view: LiveView) -> None:
        """A turn of the run that is being made for the present row."""
        self._bar.update(self._task, description=f"{self._name}: {view.stage}")

    def ended(self, row: SelftestRow) -> None:
        self._console.print(render_row(row))
        self._bar.update(self._task, advance=1)

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()
