"""`mmload run`: one variant, one workload, one run folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mmload.commands import options
from mmload.commands import shared_options as shared
from mmload.commands.carry_out import carry_out
from mmload.commands.gate import judge_new_run
from mmload.commands.option_groups import grouped
from mmload.commands.options import OUT, whole
from mmload.commands.plan_options import (
    EXCLUDED,
    LOAD,
    EngineArgs,
    LoadOptions,
    ProfileOptions,
    ServerOptions,
    plan_of_options,
)
from mmload.commands.run_load import meeting_of_options
from mmload.errors import EXIT_OK, EXIT_RUN_INVALID, UsageError
from mmload.plan.load_words import in_range

if TYPE_CHECKING:
    from mmload.model.plan import Plan
    from mmload.show.terminal_sheet import Drawn
    from mmload.store.read import Run

# What an option leaves no room for: given together, one of them would be ignored without a word.
_EXCLUDED = {"url": ("engine", "tp", "port", "engine_args"), **EXCLUDED}


@grouped
def run(  # noqa: PLR0913, PLR0917 (a command line has as many options as its contract names)
    context: typer.Context,
    load: LoadOptions,
    server: ServerOptions,
    stacks: ProfileOptions,
    engine_args: EngineArgs = None,
    variant: Annotated[
        str | None, typer.Option(help="Patch variant; default stock, or what the server at --url announces.")
    ] = None,
    expect_workers: Annotated[
        int,
        typer.Option(help="Processes that join by mmload worker; --workers is then 0.", rich_help_panel=LOAD),
    ] = 0,
    master_bind: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Where these join.", rich_help_panel=LOAD)
    ] = "*:5557",
    web: Annotated[bool, typer.Option("--web", help="Open Locust's own web page.", rich_help_panel=LOAD)] = False,
    url: Annotated[
        str | None, typer.Option(help="Attach to a running server; none is started.", rich_help_panel=shared.SERVER)
    ] = None,
    port: Annotated[
        int | None, typer.Option(help="Port to start on; default a free one.", rich_help_panel=shared.SERVER)
    ] = None,
    header: shared.Headers = None,
    token_env: shared.TokenEnv = shared.TOKEN_ENV,
    ca: shared.Ca = None,
    insecure: shared.Insecure = False,
    pid: Annotated[
        list[int] | None,
        typer.Option(help="Process to sample (repeatable); default by title.", rich_help_panel=shared.SERVER),
    ] = None,
    agent: shared.Agent = None,
    agent_token_env: shared.AgentTokenEnv = shared.AGENT_TOKEN_ENV,
    agent_ca: shared.AgentCa = None,
    gate: Annotated[
        str | None,
        typer.Option(
            help="Judge at the end by this gate (name or file); its exit code is used.", rich_help_panel=shared.RESULT
        ),
    ] = None,
    plan: Annotated[
        Path | None, typer.Option(help="Repeat the run of a plan.json; only --out, --json and --url add to it.")
    ] = None,
    out: shared.Out = OUT,
    json: shared.Json = False,
) -> None:
    """Send one load at one server, sample and profile its processes, and keep everything in one run folder.

    Without --url the embedded stand-in server is started, loaded and ended.
    """
    options.refuse_contradictions(context, _EXCLUDED)
    from mmload.plan.access import check_access  # noqa: PLC0415

    if plan is not None:
        options.refuse_beside(context, "plan", allowed=("out", "json", "url", "plan"))
        chosen = _repeat(plan, url)
    else:
        in_range(expect_workers, "--expect-workers", 0, 64)
        chosen = plan_of_options(
            load,
            server,
            stacks,
            joining=expect_workers,
            stamped=True,
            variant=_known_variant(variant),
            engine=None if url else server.engine,
            url=url,
            access=shared.access(header, token_env, ca, insecure=insecure),
            port=whole(port, "--port", 1, 65535),
            engine_args=tuple(engine_args or ()),
            pids=tuple(pid or ()),
            agent=options.agent_plan(agent, agent_token_env, agent_ca, url),
            meeting=meeting_of_options(expect_workers, master_bind, web=web),
            gate=_known_gate(gate),
        )
    check_access(chosen.url, chosen.access)  # before the URL is shown
    raise typer.Exit(_measure(chosen, out, as_json=json))


def _measure(plan: Plan, out: Path, *, as_json: bool) -> int:
    """Run, show how it ended (also early), and say the exit code: the gate's if one was asked for, else whether the
    figures can be trusted."""
    from mmload.session.run import run as run_session  # noqa: PLC0415
    from mmload.show.terminal import open_console  # noqa: PLC0415

    console = open_console(stderr=as_json)
    stored = carry_out(run_session, plan, out, console, _title(plan), _ending)
    if plan.gate is not None:
        console.print()
        return judge_new_run(stored, plan.gate, out, console)
    return EXIT_OK if stored.summary.validity == "valid" else EXIT_RUN_INVALID


def _ending(stored: Run) -> Drawn:
    from mmload.analyse.timeline import timeline  # noqa: PLC0415
    from mmload.judge.validity import standing_manifest  # noqa: PLC0415
    from mmload.show.terminal_end import render_end  # noqa: PLC0415

    return render_end(stored.summary, standing_manifest(stored), timeline(stored))


def _title(plan: Plan) -> str:
    from mmload.plan.load_text import load_text  # noqa: PLC0415

    server = plan.url or f"{plan.engine} TP {plan.tp}"
    on = f"{plan.variant} on {server}" if plan.variant else server
    return f"{on}, {plan.workload_name}, {load_text(plan.load)}"


def _repeat(file: Path, url: str | None) -> Plan:
    """The plan of an earlier run; with --url it is sent to that server instead."""
    import msgspec  # noqa: PLC0415

    from mmload.model.plan import Plan  # noqa: PLC0415
    from mmload.store.read import read_document  # noqa: PLC0415

    if not file.is_file():
        raise UsageError(f"no plan file {file}", "give the plan.json of a run folder")
    plan = read_document(file, Plan)
    return msgspec.structs.replace(plan, url=url, engine=None) if url else plan


def _known_variant(name: str | None) -> str | None:
    from mmload.plan.variants import load_variant  # noqa: PLC0415

    return None if name is None else load_variant(name).name


def _known_gate(name: str | None) -> str | None:
    """A wrong gate is found out before the run, not after it."""
    from mmload.judge.definition import load_gate  # noqa: PLC0415

    if name is not None:
        load_gate(name)
    return name
