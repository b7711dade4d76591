"""`mmload runs`: the run folders that there are."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from mmload.commands.options import OUT
from mmload.errors import FolderError, UsageError
from mmload.plan.load_words import in_range, seconds

if TYPE_CHECKING:
    from collections.abc import Collection

    from mmload.judge.kept import KeptVerdict
    from mmload.store.read import Run


class _ListUnlessSaid(TyperGroup):
    """`mmload runs --sort p99` is `mmload runs list --sort p99`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        says_which = args and (args[0] == "--help" or not args[0].startswith("-"))
        return super().parse_args(ctx, args if says_which else ["list", *args])


app = typer.Typer(cls=_ListUnlessSaid, help="The run folders: list (also without a word), show, timeline, remove.")

_ROWS = 20  # of a table for people

_Out = Annotated[Path, typer.Option(help="Where run folders are.")]
_Json = Annotated[bool, typer.Option("--json", help="JSON on standard output, and nothing else there.")]
_Run = Annotated[str, typer.Argument(help="A run-id or a path.")]


@app.command("list")
def list_runs(  # noqa: PLR0913, PLR0917 (a command line has as many options as its contract names)
    sort: Annotated[
        str, typer.Option(help="started (newest first), variant, p99, qps, work (highest first) or status.")
    ] = "started",
    reverse: Annotated[bool, typer.Option("--reverse", "-r", help="The other way round.")] = False,
    variant: Annotated[list[str] | None, typer.Option(help="Only of this variant (repeatable).")] = None,
    workload: Annotated[list[str] | None, typer.Option(help="Only of this workload (repeatable).")] = None,
    engine: Annotated[list[str] | None, typer.Option(help="Only on this engine (repeatable).")] = None,
    status: Annotated[
        list[str] | None,
        typer.Option(help="Only complete, partial, failed, running, damaged or invalid (repeatable)."),
    ] = None,
    tp: Annotated[list[int] | None, typer.Option(help="Only of so many ranks (repeatable).")] = None,
    since: Annotated[
        str | None, typer.Option(metavar="2h|DATE", help="Only those that began since then; dates are in UTC.")
    ] = None,
    number: Annotated[
        int | None, typer.Option("--number", "-n", help="Rows; 0 for all. Default 20, all with --json.")
    ] = None,
    out: _Out = OUT,
    json: _Json = False,
) -> None:
    """The runs in a table, the newest first; work is that of the busiest rank, in percent of a core."""
    from datetime import UTC, datetime  # noqa: PLC0415

    import msgspec  # noqa: PLC0415

    from mmload.commands.runs_list import SORTS, STATUSES, Wanted, known_words, list_of, since_of  # noqa: PLC0415
    from mmload.show.tables_runs import render_runs  # noqa: PLC0415
    from mmload.show.terminal import open_console, print_document  # noqa: PLC0415

    known_words([sort], SORTS, "--sort")
    most = (0 if json else _ROWS) if number is None else int(in_range(number, "-n", 0, 1_000_000))
    wanted = Wanted(
        variants=variant or (),
        workloads=workload or (),
        engines=engine or (),
        statuses=known_words(status or (), (*STATUSES, "invalid"), "--status"),
        tps=tp or (),
        since="" if since is None else since_of(since, datetime.now(UTC)),
    )
    found = list_of(out, wanted, sort, reverse=reverse, most=most)
    if json:
        print_document(msgspec.json.encode(found.rows).decode() + "\n")
        return
    open_console().print(render_runs(found))


@app.command("show")
def show_run(
    run: Annotated[str, typer.Argument(help="A run-id or a path; also of a campaign.")],
    brief: Annotated[bool, typer.Option("--brief", help="In 40 lines, as mmload run ends.")] = False,
    out: _Out = OUT,
    json: _Json = False,
) -> None:
    """The summary of one run, made again from its records; of a campaign, what it is and its runs."""
    import msgspec  # noqa: PLC0415

    from mmload.analyse.summary import summarise  # noqa: PLC0415
    from mmload.analyse.timeline import timeline  # noqa: PLC0415
    from mmload.judge.validity import standing_manifest  # noqa: PLC0415
    from mmload.show.tables_run import render_run_show, render_stale  # noqa: PLC0415
    from mmload.show.terminal import open_console, print_document  # noqa: PLC0415
    from mmload.show.terminal_end import render_end  # noqa: PLC0415
    from mmload.store.campaigns import is_campaign  # noqa: PLC0415
    from mmload.store.read import find_run  # noqa: PLC0415

    if is_campaign(run, out):
        _show_campaign(run, out, as_json=json)
        return
    stored = find_run(run, out)
    manifest = standing_manifest(stored)
    summary = msgspec.structs.replace(summarise(stored), validity=manifest.validity)
    if json:
        print_document(msgspec.json.format(msgspec.json.encode(summary), indent=2).decode() + "\n")
        return
    kept, console = _kept(stored), open_console()
    verdict = kept.verdict_with_cautions if kept and not kept.stale else None
    render = render_end if brief else render_run_show
    console.print(render(summary, manifest, timeline(stored), verdict))
    if kept and kept.stale:
        console.print()
        console.print(render_stale(kept))


def _kept(run: Run) -> KeptVerdict | None:
    """One that can't be read says nothing of the figures."""
    from mmload.judge.kept import kept_verdict  # noqa: PLC0415

    try:
        return kept_verdict(run.layout.verdict, run.layout.path.parent, [run])
    except FolderError as error:
        print(f"warning: its verdict: {error}; mmload gate {run.run_id} judges again", file=sys.stderr)
        return None


def _show_campaign(name: str, out: Path, *, as_json: bool) -> None:
    from mmload.commands.runs_list import list_of_runs  # noqa: PLC0415
    from mmload.show.tables_runs import render_campaign  # noqa: PLC0415
    from mmload.show.terminal import open_console, print_document  # noqa: PLC0415
    from mmload.store.append import encode_document  # noqa: PLC0415
    from mmload.store.campaigns import find_campaign  # noqa: PLC0415
    from mmload.store.read import Run  # noqa: PLC0415

    stored = find_campaign(name, out)
    if as_json:
        print_document(encode_document(stored.campaign).decode())
        return
    made = [Run(stored.out / run_id) for slot in stored.campaign.slots for run_id in slot.run_ids]
    found_by = stored.campaign.campaign_id if stored.out == OUT else str(stored.layout.path)
    open_console().print(render_campaign(stored.campaign, list_of_runs(made), found_by))


@app.command("timeline")
def show_timeline(
    run: _Run,
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
    from mmload.store.campaigns import is_campaign  # noqa: PLC0415
    from mmload.store.read import find_run  # noqa: PLC0415

    if json and csv:
        raise UsageError("--json and --csv exclude each other", "leave one of them out")
    if is_campaign(run, out):
        raise UsageError(f"{run} is a campaign", f"name one of its runs: mmload runs show {run}")
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
