"""The options of `mmload flame`, in groups."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mmload.commands.option_groups import Group
from mmload.errors import UsageError
from mmload.plan.config_hints import nearest
from mmload.plan.phases import PHASES

if TYPE_CHECKING:
    from mmload.analyse.flame_select import Selection
    from mmload.commands.flame_files import Format

ROWS = 20
_LONGEST = 40  # characters of a regular expression in a file's name
_WHAT, _FILES = "What is shown", "Files"


class ShownOptions(Group, frozen=True):
    """What of a run is looked at."""

    rank: Annotated[
        list[str] | None,
        typer.Option(metavar="TP0|tokenizer|..", help="Only this process (repeatable).", rich_help_panel=_WHAT),
    ] = None
    phase: Annotated[
        list[str] | None,
        typer.Option(help=f"Only this phase (repeatable): {', '.join(PHASES)}.", rich_help_panel=_WHAT),
    ] = None
    function: Annotated[
        str | None,
        typer.Option(
            metavar="REGEX",
            help="Only stacks through a function that this matches, by name or file.",
            rich_help_panel=_WHAT,
        ),
    ] = None
    rows: Annotated[
        int | None, typer.Option(help=f"The most rows of a tree; default {ROWS}.", rich_help_panel=_WHAT)
    ] = None
    total: Annotated[
        bool,
        typer.Option(
            "--total", help="CPU ms a second of the profile window instead of per request.", rich_help_panel=_WHAT
        ),
    ] = False

    def selection(self) -> Selection:
        """Raises UsageError."""
        from mmload.analyse.flame_select import Selection  # noqa: PLC0415

        for name in self.phase or []:
            if name not in PHASES:
                raise UsageError(f"--phase {name}: there is no such phase", nearest(name, list(PHASES)))
        try:
            return Selection(tuple(self.phase or []), None if self.function is None else re.compile(self.function))
        except re.error as error:
            raise UsageError(f"--function {self.function!r} is no regular expression: {error}") from error

    def named(self) -> list[str]:
        """What is selected, as it was said."""
        return [
            *(f"--rank {name}" for name in self.rank or []),
            *(f"--phase {name}" for name in self.phase or []),
            *([] if self.function is None else [f"--function {self.function}"]),
        ]

    def part(self) -> list[str]:
        """The same in a file's name."""
        through = [] if self.function is None else [re.sub(r"\W+", "_", self.function)[:_LONGEST]]
        return [*(self.rank or []), *(self.phase or []), *through, *(["total"] if self.total else [])]


class FileOptions(Group, frozen=True):
    """What is written instead."""

    html: Annotated[bool, typer.Option("--html", help="A page to look at, in one file.", rich_help_panel=_FILES)] = (
        False
    )
    svg: Annotated[bool, typer.Option("--svg", help="A picture.", rich_help_panel=_FILES)] = False
    speedscope: Annotated[
        bool, typer.Option("--speedscope", help="For speedscope, all processes in one file.", rich_help_panel=_FILES)
    ] = False
    folded: Annotated[
        bool, typer.Option("--folded", help="Folded stacks, below the process's name.", rich_help_panel=_FILES)
    ] = False
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Where to; - is standard output. Default: in the run's folder.",
            rich_help_panel=_FILES,
        ),
    ] = None
    open_: Annotated[bool, typer.Option("--open", help="Open the page in a browser.", rich_help_panel=_FILES)] = False
    json: Annotated[
        bool, typer.Option("--json", help="The views as JSON on standard output.", rich_help_panel=_FILES)
    ] = False

    def formats(self) -> list[Format]:
        """Those that were asked for. Raises UsageError for what can't be written together."""
        asked: dict[Format, bool] = {"html": self.html or self.open_, "svg": self.svg}
        asked |= {"speedscope": self.speedscope, "folded": self.folded}
        formats = [form for form in asked if asked[form]]
        if self.output is not None and len(formats) != 1:
            raise UsageError("--output is of one file", "give one of --html, --svg, --speedscope, --folded beside it")
        if self.json and formats:
            other = "open" if self.open_ else formats[0]
            raise UsageError(f"--json and --{other} exclude each other", "leave one of them out")
        return formats
