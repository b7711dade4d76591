"""The display while a run goes: four times a second on a terminal, a plain line every five seconds elsewhere."""

from __future__ import annotations

import math
import time
from collections import deque
from collections.abc import Callable
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.text import Text

from mmload.model.live import LiveView
from mmload.show.live_frame import draw_frame, plain_line
from mmload.show.terminal_sheet import Drawn, styled

_FRAME_S = 0.2  # a little under the beat of the updates, so that none is skipped for coming early
_LINE_S = 5.0
_HISTORY_S = 60


class LiveDisplay:
    """Shows the `LiveView`s it is given. It has no thread: what is seen is as fresh as the last `update`.

    On a terminal that can be redrawn (`console.is_interactive`) the display erases itself at the end, so that the
    summary takes its place; elsewhere lines stay, one for each new stage, warning and five seconds.
    """

    def __init__(self, console: Console, title: str = "", clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._title = title
        self._clock = clock
        self._rates: deque[float] = deque(maxlen=_HISTORY_S)
        self._rated_s = -math.inf
        self._shown_s = -math.inf
        self._stage = ""
        self._printed: set[str] = set()
        self._live: Live | None = None

    def __enter__(self) -> Self:
        if self._console.is_interactive:
            self._live = Live(console=self._console, auto_refresh=False, transient=True, redirect_stdout=False)
            self._live.start()
        elif self._title:
            self._print(self._title)
        return self

    def update(self, view: LiveView) -> None:
        """Show the run as it stands; cheap when called more often than is shown."""
        now_s = self._clock()
        if view.sent and now_s - self._rated_s >= 1:
            self._rates.append(view.achieved_rps)
            self._rated_s = now_s
        if not self._live:
            self._print_new([*view.notices, *(f"warning: {warning}" for warning in view.warnings)])
        period_s = _FRAME_S if self._live else _LINE_S
        if view.stage == self._stage and now_s - self._shown_s < period_s:
            return
        self._stage, self._shown_s = view.stage, now_s
        if self._live:
            frame = Drawn(lambda sheet: draw_frame(view, self._title, tuple(self._rates), sheet))
            self._live.update(frame, refresh=True)
        else:
            self._print(plain_line(view))

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live:
            self._live.update(Text(), refresh=True)  # a frame taller than the terminal could not be erased
            self._live.stop()

    def _print_new(self, lines: list[str]) -> None:
        for line in lines:
            if line not in self._printed:
                self._printed.add(line)
                self._print(line)

    def _print(self, line: str) -> None:
        self._console.print(styled(line), soft_wrap=True)  # a log's reader wants one line, however long
