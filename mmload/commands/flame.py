"""`mmload flame`: what the CPU of a run's processes went to, as a tree of functions; and how two runs differ in it."""

from __future__ import annotations

import re
import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from mmload.commands.documents import write_text
from mmload.commands.options import OUT
from mmload.errors import FolderError, UsageError
from mmload.plan.config_hints import nearest
from mmload.plan.load_words import in_range
from mmload.plan.phases import PHASES

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from mmload.analyse.flame_rows import Selection
    from mmload.analyse.slow import SlowRequests
    from mmload.model.flame import FlameDocument, FlameView
    from mmload.store.read import Run

Format = Literal["html", "svg", "speedscope", "folded"]

_ENDINGS: dict[Format, str] = {"html": ".html", "svg": ".svg", "speedscope": ".speedscope.json", "folded": ".folded"}
_WHAT, _FILES = "What is shown", "Files"


def flame(  # noqa: PLR0913, PLR0917 (a command line has as many options as its contract names)
    run: Annotated[
        str | None,
        typer.Argument(help="A run-id or a path; default the newest run that has stacks.", show_default=False),
    ] = None,
    diff: Annotated[
        str | None, typer.Option(metavar="RUN", help="Against this run: what costs more, what less.")
    ] = None,
    slow: Annotated[
        bool, typer.Option("--slow", help="What the slowest 1 % of the requests waited for, beside the rest.")
    ] = False,
    rank: Annotated[
        list[str] | None,
        typer.Option(metavar="TP0|tokenizer|..", help="Only this process (repeatable).", rich_help_panel=_WHAT),
    ] = None,
    phase: Annotated[
        list[str] | None,
        typer.Option(help=f"Only this phase (repeatable): {', '.join(PHASES)}.", rich_help_panel=_WHAT),
    ] = None,
    function: Annotated[
        str | None,
        typer.Option(metavar="REGEX", help="Only stacks through a function that this matches.", rich_help_panel=_WHAT),
    ] = None,
    rows: Annotated[int, typer.Option(help="The most rows of a tree.", rich_help_panel=_WHAT)] = 20,
    total: Annotated[
        bool,
        typer.Option("--total", help="CPU ms in the profile window instead of per request.", rich_help_panel=_WHAT),
    ] = False,
    html: Annotated[
        bool, typer.Option("--html", help="A page to look at, in one file.", rich_help_panel=_FILES)
    ] = False,
    svg: Annotated[bool, typer.Option("--svg", help="A picture.", rich_help_panel=_FILES)] = False,
    speedscope: Annotated[
        bool, typer.Option("--speedscope", help="For speedscope, all processes in one file.", rich_help_panel=_FILES)
    ] = False,
    folded: Annotated[
        bool, typer.Option("--folded", help="Folded stacks, below the process's name.", rich_help_panel=_FILES)
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="Where to; - is standard output. Default: in the run's folder.",
            rich_help_panel=_FILES,
        ),
    ] = None,
    open_: Annotated[bool, typer.Option("--open", help="Open the page in a browser.", rich_help_panel=_FILES)] = False,
    json: Annotated[
        bool, typer.Option("--json", help="The views as JSON on standard output.", rich_help_panel=_FILES)
    ] = False,
    out: Annotated[Path, typer.Option(help="Where run folders are.")] = OUT,
) -> None:
    """Flame graphs of a run: the hottest paths of every rank, in CPU milliseconds per request.

    In the terminal; with --html, --svg, --speedscope or --folded in files.
    """
    import msgspec  # noqa: PLC0415

    from mmload.analyse.flame_slow import slow_document  # noqa: PLC0415
    from mmload.judge.flames import flame_of  # noqa: PLC0415
    from mmload.show.terminal import print_document  # noqa: PLC0415

    in_range(rows, "--rows", 1, 10_000)
    asked = {"html": html or open_, "svg": svg, "speedscope": speedscope, "folded": folded}
    formats: list[Format] = [form for form in _ENDINGS if asked[form]]
    if output is not None and len(formats) != 1:
        raise UsageError("--output is of one file", "give one of --html, --svg, --speedscope, --folded beside it")
    selection = _selection(phase or [], function)
    sides = [_run(run, out), *([_run(diff, out)] if diff is not None else [])]
    found = _slow(sides[0], diff, formats) if slow else None
    document = flame_of(*sides, per_request=not total) if found is None else slow_document(sides[0], found)
    views = _views(document, rank or [])
    if json:
        print_document(msgspec.json.encode(msgspec.structs.replace(document, views=views)).decode() + "\n")
        return
    name = "flame-slow" if slow else f"flame-against-{sides[1].run_id}" if diff is not None else "flame"
    for form in formats:
        file = output or sides[0].layout.path / f"{name}{_ENDINGS[form]}"
        _write(_text(form, sides[0], document, views), file)
        if open_ and form == "html":
            webbrowser.open(file.absolute().as_uri())
    if not formats:
        _print(sides[0], document, views if rank else _at_a_glance(document), selection, rows, found)


def _run(name: str | None, out: Path) -> Run:
    from mmload.store.read import find_run, list_runs  # noqa: PLC0415

    if name is not None:
        return find_run(name, out)
    found = next((run for run in list_runs(out) if any(run.layout.stacks.glob("*.folded"))), None)
    if found is None:
        raise FolderError(f"no run in {out} has stacks", "make one: mmload run, or name one that lies elsewhere")
    return found


def _slow(run: Run, diff: str | None, formats: Sequence[Format]) -> SlowRequests:
    from mmload.analyse.slow import slow_requests  # noqa: PLC0415

    if diff is not None:
        raise UsageError("--slow and --diff exclude each other", "leave one of them out")
    if unfit := [form for form in formats if form in {"speedscope", "folded"}]:
        raise UsageError(f"--slow has no {unfit[0]} file", "give --html or --svg")
    found = slow_requests(run)
    if found is None:
        raise FolderError(
            f"{run.run_id} does not say what slow requests waited for",
            "that takes stacks with their times, and two dozen requests meanwhile: mmload run --stamped-duration 10s",
        )
    return found


def _selection(phases: Sequence[str], function: str | None) -> Selection:
    from mmload.analyse.flame_rows import Selection  # noqa: PLC0415

    for name in phases:
        if name not in PHASES:
            raise UsageError(f"--phase {name}: there is no such phase", nearest(name, list(PHASES)))
    try:
        return Selection(tuple(phases), None if function is None else re.compile(function))
    except re.error as error:
        raise UsageError(f"--function {function!r} is no regular expression: {error}") from error


def _views(document: FlameDocument, ranks: Sequence[str]) -> list[FlameView]:
    """Those that were asked for, by any of their names; else all."""
    names = {name: view for view in document.views for name in (view.id, view.label, view.label.removeprefix("TP"))}
    for name in ranks:
        if name not in names:
            raise UsageError(
                f"--rank {name}: there is no such process", nearest(name, [v.label for v in document.views])
            )
    return list({names[name].id: names[name] for name in ranks}.values()) if ranks else document.views


def _write(text: str, file: Path) -> None:
    from mmload.show.terminal import open_console, print_document  # noqa: PLC0415

    if str(file) == "-":
        print_document(text)
        return
    write_text(file, text)
    open_console().print(f"{file}  {len(text.encode()) / 1000:,.0f} kB", soft_wrap=True, markup=False)


def _text(form: Format, run: Run, document: FlameDocument, views: Sequence[FlameView]) -> str:
    import msgspec  # noqa: PLC0415

    shown = {view.id for view in views}
    stacks = {name: found for name, found in run.stacks.items() if name in shown or _is_rank_of(name, shown)}
    match form:
        case "html":
            from mmload.show.flame_page import flame_page  # noqa: PLC0415

            return flame_page(msgspec.structs.replace(document, views=list(views)))
        case "svg":
            from mmload.show.flame_svg import flames_svg  # noqa: PLC0415

            return flames_svg(views, document)
        case "speedscope":
            from mmload.show.speedscope import speedscope  # noqa: PLC0415

            return speedscope(run.run_id, stacks, run.manifest.profile.rate_hz)
        case "folded":
            lines = (f"{name};{stack} {count}\n" for name, found in stacks.items() for stack, count in found.items())
            return "".join(lines)


def _is_rank_of(process: str, shown: Collection[str]) -> bool:
    from mmload.analyse.flame_document import ALL_RANKS  # noqa: PLC0415

    return ALL_RANKS in shown and process.startswith("scheduler_")


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
    from mmload.analyse.flame_document import ALL_RANKS  # noqa: PLC0415

    has_union = any(view.id == ALL_RANKS for view in document.views)
    if document.base is not None and has_union:
        return [view for view in document.views if not view.id.startswith("scheduler_")]
    return [view for view in document.views if view.id != ALL_RANKS]
