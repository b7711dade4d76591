"""`mmload runs`: the run folders that there are."""

from __future__ import annotations

import shutil
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mmload.commands.options import OUT
from mmload.errors import FolderError, UsageError
from mmload.plan.load_words import seconds

if TYPE_CHECKING:
    from collections.abc import Collection

    from mmload.show.tables_runs import RunRow
    from mmload.store.read import Run

app = typer.Typer(help="The run folders: list, show, timeline, remove.", no_args_is_help=True)

_Out = Annotated[Path, typer.Option(help="Where run folders are.")]
_Json = Annotated[bool, typer.Option("--json", help="JSON on standard output, and nothing else there.")]


@app.command("list")
def list_runs(out: _Out = OUT, json: _Json = False) -> None:
    """All runs, the newest first."""
    import msgspec  # noqa: PLC0415

    from mmload.show.tables_runs import render_runs  # noqa: PLC0415
    from mmload.show.terminal import open_console, print_document  # noqa: PLC0415
    from mmload.store.read import damaged_runs  # noqa: PLC0415
    from mmload.store.read import list_runs as stored_runs  # noqa: PLC0415

    for folder in damaged_runs(out):
        print(f"warning: {folder} is damaged: it has no manifest.json", file=sys.stderr)
    rows = [row for run in stored_runs(out) if (row := _row(run)) is not None]
    if json:
        print_document(msgspec.json.encode(rows).decode() + "\n")
        return
    open_console().print(render_runs(rows))


@app.command("show")
def show_run(
    run: Annotated[str, typer.Argument(help="A run-id or a path.")], out: _Out = OUT, json: _Json = False
) -> None:
    """The summary of one run, made again from its records."""
    import msgspec  # noqa: PLC0415

    from mmload.analyse.summary import summarise  # noqa: PLC0415
    from mmload.analyse.timeline import timeline  # noqa: PLC0415
    from mmload.show.tables_runs import render_run_show  # noqa: PLC0415
    from mmload.show.terminal import open_console, print_document  # noqa: PLC0415
    from mmload.store.read import find_run  # noqa: PLC0415

    stored = find_run(run, out)
    summary = summarise(stored)
    if json:
        print_document(msgspec.json.format(msgspec.json.encode(summary), indent=2).decode() + "\n")
        return
    open_console().print(render_run_show(stored.manifest, summary, stored.verdict, timeline(stored)))


@app.command("timeline")
def show_timeline(
    run: Annotated[str, typer.Argument(help="A run-id or a path.")],
    out: _Out = OUT,
    bin_length: Annotated[
        str | None,
        typer.Option("--bin", metavar="LENGTH", help="Length of a bin; default 1s, longer for long runs."),
    ] = None,
    json: _Json = False,
    csv: Annotated[bool, typer.Option("--csv", help="A row for each bin on standard output.")] = False,
) -> None:
    """Load, latency, CPU, memory and the server's queue of one run on one time axis."""
    from mmload.analyse.timeline import timeline  # noqa: PLC0415
    from mmload.show.terminal import open_console, print_document  # noqa: PLC0415
    from mmload.show.terminal_timeline import render_timeline  # noqa: PLC0415
    from mmload.show.timeline_export import timeline_csv, timeline_json  # noqa: PLC0415
    from mmload.store.read import find_run  # noqa: PLC0415

    if json and csv:
        raise UsageError("--json and --csv exclude each other", "leave one of them out")
    found = timeline(find_run(run, out), None if bin_length is None else seconds(bin_length, "--bin", shortest_s=0.01))
    if found is None:
        raise FolderError(f"{run} has no time axis: it ended before anything was sent")
    if json or csv:
        print_document(timeline_json(found) if json else timeline_csv(found))
        return
    open_console().print(render_timeline(found))


@app.command("remove")
def remove_runs(
    runs: Annotated[list[str], typer.Argument(help="Run-ids or paths; a campaign is removed with all its runs.")],
    out: _Out = OUT,
) -> None:
    """Remove run folders for good, damaged ones too."""
    folders = [folder.absolute() for name in runs for folder in _removable(name, out)]  # all of them or none
    words = {folder: _left_incomplete(folder, folders) for folder in folders}
    for folder, word in words.items():
        try:
            shutil.rmtree(folder)
        except OSError as error:
            raise FolderError(f"cannot remove {folder}: {error.strerror}") from error
        print(f"removed {folder.name}{word}")


def _removable(name: str, out: Path) -> list[Path]:
    """The folder of a run, or those of a campaign and of its runs; nobody writes them."""
    from mmload.store.campaigns import find_campaign, is_campaign  # noqa: PLC0415
    from mmload.store.lock import is_being_written  # noqa: PLC0415

    if not is_campaign(name, out):
        return [_run_folder(name, out)]
    stored = find_campaign(name, out)
    if is_being_written(stored.layout.lock):
        raise UsageError(f"the runs of {name} are being made at this moment", "end it first")
    try:
        made = [run_id for slot in stored.campaign.slots for run_id in slot.run_ids]
    except FolderError as error:
        print(f"warning: its runs are left: {error}", file=sys.stderr)
        return [stored.layout.path]
    made += [run.run_id for run in stored.members()]
    folders = [_run_folder(run_id, stored.out) for run_id in dict.fromkeys(made) if (stored.out / run_id).is_dir()]
    return [*folders, stored.layout.path]


def _left_incomplete(folder: Path, removed: Collection[Path]) -> str:
    """What is said where a run counts in a campaign that is not removed with it."""
    from mmload.store.campaigns import StoredCampaign, campaign_layout, campaign_of  # noqa: PLC0415
    from mmload.store.read import Run  # noqa: PLC0415

    name = campaign_of(Run(folder))
    if name is None:
        return ""
    stored = StoredCampaign(campaign_layout(name, folder.parent).path)
    try:
        counts = any(slot.run_id == folder.name for slot in stored.campaign.slots)
    except FolderError:  # its campaign is gone, or damaged: there is none to be incomplete
        return ""
    return f", which leaves {name} incomplete" if counts and stored.layout.path not in removed else ""


def _run_folder(name: str, out: Path) -> Path:
    """The folder of a run that nobody writes. What has no run-id for a name and no manifest is no run."""
    from mmload.store.layout import RunLayout, is_run_id  # noqa: PLC0415
    from mmload.store.lock import is_being_written  # noqa: PLC0415
    from mmload.store.read import find_run  # noqa: PLC0415

    folder = next((path for path in (out / name, Path(name)) if is_run_id(path.name) and path.is_dir()), None)
    if folder is None:
        folder = find_run(name, out).layout.path
    if is_being_written(RunLayout(folder).plan):
        raise UsageError(f"{folder.name} is still being written", "end it first")
    return folder


def _row(run: Run) -> RunRow | None:
    """A line of the table. A folder too damaged to have a manifest is named on standard error instead."""
    from mmload.show.tables_runs import RunRow  # noqa: PLC0415

    try:
        summary = run.summary if run.layout.summary.is_file() else None
        return RunRow.of(run.manifest, summary, run.verdict, time.time_ns())
    except FolderError as error:
        print(f"warning: {error}", file=sys.stderr)
        return None
