"""`mmload flame`: what the CPU of a run's processes went to, as a tree of functions; and how two runs differ in it."""

from __future__ import annotations

import webbrowser
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mmload.commands.documents import write_text
from mmload.commands.flame_options import ROWS, FileOptions, ShownOptions
from mmload.commands.option_groups import grouped
from mmload.commands.options import OUT
from mmload.errors import FolderError, UsageError
from mmload.plan.config_hints import nearest
from mmload.plan.load_words import in_range

if TYPE_CHECKING:
    from collections.abc import Sequence

    from mmload.analyse.flame_select import Selection
    from mmload.analyse.slow import SlowRequests
    from mmload.commands.flame_choice import Side
    from mmload.commands.flame_files import Format
    from mmload.model.flame import FlameDocument, FlameView
    from mmload.store.read import Run

_OF_SAMPLES = ("speedscope", "folded")  # formats that hold the stacks as they were taken


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
    from mmload.commands.flame_files import file_name, file_text  # noqa: PLC0415

    in_range(ROWS if shown.rows is None else shown.rows, "--rows", 1, 10_000)
    formats, selection = files.formats(), shown.selection()
    _refuse_ignored(shown, files, formats, diff=diff, slow=slow)
    sides = [side_of(run, out), *([side_of(diff, out)] if diff is not None else [])]
    found = _slow(sides[0]) if slow else None
    document = _selected(_document(sides, found, per_request=not shown.total), shown, selection)
    if files.json:
        _print_json(document)
        return
    for form in formats:
        file = files.output or sides[0].folder / file_name(form, sides, shown.part(), slow=slow)
        _write(file_text(form, sides, document), file)
        if files.open_ and form == "html":
            webbrowser.open(file.absolute().as_uri())
    if not formats:
        _print(sides[0].runs[0], document, shown, found)


def _refuse_ignored(
    shown: ShownOptions, files: FileOptions, formats: Sequence[Format], *, diff: str | None, slow: bool
) -> None:
    """Raise UsageError for what would have no effect."""
    if slow and diff is not None:
        raise UsageError("--slow and --diff exclude each other", "leave one of them out")
    if slow and shown.total:
        raise UsageError("--slow and --total exclude each other", "a wait is per request: leave one of them out")
    if (formats or files.json) and shown.rows is not None:
        raise UsageError("--rows is for the terminal", "a file holds all rows: leave it out")
    ignored = {"--slow": slow, "--total": shown.total, "--phase": shown.phase, "--function": shown.function}
    for form in (form for form in formats if form in _OF_SAMPLES):
        for option in (option for option, given in ignored.items() if given):
            raise UsageError(
                f"{option} has no {form} file: that holds samples as they were taken", "give --html or --svg"
            )
        if form == "speedscope" and diff is not None:
            raise UsageError("--diff has no speedscope file: speedscope knows of one side", "give --html or --folded")


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


def _selected(document: FlameDocument, shown: ShownOptions, selection: Selection) -> FlameDocument:
    """With the views and what of them was asked for. Raises UsageError where that is nothing."""
    import msgspec  # noqa: PLC0415

    from mmload.analyse.flame_select import selected  # noqa: PLC0415

    views = selected(document, _views(document, shown.rank or []), selection)
    named = shown.named()
    if not selection.is_all and not any(view.samples or view.value_ms or view.base_value_ms for view in views):
        raise UsageError(f"{' '.join(named)}: there is no such stack", "without it, all that there is is shown")
    notes = [f"only {' '.join(named)}"] if named else []
    return msgspec.structs.replace(document, views=views, notes=[*notes, *document.notes])


def _views(document: FlameDocument, ranks: Sequence[str]) -> list[FlameView]:
    """Those that were asked for, by any of their names; else all."""
    names = {name: view for view in document.views for name in (view.id, view.label, view.label.removeprefix("TP"))}
    for name in ranks:
        if name not in names:
            raise UsageError(
                f"--rank {name}: there is no such process", nearest(name, [v.label for v in document.views])
            )
    return list({names[name].id: names[name] for name in ranks}.values()) if ranks else document.views


def _print_json(document: FlameDocument) -> None:
    import msgspec  # noqa: PLC0415

    from mmload.show.terminal import print_document  # noqa: PLC0415

    print_document(msgspec.json.encode(document).decode() + "\n")


def _write(text: str, file: Path) -> None:
    from mmload.show.terminal import open_console, print_document  # noqa: PLC0415

    if str(file) == "-":
        print_document(text)
        return
    write_text(file, text)
    open_console().print(f"{file}  {len(text.encode()) / 1000:,.0f} kB", soft_wrap=True, markup=False)


def _print(run: Run, document: FlameDocument, shown: ShownOptions, slow: SlowRequests | None) -> None:
    import msgspec  # noqa: PLC0415

    from mmload.show.flame_terminal import render_flame  # noqa: PLC0415
    from mmload.show.terminal import open_console  # noqa: PLC0415
    from mmload.show.terminal_slow import render_slow  # noqa: PLC0415

    console, manifest = open_console(), run.manifest
    if slow is not None and shown.function is None:
        console.print(render_slow(_part_of(slow, document, shown)))
        console.print()
        said = (*slow.said, *slow.notes)
        document = msgspec.structs.replace(document, notes=[note for note in document.notes if note not in said])
    samples = sum(view.samples for view in document.views if view.id in run.stacks)
    server = f"{manifest.engine} TP {manifest.tp}" if manifest.tp else ""
    about = (server, manifest.workload if manifest.kind == "run" else "", f"{samples:,} samples" if samples else "")
    views = document.views if shown.rank else _at_a_glance(document)
    console.print(render_flame(document, views, shown.rows or ROWS, [text for text in about if text]))


def _part_of(slow: SlowRequests, document: FlameDocument, shown: ShownOptions) -> SlowRequests:
    """Of the threads and phases that are looked at."""
    import msgspec  # noqa: PLC0415

    ids = {view.id for view in document.views}
    threads = {name: thread for name, thread in slow.threads.items() if name in ids}
    if shown.phase:
        threads = {
            name: msgspec.structs.replace(
                thread, phases={phase: wall for phase, wall in thread.phases.items() if phase in (shown.phase or [])}
            )
            for name, thread in threads.items()
        }
    return msgspec.structs.replace(slow, threads=threads)


def _at_a_glance(document: FlameDocument) -> list[FlameView]:
    """Each process; of a difference the ranks as one, where there are several."""
    from mmload.analyse.flame_document import ALL_RANKS, is_rank  # noqa: PLC0415

    has_union = any(view.id == ALL_RANKS for view in document.views)
    if document.base is not None and has_union:
        return [view for view in document.views if not is_rank(view.id)]
    return [view for view in document.views if view.id != ALL_RANKS]
