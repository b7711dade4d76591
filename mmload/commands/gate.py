"""`mmload gate`: judge stored runs against acceptance criteria, and make the runs if asked to."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from mmload.commands.options import OUT
from mmload.commands.verdicts import judge_and_keep, report, show
from mmload.errors import UsageError
from mmload.plan.load_words import in_range

if TYPE_CHECKING:
    from rich.console import Console

    from mmload.judge.choice import Choice
    from mmload.judge.definition import Gate
    from mmload.plan.scenes import Overrides
    from mmload.store.read import Run

_MAKE = "With --run"
_RESULT = "Result"
DEFAULT = "release"


def gate(  # noqa: PLR0913, PLR0917 (a command line has as many options as its contract names)
    runs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[RUN...]",
            help="Run-ids, campaigns or paths; default the newest. With --run: -- ENGINE ARGS.",
            show_default=False,
        ),
    ] = None,
    gate: Annotated[
        str | None, typer.Option(help="A gate's name or file; default release, or a campaign's own.")
    ] = None,
    candidate: Annotated[str | None, typer.Option(metavar="VARIANT", help="The variant to judge.")] = None,
    baseline: Annotated[
        list[str] | None,
        typer.Option(metavar="VARIANT=RUN", help="A run to compare with (repeatable; several are its rounds)."),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", help="Judge runs that can't be compared all the same; the verdict says so.")
    ] = False,
    run: Annotated[
        bool,
        typer.Option("--run", help="Make the runs that the gate's file asks for, then judge.", rich_help_panel=_MAKE),
    ] = False,
    engine: Annotated[str | None, typer.Option(help="Instead of the gate's own.", rich_help_panel=_MAKE)] = None,
    model: Annotated[str | None, typer.Option(help="Model path or name.", rich_help_panel=_MAKE)] = None,
    tp: Annotated[
        int | None, typer.Option(help="Ranks, where a scene has no number of its own.", rich_help_panel=_MAKE)
    ] = None,
    url: Annotated[str | None, typer.Option(hidden=True)] = None,
    junit: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write JUnit XML.", rich_help_panel=_RESULT)
    ] = None,
    markdown: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write a Markdown table.", rich_help_panel=_RESULT)
    ] = None,
    out: Annotated[Path, typer.Option(help="Where run folders are.", rich_help_panel=_RESULT)] = OUT,
    json: Annotated[
        bool,
        typer.Option(
            "--json", help="verdict.json on standard output, and nothing else there.", rich_help_panel=_RESULT
        ),
    ] = False,
) -> None:
    """Judge runs: every criterion with its figure, its interval and its verdict.

    Exit code 0 passed, 1 failed, 3 not enough evidence, 4 the runs can't be trusted.
    """
    from mmload.show.terminal import open_console  # noqa: PLC0415

    console = open_console(stderr=json)
    if url is not None:
        raise UsageError(
            "--url is one server: it can't run one variant after another",
            "run each variant with mmload run --url URL, then judge: mmload gate RUN ..",
        )
    if run:
        if baseline:
            raise UsageError("--run makes its own baselines", "leave out --baseline, or --run")
        case = _made(_name(gate), _overrides(engine, model, tp, runs or []), candidate, out, console)
    else:
        _refuse_without_run(engine=engine, model=model, tp=tp)
        case = _stored(_Named(runs or [], gate, candidate, _baselines(baseline or [], out), force=force), out)
    verdict = judge_and_keep(case.gate, case.choice, case.campaign)
    code = show(verdict, console, as_json=json)
    report(verdict, junit, markdown)
    raise typer.Exit(code)


def judge_new_run(run: Run, gate: str, out: Path, console: Console) -> int:
    """Judge a run that has just been made; the gate's exit code."""
    from mmload.judge.choice import choose_runs  # noqa: PLC0415
    from mmload.judge.definition import load_gate  # noqa: PLC0415
    from mmload.store.read import list_runs  # noqa: PLC0415

    definition = load_gate(gate)
    verdict = judge_and_keep(definition, choose_runs([run], definition, also=list_runs(out)))
    code = show(verdict, console, as_json=False)
    report(verdict, None, None)
    return code


class _Case(NamedTuple):
    """What is to be judged. campaign: where its verdict is kept too; None for runs that were made alone, and where it
    is not the campaign's own gate and candidate that is judged."""

    gate: Gate
    choice: Choice
    campaign: Path | None = None


class _Named(NamedTuple):
    """What the command line names."""

    runs: list[str]
    gate: str | None
    candidate: str | None
    baselines: dict[str, list[Run]]
    force: bool


def _made(name: str, overrides: Overrides, candidate: str | None, out: Path, console: Console) -> _Case:
    from mmload.commands.gate_campaign import made_for  # noqa: PLC0415
    from mmload.judge.choice_campaign import choice_of_campaign  # noqa: PLC0415
    from mmload.judge.definition import load_gate  # noqa: PLC0415

    gate = load_gate(name, overrides)
    stored = made_for(gate, candidate, out, console)
    choice = choice_of_campaign(stored.campaign, stored.runs, gate)
    return _Case(gate, choice, stored.layout.verdict)


def _stored(named: _Named, out: Path) -> _Case:
    """Of stored runs: those that were named, or a campaign, or the newest, with all that were made together with it."""
    from mmload.judge.choice import choose_runs  # noqa: PLC0415
    from mmload.judge.choice_campaign import campaign_of_newest  # noqa: PLC0415
    from mmload.judge.definition import load_gate  # noqa: PLC0415
    from mmload.store.campaigns import is_campaign  # noqa: PLC0415
    from mmload.store.read import find_run, list_runs  # noqa: PLC0415

    campaigns = [name for name in named.runs if is_campaign(name, out)]
    if campaigns:
        if len(named.runs) > 1 or named.baselines:
            raise UsageError(f"{campaigns[0]} is a campaign: it is judged by itself", "name it alone, or runs alone")
        return _of_campaign(campaigns[0], named, out)
    gate, stored = load_gate(_name(named.gate)), list_runs(out)
    if not named.runs and not named.baselines:
        campaign = campaign_of_newest(stored, gate, named.candidate)
        if campaign is not None and is_campaign(campaign, out):
            return _of_campaign(campaign, named, out)
    runs = [find_run(name, out) for name in named.runs]
    choice = choose_runs(runs, gate, named.candidate, named.baselines, also=stored, force=named.force)
    return _Case(gate, choice)


def _of_campaign(name: str, named: _Named, out: Path) -> _Case:
    """Judged by the gate that was asked for, else by what its own said when it was made."""
    from mmload.judge.choice_campaign import choice_of_campaign  # noqa: PLC0415
    from mmload.judge.definition import gate_of, load_gate  # noqa: PLC0415
    from mmload.store.campaigns import find_campaign  # noqa: PLC0415

    stored = find_campaign(name, out)
    own = stored.campaign.gate
    if named.gate is None and own is not None:
        where, scenes = f"the gate in {stored.layout.campaign}", stored.campaign.scenes
        gate = gate_of(own, stored.campaign.gate_name or "", where, made=scenes)
    else:
        gate = load_gate(_name(named.gate))
    choice = choice_of_campaign(stored.campaign, stored.runs, gate, named.candidate, force=named.force)
    is_its_own = own in {None, gate.text} and named.candidate in {None, stored.campaign.candidate}
    return _Case(gate, choice, stored.layout.verdict if is_its_own else None)


def _name(gate: str | None) -> str:
    return DEFAULT if gate is None else gate


def _overrides(engine: str | None, model: str | None, tp: int | None, engine_args: list[str]) -> Overrides:
    from mmload.plan.scenes import Overrides  # noqa: PLC0415

    if engine_args and not engine_args[0].startswith("-"):
        raise UsageError(
            f"--run makes its own runs: {engine_args[0]} would be ignored",
            "leave it out; what follows -- is for the engine",
        )
    ranks = None if tp is None else int(in_range(tp, "--tp", 1, 64))
    return Overrides(engine=engine, model=model, tp=ranks, engine_args=tuple(engine_args) or None)


def _refuse_without_run(**options: object) -> None:
    for name, value in options.items():
        if value is not None:
            raise UsageError(f"--{name} is for --run", "stored runs were made as they were made")


def _baselines(options: list[str], out: Path) -> dict[str, list[Run]]:
    from mmload.store.read import find_run  # noqa: PLC0415

    baselines: dict[str, list[Run]] = {}
    for text in options:
        variant, equals, run = text.partition("=")
        if not equals or not run:
            raise UsageError(f"--baseline {text!r} lacks its run", "write it as --baseline original=RUN")
        baselines.setdefault(variant, []).append(find_run(run, out))
    return baselines
