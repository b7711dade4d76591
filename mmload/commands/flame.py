"""`mmload flame`: what the CPU of a run's processes went to, as a tree of functions; and how two runs differ in it."""

from __future__ import annotations

import re
import webbrowser
from collections import Counter
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mmload.commands.documents import write_text
from mmload.commands.option_groups import Group, grouped
from mmload.commands.options import OUT
from mmload.errors import FolderError, UsageError
from mmload.plan.config_hints import nearest
from mmload.plan.load_words import in_range
from mmload.plan.phases import PHASES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mmload.analyse.flame_rows import Selection
    from mmload.analyse.slow import SlowRequests
    from mmload.commands.flame_choice import Side
    from mmload.model.flame import FlameDocument, FlameView
    from mmload.store.read import Run

Format = Literal["html", "svg", "speedscope", "folded"]

_ENDINGS: dict[Format, str] = {"html": ".html", "svg": ".svg", "speedscope": ".speedscope.json", "folded": ".folded"}
_OF_ONE_SIDE = ("speedscope", "folded")  # formats that know of no other
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
        typer.Option(metavar="REGEX", help="Only stacks through a function that this matches.", rich_help_panel=_WHAT),
    ] = None
    rows: Annotated[int, typer.Option(help="The most rows of a tree.", rich_help_panel=_WHAT)] = 20
    total: Annotated[
        bool,
        typer.Option("--total", help="CPU ms in the profile window instead of per request.", rich_help_panel=_WHAT),
    ] = False

    def selection(self) -> Selection:
        """Raises UsageError."""
        from mmload.analyse.flame_rows import Selection  # noqa: PLC0415

        for name in self.phase or []:
            if name not in PHASES:
                raise UsageError(f"--phase {name}: there is no such phase", nearest(name, list(PHASES)))
        try:
            return Selection(tuple(self.phase or []), None if self.function is None else re.compile(self.function))
        except re.error as error:
            raise UsageError(f"--function {self.function!r} is no regular expression: {error}") from error


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
        asked = {"html": self.html or self.open_, "svg": self.svg}
        asked |= {"speedscope": self.speedscope, "folded": self.folded}
        formats: list[Format] = [form for form in _ENDINGS if asked[form]]
        if self.output is not None and len(formats) != 1:
            raise UsageError("--output is of one file", "give one of --html, --svg, --speedscope, --folded beside it")
        if self.json and formats:
            raise UsageError(f"--json and --{formats[0]} exclude each other", "leave one of them out")
        return formats


@grouped
def flame(
    shown: ShownOptions,
    files: FileOptions,
    run: Annotated[
        str | None,
        typer.Argument(
            metavar="[RUN]",
            help="A run-id or a path; CAMPAIGN/VARIANT for all its runs together; default the newest with stacks.",
            show_default=False,
        ),
    ] = None,
    diff: Annotated[
        str | None,
        typer.Option(metavar="RUN", help="Against this run, or CAMPAIGN/VARIANT: what costs more, what less."),
    ] = None,
    slow: Annotated[
        bool, typer.Option("--slow", help="What the slowest 1 % of the requests waited for, beside the rest.")
    ] = False,
    out: Annotated[Path, typer.Option(help="Where run folders are.")] = OUT,
) -> None:
    """Flame graphs of a run: the hottest paths of every rank, in CPU milliseconds per request.

    In the terminal; with --html, --svg, --speedscope or --folded in files.
    """
    from mmload.commands.flame_choice import side_of  # noqa: PLC0415

    in_range(shown.rows, "--rows", 1, 10_000)
    formats, selection = files.formats(), shown.selection()
    _refuse_ignored(shown, formats, diff=diff, slow=slow)
    sides = [side_of(run, out), *([side_of(diff, out)] if diff is not None else [])]
    found = _slow(sides[0]) if slow else None
    document = _document(sides, found, per_request=not shown.total)
    views = _views(document, shown.rank or [])
    if files.json:
        _print_json(document, views)
        return
    for form in formats:
        file = files.output or sides[0].folder / f"{_name(sides, slow=slow)}{_ENDINGS[form]}"
        _write(_text(form, sides[0].runs, document, views), file)
        if files.open_ and form == "html":
            webbrowser.open(file.absolute().as_uri())
    if not formats:
        glance = views if shown.rank else _at_a_glance(document)
        _print(sides[0].runs[0], document, glance, selection, shown.rows, found)


def _refuse_ignored(shown: ShownOptions, formats: Sequence[Format], *, diff: str | None, slow: bool) -> None:
    """Raise UsageError for what would have no effect."""
    if slow and diff is not None:
        raise UsageError("--slow and --diff exclude each other", "leave one of them out")
    if slow and shown.total:
        raise UsageError("--slow and --total exclude each other", "a wait is per request: leave one of them out")
    if formats and (shown.phase or shown.function is not None):
        option = "--phase" if shown.phase else "--function"
        raise UsageError(
            f"{option} is for the terminal, not for files", "in the page, phases are hidden and functions found"
        )
    if unfit := [form for form in formats if form in _OF_ONE_SIDE and (slow or diff is not None)]:
        raise UsageError(f"{'--slow' if slow else '--diff'} has no {unfit[0]} file", "give --html or --svg")


def _name(sides: Sequence[Side], *, slow: bool) -> str:
    """Of a file; a run's lie in its own folder, and do not need its name."""
    first = "flame" if len(sides[0].runs) == 1 else f"flame-{sides[0].name}"
    return f"{first}-slow" if slow else f"{first}-against-{sides[1].name}" if len(sides) > 1 else first


def _slow(side: Side) -> SlowRequests:
    from mmload.analyse.slow import slow_requests  # noqa: PLC0415
    from mmload.analyse.slow_known import why_none  # noqa: PLC0415

    if len(side.runs) > 1:
        raise UsageError("--slow is of one run", f"give one of {', '.join(run.run_id for run in side.runs)}")
    (run,) = side.runs
    found = slow_requests(run)
    if found is None:
        absence = why_none(run)
        raise FolderError(f"{run.run_id} does not say what slow requests waited for: {absence.why}", absence.mend)
    return found


def _document(sides: Sequence[Side], slow: SlowRequests | None, *, per_request: bool) -> FlameDocument:
    from mmload.analyse.flame_slow import slow_document  # noqa: PLC0415
    from mmload.judge.flames import flame_of  # noqa: PLC0415

    if slow is not None:
        return slow_document(sides[0].runs[0], slow)
    return flame_of(*(side.runs for side in sides), per_request=per_request)


def _views(document: FlameDocument, ranks: Sequence[str]) -> list[FlameView]:
    """Those that were asked for, by any of their names; else all."""
    names = {name: view for view in document.views for name in (view.id, view.label, view.label.removeprefix("TP"))}
    for name in ranks:
        if name not in names:
            raise UsageError(
                f"--rank {name}: there is no such process", nearest(name, [v.label for v in document.views])
            )
    return list({names[name].id: names[name] for name in ranks}.values()) if ranks else document.views


def _print_json(document: FlameDocument, views: Sequence[FlameView]) -> None:
    import msgspec  # noqa: PLC0415

    from mmload.show.terminal import print_document  # noqa: PLC0415

    print_document(msgspec.json.encode(msgspec.structs.replace(document, views=list(views))).decode() + "\n")


def _write(text: str, file: Path) -> None:
    from mmload.show.terminal import open_console, print_document  # noqa: PLC0415

    if str(file) == "-":
        print_document(text)
        return
    write_text(file, text)
    open_console().print(f"{file}  {len(text.encode()) / 1000:,.0f} kB", soft_wrap=True, markup=False)


def _text(form: Format, runs: Sequence[Run], document: FlameDocument, views: Sequence[FlameView]) -> str:
    import msgspec  # noqa: PLC0415

    match form:
        case "html":
            from mmload.show.flame_page import flame_page  # noqa: PLC0415

            return flame_page(msgspec.structs.replace(document, views=list(views)))
        case "svg":
            from mmload.show.flame_svg import flames_svg  # noqa: PLC0415

            return flames_svg(views, document)
        case "speedscope":
            from mmload.show.speedscope import speedscope  # noqa: PLC0415

            return speedscope(document.this, _stacks(runs, views), runs[0].manifest.profile.rate_hz)
        case "folded":
            stacks = _stacks(runs, views)
            lines = (f"{name};{stack} {count}\n" for name, of in stacks.items() for stack, count in of.items())
            return "".join(lines)


def _stacks(runs: Sequence[Run], views: Sequence[FlameView]) -> dict[str, Counter[str]]:
    """Of the processes in the views the samples of all runs."""
    from mmload.analyse.flame_document import ALL_RANKS, is_rank  # noqa: PLC0415

    ids = {view.id for view in views}
    stacks: dict[str, Counter[str]] = {}
    for name, counts in chain.from_iterable(run.stacks.items() for run in runs):
        if name in ids or (ALL_RANKS in ids and is_rank(name)):
            stacks.setdefault(name, Counter()).update(counts)
    return stacks


def _print(
    run: Run,
    document: FlameDocument,
    views: Sequence[FlameView],
    selection: Selection,
    rows: int,
    slow: SlowRequests | None,
) -> None:
    from mmload.show.flame_terminal import render_flame  # noqa: PLC0415
    from mmload.show.terminal import open_console  # noqa: PLC0415
    from mmload.show.terminal_slow import render_slow  # noqa: PLC0415

    console, manifest = open_console(), run.manifest
    if slow is not None:
        console.print(render_slow(slow))
        console.print()
    samples = sum(view.samples for view in document.views if view.id in run.stacks)
    about = (f"{manifest.engine} TP {manifest.tp}", manifest.workload, f"{samples:,} samples")
    console.print(render_flame(document, views, selection, rows, about))


def _at_a_glance(document: FlameDocument) -> list[FlameView]:
    """Each process; of a difference the ranks as one, where there are several."""
    from mmload.analyse.flame_document import ALL_RANKS, is_rank  # noqa: PLC0415

    has_union = any(view.id == ALL_RANKS for view in document.views)
    if document.base is not None and has_union:
        return [view for view in document.views if not is_rank(view.id)]
    return [view for view in document.views if view.id != ALL_RANKS]
