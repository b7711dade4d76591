"""The terminal itself: how output is opened, and how an early stop is said."""

from __future__ import annotations

import errno
import io
import os
import sys
from typing import IO

from rich.console import Console
from rich.text import Text

from mmload.errors import FolderError, MmloadError
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
    return LastingConsole(stderr=stderr, force_interactive=redrawable, highlight=False)


def print_error(error: MmloadError) -> None:
    """The error on standard error; long lines are left whole, so that a path or a command in them can be copied."""
    open_console(stderr=True).print(render_error(error), soft_wrap=True)


class LastingConsole(Console):
    """A reader that has gone away (`mmload run | head -2`, or a terminal that hung up) ends the output, not the
    program."""

    def on_broken_pipe(self) -> None:
        give_up_output(self.file)

    def _check_buffer(self) -> None:
        try:
            super()._check_buffer()
        except OSError as error:
            self.on_broken_pipe()
            if error.errno != errno.EIO:  # what a terminal that hung up answers
                raise unwritable(error) from error


def unwritable(error: OSError) -> FolderError:
    """What is said of output that can't be written, as to a file on a full disk."""
    return FolderError(f"the output cannot be written: {error.strerror}", "make room, or write it elsewhere")


def give_up_output(stream: IO[str]) -> None:
    """What is written to it from now on goes nowhere."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


def print_document(text: str) -> None:
    """A JSON document on standard output, which ends in its own newline."""
    try:
        print(text, end="", flush=True)
    except OSError as error:
        give_up_output(sys.stdout)
        if error.errno not in {errno.EPIPE, errno.EIO}:
            raise unwritable(error) from error


def render_error(error: MmloadError) -> Text:
    """'error: ..' and, on a line of its own, 'hint: ..' where there is one."""
    lines = [styled(("error: ", "bold red"), str(error))]
    if error.hint:
        lines.append(styled(("hint: ", "bold cyan"), error.hint))
    return Text("\n").join(lines)
