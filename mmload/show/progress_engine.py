"""How far `mmload engine setup` is: a step, its seconds and its latest line on a terminal; elsewhere a line when it
begins and one when it ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from mmload.show.terminal_figures import plain
from mmload.show.terminal_sheet import styled

_BESIDE = 40  # cells for all but the latest line


class SetupProgress:
    """Is told of each step. clock: monotonic seconds."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._clock = clock

    @contextmanager
    def step(self, name: str) -> Iterator[Callable[[str], None]]:
        """A step, for as long as the block runs; the block gets what shows one line of foreign text."""
        began = self._clock()
        if not self._console.is_interactive:
            self._console.print(styled(f"{name} .."))
        with Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[said]}"),
            console=self._console,
            transient=True,
            disable=not self._console.is_interactive,
        ) as progress:
            task = progress.add_task(name, said="", total=None)
            yield lambda line: progress.update(task, said=escape(plain(line)[: max(0, self._console.width - _BESIDE)]))
        self._console.print(styled(f"{name}: {self._clock() - began:.0f} s"), soft_wrap=True)
