"""The terminal itself: how output is opened, and how an early stop is said."""

from __future__ import annotations

import io
import sys

from rich.console import Console
from rich.text import Text

from mmload.errors import MmloadError
from mmload.show.terminal_sheet import styled


def open_console(*, stderr: bool = False) -> Console:
    """A console on standard output or standard error.

    Colour only on a terminal, and never with NO_COLOR; redrawing only on a real terminal, even where FORCE_COLOR
    colours a log. A character that the stream's encoding lacks becomes '?' and never an exception.
    """
    stream = sys.stderr if stderr else sys.stdout
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(errors="replace")
    redrawable = None if stream.isatty() else False
    return Console(stderr=stderr, force_interactive=redrawable, highlight=False)


def print_error(error: MmloadError) -> None:
    """The error on standard error; long lines are left whole, so that a path or a command in them can be copied."""
    open_console(stderr=True).print(render_error(error), soft_wrap=True)


def render_error(error: MmloadError) -> Text:
    """'error: ..' and, on a line of its own, 'hint: ..' where there is one."""
    lines = [styled(("error: ", "bold red"), str(error))]
    if error.hint:
        lines.append(styled(("hint: ", "bold cyan"), error.hint))
    return Text("\n").join(lines)
