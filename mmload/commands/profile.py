"""`mmload profile`: where the CPU of running processes goes, without a load."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mmload.commands import options
from mmload.commands import shared_options as shared
from mmload.commands.carry_out import carry_out
from mmload.commands.options import OUT
from mmload.errors import EXIT_OK, EXIT_RUN_INVALID, UsageError
from mmload.plan.load_words import seconds

if TYPE_CHECKING:
    from mmload.model.plan import Plan
    from mmload.show.terminal_sheet import Drawn
    from mmload.store.read import Run


def profile(  # noqa: PLR0913, PLR0917 (a command line has as many options as its contract names)
    pid: Annotated[
        list[int] | None,
        typer.Option(help="Process to profile (repeatable); with --url, these instead of all of the server's."),
    ] = None,
    url: Annotated[
        str | None, typer.Option(help="A running server: its ranks and its tokenizer, found by its port.")
    ] = None,
    duration: Annotated[str, typer.Option(help="From when the profilers sample.")] = "10s",
    profile_mode: shared.ProfileMode = "active",
    profile_rate: shared.ProfileRate = 100,
    header: shared.Headers = None,
    token_env: shared.TokenEnv = shared.TOKEN_ENV,
    ca: shared.Ca = None,
    insecure: shared.Insecure = False,
    agent: shared.Agent = None,
    agent_token_env: shared.AgentTokenEnv = shared.AGENT_TOKEN_ENV,
    agent_ca: shared.AgentCa = None,
    out: shared.Out = OUT,
    json: shared.Json = False,
) -> None:
    """Profile running processes for a while, without sending them anything: a run folder without requests.

    Exit code 4 where the profile of a process is poor, 5 where no process is found or none is left, 6 where the kernel
    does not permit it.
    """
    from mmload.model.plan import NoLoad, Plan, ProfilePlan  # noqa: PLC0415
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
        access=shared.access(header, token_env, ca, insecure=insecure),
        pids=tuple(dict.fromkeys(pid or ())),
        agent=options.agent_plan(agent, agent_token_env, agent_ca, url or agent),
        profile=ProfilePlan(
            duration_s=length_s,
            rate_hz=shared.profile_rate(profile_rate),
            mode=options.profile_mode(profile_mode),
        ),
    )
    check_access(plan.url, plan.access)  # before the URL is shown
    raise typer.Exit(_profile(plan, out, as_json=json))


def _profile(plan: Plan, out: Path, *, as_json: bool) -> int:
    """Profile, and show what was taken, also of one that ended early."""
    from mmload.session.profile_alone import profile_alone  # noqa: PLC0415
    from mmload.show.terminal import open_console  # noqa: PLC0415

    title = f"profile of {plan.url or ', '.join(f'pid {pid}' for pid in plan.pids)}, no load"
    stored = carry_out(profile_alone, plan, out, open_console(stderr=as_json), title, _ending)
    return EXIT_OK if stored.summary.validity == "valid" else EXIT_RUN_INVALID


def _ending(stored: Run) -> Drawn:
    from mmload.show.terminal_summary import render_summary  # noqa: PLC0415

    return render_summary(stored.summary, stored.manifest)
