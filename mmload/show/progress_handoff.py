"""How far `mmload handoff` is: a bar on a terminal, a line a round elsewhere."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from mmload.model.handoff import Cell, Observation
from mmload.plan.handoff import HandoffPlan, Part
from mmload.show.tables_handoff import by_text, cell_text
from mmload.show.terminal_figures import count, span
from mmload.show.terminal_sheet import styled


class HandoffProgress:
    """Told of each observation. Says before all what is coming and how long that takes."""

    def __init__(self, console: Console, plan: HandoffPlan, expected_s: float) -> None:
        self._console = console
        self._left = sum(len(part.variants) * len(part.cells) * part.rounds for part in plan.parts)
        self._round: tuple[float | None, int] | None = None
        for part in plan.parts:
            console.print(styled(_part_text(part)), soft_wrap=True)
        console.print(styled(f"this takes about {span(max(1.0, expected_s))}"), soft_wrap=True)
        self._bar = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
            refresh_per_second=2,  # it runs beside what is measured
            disable=not console.is_interactive,
        )
        self._task = self._bar.add_task("starting", total=self._left)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def advance(self, observation: Observation) -> None:
        self._bar.update(self._task, advance=1, description=f"{observation.variant}, {cell_text(observation.cell)}")
        at = observation.cell.build_ms, observation.round
        if not self._console.is_interactive and at != self._round:
            self._round = at
            self._console.print(styled(f"round {observation.round + 1}, {_build_text(observation.cell)}"))

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()


def _part_text(part: Part) -> str:
    sizes = ", ".join(f"{each / 1e6:g}" for each in part.sizes_bytes)
    batches = ", ".join(map(str, part.batches))
    beside = f", {part.lanes} at once" if part.lanes > 1 else ""
    return (
        f"TP {part.tp}, {_build_text(part.cells[0])}{by_text(part.cells[0])}: {sizes} MB in batches of {batches}; "
        f"{count(len(part.variants), 'variant')}{beside}, {count(part.rounds, 'round')}"
    )


def _build_text(cell: Cell) -> str:
    return "real build" if cell.build_ms is None else f"modelled build of {cell.build_ms:g} ms"
