"""`mmload profile`: where the CPU of running processes goes, without a load."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mmload.commands import options
from mmload.commands.options import OUT, in_range, seconds
from mmload.errors import EXIT_OK, EXIT_RUN_INVALID, UsageError

if TYPE_CHECKING:
    from mmload.model.plan import Plan
    from mmload.store.read import Run

_SERVER, _RESULT = "Server", "Result"


def profile(  # noqa: PLR0913, PLR0917 (a command line has as many options as its contract names)
    pid: Annotated[
        list[int] | None,
        typer.Option(help="Process to profile (repeatable); with --url, these instead of all of the server's."),
    ] = None,
    url: Annotated[
        str | None, typer.Option(help="A running server: its ranks and its tokenizer, found by its port.")
    ] = None,
    duration: Annotated[str, typer.Option(help="From when the profilers sample.")] = "10s",
    profile_mode: Annotated[str, typer.Option(help="active, idle, native or gil.")] = "active",
    profile_rate: Annotated[int, typer.Option(help="Samples per second.")] = 100,
    header: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME:VALUE", help="Sent with every request (repeatable).", rich_help_panel=_SERVER),
    ] = None,
    token_env: Annotated[
        str, typer.Option(help="Environment variable that holds the bearer token.", rich_help_panel=_SERVER)
    ] = "MMLOAD_TOKEN",  # noqa: S107 (the name of a variable)
    ca: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Certificates to trust (PEM), for https.", rich_help_panel=_SERVER),
    ] = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Take any certificate, for https.", rich_help_panel=_SERVER)
    ] = False,
    agent: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="The mmload agent of another host: the processes, named or found there.",
            rich_help_panel=_SERVER,
        ),
    ] = None,
    agent_token_env: Annotated[
        str, typer.Option(help="Environment variable that holds the agent's token.", rich_help_panel=_SERVER)
    ] = "MMLOAD_AGENT_TOKEN",  # noqa: S107 (the name of a variable)
    agent_ca: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Certificates to trust (PEM), for an agent's https.", rich_help_panel=_SERVER
        ),
    ] = None,
    out: Annotated[Path, typer.Option(help="Where run folders are made.", rich_help_panel=_RESULT)] = OUT,
    json: Annotated[
        bool,
        typer.Option(
            "--json", help="summary.json on standard output, and nothing else there.", rich_help_panel=_RESULT
        ),
    ] = False,
) -> None:
    """Profile running processes for a while, without sending them anything: a run folder without requests.

    Exit code 4 where the profile of a process is poor, 5 where no process is found or none is left, 6 where the kernel
    does not permit it.
    """
    from mmload.model.plan import Access, NoLoad, Plan, ProfilePlan  # noqa: PLC0415
    from mmload.plan.access import check_access  # noqa: PLC0415

    if not pid and url is None:
        raise UsageError("nothing to profile was named", "name processes with --pid, or a server with --url")
    length_s = seconds(duration, "--duration", shortest_s=1.0)
    plan = Plan(
        variant=None,
        workload_name="none",
        workload={},
        load=NoLoad(),
        duration_s=length_s,
        warmup_s=0.0,
        identity_items=0,
        engine=None,
        url=url,
        access=Access(
            headers=options.headers(header or []),
            token_variable=token_env,
            ca_file=None if ca is None else str(ca.resolve()),
            verify=not insecure,
        ),
        pids=tuple(dict.fromkeys(pid or ())),
        agent=options.agent_plan(agent, agent_token_env, agent_ca, url or agent),
        profile=ProfilePlan(
            duration_s=length_s,
            rate_hz=int(in_range(profile_rate, "--profile-rate", 1, 1000)),
            mode=options.profile_mode(profile_mode),
        ),
    )
    check_access(plan.url, plan.access)  # before the URL is shown
    raise typer.Exit(_profile(plan, out, as_json=json))


def _profile(plan: Plan, out: Path, *, as_json: bool) -> int:
    """Profile, and show what was taken, also of one that ended early."""
    from mmload.session.profile_alone import profile_alone  # noqa: PLC0415
    from mmload.show.live import LiveDisplay  # noqa: PLC0415
    from mmload.show.terminal import open_console, print_document  # noqa: PLC0415
    from mmload.show.terminal_summary import render_summary  # noqa: PLC0415

    console = open_console(stderr=as_json)
    sealed: list[Run] = []
    title = f"profile of {plan.url or ', '.join(f'pid {pid}' for pid in plan.pids)}, no load"
    try:
        with LiveDisplay(console, title) as display:
            profile_alone(plan, out, display.update, sealed.append)
    finally:
        for stored in sealed:
            console.print(render_summary(stored.summary, stored.manifest))
            if as_json:
                print_document(stored.layout.summary.read_text(encoding="utf-8"))
    return EXIT_OK if sealed[0].summary.validity == "valid" else EXIT_RUN_INVALID
