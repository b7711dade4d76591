"""`mmload report`: one page of one run or of several, to look at and to pass on."""

from __future__ import annotations

import gc
import sys
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mmload.commands import shared_options as shared
from mmload.commands.documents import write_text
from mmload.commands.options import OUT
from mmload.errors import FolderError

if TYPE_CHECKING:
    from mmload.judge.report import Report


def report(
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RUN...]", help="Run-ids, paths or a campaign; default the newest run.", show_default=False
        ),
    ] = None,
    baseline: Annotated[
        list[str] | None,
        typer.Option(metavar="VARIANT|RUN", help="What the others are compared with; default the first."),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Compare runs of different conditions too.")] = False,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Where to; - is standard output. Default: beside what it is about."),
    ] = None,
    open_: Annotated[bool, typer.Option("--open", help="Open the page in a browser.")] = False,
    out: shared.Out = OUT,
    json: Annotated[bool, typer.Option("--json", help="What was written, as JSON on standard output.")] = False,
) -> None:
    """One self-contained HTML page: verdict, load, latency, CPU, memory, flame graphs; for several runs what differs.

    It opens from a file and asks for nothing from any network.
    """
    from mmload.commands.report_choice import asked_of  # noqa: PLC0415
    from mmload.judge.report import report_of  # noqa: PLC0415
    from mmload.show.report_page import report_page  # noqa: PLC0415
    from mmload.show.terminal import print_document  # noqa: PLC0415

    with _without_collector():
        asked, default = asked_of(runs or [], baseline or [], out, force=force)
        found = report_of(asked)
        page = report_page(found)
    _warn(found)
    if output is not None and str(output) == "-":
        print_document(page)
        return
    file = output or default
    _write(file, page)
    _tell(file, found, len(page.encode()), as_json=json)
    if open_:
        webbrowser.open(file.absolute().as_uri())


@contextmanager
def _without_collector() -> Iterator[None]:
    """Ten thousands of stacks hold no cycles, and to look for some takes as long as to make the page of them."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def _warn(found: Report) -> None:
    """What could not be read stands in the page, and here for a script."""
    for run in found.runs:
        for trouble in run.troubles:
            print(f"warning: {run.run_id}: {trouble}", file=sys.stderr)
    for run_id, trouble in found.unreadable.items():
        print(f"warning: {run_id}: {trouble}", file=sys.stderr)
    for trouble in (*([found.verdict_trouble] if found.verdict_trouble else []), *found.flame_troubles):
        print(f"warning: {trouble}", file=sys.stderr)
    if found.verdict and found.verdict.stale:
        print(f"warning: the verdict is stale: {found.verdict.stale[0]}", file=sys.stderr)


def _write(file: Path, page: str) -> None:
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        hint = "name another place with --output FILE"
        raise FolderError(f"cannot create {file.parent}: {error.strerror}", hint) from error
    write_text(file, page)


def _tell(file: Path, found: Report, size_bytes: int, *, as_json: bool) -> None:
    import msgspec  # noqa: PLC0415

    from mmload.show.terminal import open_console, print_document  # noqa: PLC0415

    if as_json:
        written = {"path": str(file), "bytes": size_bytes, "runs": [run.run_id for run in found.runs]}
        print_document(msgspec.json.encode(written).decode() + "\n")
        return
    open_console().print(f"{file}  {size_bytes / 1000:,.0f} kB", soft_wrap=True, markup=False)
