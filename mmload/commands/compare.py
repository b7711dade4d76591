"""`mmload compare`: variants side by side, from a campaign of runs made for it or from runs that there are."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mmload.commands import options
from mmload.commands import shared_options as shared
from mmload.commands.documents import keep, write_text
from mmload.commands.option_groups import grouped
from mmload.commands.options import OUT
from mmload.commands.plan_options import EXCLUDED, LoadOptions, ProfileOptions, ServerOptions, plan_of_options
from mmload.errors import EXIT_OK, EXIT_RUN_INVALID, ServerError, UsageError
from mmload.plan.load_words import in_range

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import Console

    from mmload.model.campaign import Campaign
    from mmload.model.comparison import Comparison
    from mmload.model.plan import Plan
    from mmload.store.campaigns import StoredCampaign
    from mmload.store.read import Run

_PANEL = "Comparison"
_OF_STORED = ("runs", "baseline", "force", "markdown", "out", "json")  # what makes sense without making runs


@grouped
def compare(  # noqa: PLR0913, PLR0917 (a command line has as many options as its contract names)
    context: typer.Context,
    load: LoadOptions,
    server: ServerOptions,
    stacks: ProfileOptions,
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RUN...] [-- ENGINE ARGS...]",
            help="Run-ids, campaigns or paths to compare; with --variants what the engine is given.",
            show_default=False,
        ),
    ] = None,
    variants: Annotated[
        str | None,
        typer.Option(metavar="A,B,..", help="Make runs of these, in turn, and compare.", rich_help_panel=_PANEL),
    ] = None,
    rounds: Annotated[int, typer.Option(help="Runs of each variant.", rich_help_panel=_PANEL)] = 4,
    baseline: Annotated[
        list[str] | None,
        typer.Option(
            metavar="VARIANT|RUN", help="What the others are compared with; default the first.", rich_help_panel=_PANEL
        ),
    ] = None,
    continue_: Annotated[
        str | None,
        typer.Option(
            "--continue",
            metavar="CAMPAIGN",
            help="Make the runs that an interrupted comparison lacks.",
            rich_help_panel=_PANEL,
        ),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Compare runs of different conditions too.", rich_help_panel=_PANEL)
    ] = False,
    markdown: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write Markdown tables.", rich_help_panel=shared.RESULT)
    ] = None,
    out: shared.Out = OUT,
    json: Annotated[
        bool,
        typer.Option(
            "--json", help="comparison.json on standard output, and nothing else there.", rich_help_panel=shared.RESULT
        ),
    ] = False,
) -> None:
    """Compare variants: CPU, response times, QPS, answers; a difference is named where it is more than chance.

    With --variants servers are started in turn, in the order A B, B A, .., under the same load. Without it, runs that
    there are are compared, all those of one variant together.
    """
    from mmload.show.terminal import open_console  # noqa: PLC0415

    console = open_console(stderr=json)
    if variants is not None:
        options.refuse_contradictions(context, {**EXCLUDED, "variants": ("continue_",)})
        if runs and not runs[0].startswith("-"):
            raise UsageError("RUN and --variants exclude each other", "engine arguments follow a --, options first")
        names = _names(variants)
        plan = plan_of_options(load, server, stacks, variant=None, engine_args=tuple(runs or ()))
        campaign = _campaign(names, plan, int(in_range(rounds, "--rounds", 1, 1000)), force=force)
        compared = _made(campaign, baseline or [], out, console)
    elif continue_ is not None:
        options.refuse_beside(context, "continue_", allowed=("continue_", *_OF_STORED[1:]))
        compared = _made(_left(continue_, out, force=force), baseline or [], out, console)
    else:
        options.refuse_beside(context, "runs", allowed=_OF_STORED)
        compared = _stored(runs or [], baseline or [], out, force=force)
    _show(compared, console, markdown, out, as_json=json)
    raise typer.Exit(_exit_code(compared))


def _campaign(names: list[str], plan: Plan, rounds: int, *, force: bool) -> Campaign:
    from mmload.campaign.order import slots_of  # noqa: PLC0415
    from mmload.model.campaign import MAIN_SCENE, Campaign, Scene  # noqa: PLC0415
    from mmload.store.campaigns import new_campaign_id  # noqa: PLC0415

    scenes = {MAIN_SCENE: Scene(plan=plan, rounds=rounds)}
    return Campaign(
        campaign_id=new_campaign_id("compare"),
        kind="compare",
        variants=names,
        scenes=scenes,
        slots=slots_of(names, scenes),
        force=force,
    )


def _names(text: str) -> list[str]:
    """The sides that `--variants` asks for; a variant that stands there again is another side of it."""
    from mmload.plan.variants import load_variant  # noqa: PLC0415

    variants = [load_variant(part.strip()).name for part in text.split(",")]
    if len(variants) < 2:
        raise UsageError(f"--variants {text} is one variant", "name those to compare, the baseline first: original,shm")
    earlier = [variants[:place].count(variant) for place, variant in enumerate(variants)]
    return [f"{variant}#{times + 1}" if times else variant for variant, times in zip(variants, earlier, strict=True)]


def _left(name: str, out: Path, *, force: bool) -> Campaign:
    """A comparison that did not come to its end."""
    import msgspec  # noqa: PLC0415

    from mmload.store.campaigns import find_campaign  # noqa: PLC0415

    campaign = find_campaign(name, out).campaign
    if campaign.kind != "compare":
        raise UsageError(f"{name} is a campaign of mmload {campaign.kind}", f"go on with mmload {campaign.kind}")
    return msgspec.structs.replace(campaign, force=campaign.force or force)


def _made(campaign: Campaign, baseline: Sequence[str], out: Path, console: Console) -> Comparison:
    from mmload.commands.make_campaign import make_campaign  # noqa: PLC0415
    from mmload.store.campaigns import find_campaign  # noqa: PLC0415

    first = _side_among(baseline, campaign.variants)
    made = make_campaign(campaign, out, console)
    return _of_campaign(find_campaign(made.campaign_id, out), first, force=made.force)


def _stored(names: Sequence[str], baseline: Sequence[str], out: Path, *, force: bool) -> Comparison:
    from mmload.judge.comparison import compare as compare_sides  # noqa: PLC0415
    from mmload.judge.comparison_sides import sides_of_runs  # noqa: PLC0415
    from mmload.store.campaigns import find_campaign, is_campaign  # noqa: PLC0415
    from mmload.store.read import find_run  # noqa: PLC0415

    if not names:
        raise UsageError("nothing to compare", "name runs or a campaign, or make some: mmload compare --variants A,B")
    if len(names) == 1 and is_campaign(names[0], out):
        stored = find_campaign(names[0], out)
        return _of_campaign(stored, _side_among(baseline, stored.campaign.variants), force=force)
    runs = [run for name in names for run in _runs_of(name, out)]
    variants = {run.manifest.variant for run in runs}
    if len(baseline) == 1 and baseline[0] in variants:
        sides, first = sides_of_runs(runs), baseline[0]
    else:
        sides = sides_of_runs(runs, [find_run(name, out) for name in baseline])
        first = next(iter(sides))
    if len(sides) < 2:
        raise UsageError(f"these are all runs of {first}", "say which of them are the baseline with --baseline RUN")
    return compare_sides(sides, first, force=force)


def _runs_of(name: str, out: Path) -> list[Run]:
    from mmload.judge.comparison_sides import sides_of_campaign  # noqa: PLC0415
    from mmload.judge.stored import check_slots  # noqa: PLC0415
    from mmload.store.campaigns import find_campaign, is_campaign  # noqa: PLC0415
    from mmload.store.read import find_run  # noqa: PLC0415

    if not is_campaign(name, out):
        return [find_run(name, out)]
    stored = find_campaign(name, out)
    check_slots(stored.campaign, stored.runs)
    return [run for runs in sides_of_campaign(stored.campaign, stored.runs).values() for run in runs]


def _of_campaign(stored: StoredCampaign, baseline: str, *, force: bool) -> Comparison:
    """The comparison of its runs, kept beside it where that can be written."""
    from mmload.judge.comparison import compare as compare_sides  # noqa: PLC0415
    from mmload.judge.comparison_sides import host_warnings, sides_of_campaign  # noqa: PLC0415
    from mmload.judge.stored import check_slots  # noqa: PLC0415

    campaign = stored.campaign
    check_slots(campaign, stored.runs)
    sides: Mapping[str, Sequence[Run]] = sides_of_campaign(campaign, stored.runs)
    warnings = host_warnings(campaign)
    if campaign.status != "complete":
        missing = sum(slot.run_id is None for slot in campaign.slots)
        warnings.append(f"the campaign is {campaign.status}: {missing} of its {len(campaign.slots)} runs are missing")
    comparison = compare_sides(
        sides, baseline, force=force or campaign.force, campaign=campaign.campaign_id, warnings=warnings
    )
    keep(stored.layout.comparison, comparison, "comparison")
    return comparison


def _side_among(baseline: Sequence[str], sides: Sequence[str]) -> str:
    """The side that a campaign's others are compared with: the first unless told."""
    if len(baseline) > 1 or any(name not in sides for name in baseline):
        raise UsageError(f"--baseline {' '.join(baseline)} is none of the variants", f"there are {', '.join(sides)}")
    return baseline[0] if baseline else sides[0]


def _show(comparison: Comparison, console: Console, markdown: Path | None, out: Path, *, as_json: bool) -> None:
    from mmload.show.markdown_comparison import comparison_to_markdown  # noqa: PLC0415
    from mmload.show.tables_comparison import render_comparison  # noqa: PLC0415
    from mmload.show.terminal import print_document  # noqa: PLC0415
    from mmload.store.append import encode_document  # noqa: PLC0415

    console.print(render_comparison(comparison, _next(comparison, out)))
    if as_json:
        print_document(encode_document(comparison).decode())
    if markdown is not None:
        write_text(markdown, comparison_to_markdown(comparison))


def _next(comparison: Comparison, out: Path) -> list[tuple[str, str]]:
    """What to do, and what for."""
    from mmload.store.campaigns import campaign_layout  # noqa: PLC0415

    others = [side.name for side in comparison.sides if side.runs and side.name != comparison.baseline]
    if comparison.campaign is None or not others:
        return []
    name = comparison.campaign if out == OUT else str(campaign_layout(comparison.campaign, out).path)
    flame = f"mmload flame {name}/{others[-1]} --diff {name}/{comparison.baseline}"
    return [(flame, "where the CPU differs"), (f"mmload report {name}", "one page to pass on")]


def _exit_code(comparison: Comparison) -> int:
    """Not 0 where a side has no run to compare: its server failed in all of them, or none of them can be trusted."""
    empty = [side for side in comparison.sides if not side.runs]
    if any(side.failed for side in empty):
        return ServerError.exit_code
    return EXIT_RUN_INVALID if empty else EXIT_OK
