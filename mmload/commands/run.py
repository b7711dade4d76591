"""`mmload run`: one variant, one workload, one run folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mmload.commands import options
from mmload.commands import shared_options as shared
from mmload.commands.carry_out import carry_out
from mmload.commands.gate import judge_new_run
from mmload.commands.options import OUT, in_range, seconds, whole
from mmload.commands.run_load import load_of_options, meeting_of_options, workers_of_options, workload_of_options
from mmload.errors import EXIT_OK, EXIT_RUN_INVALID, UsageError

if TYPE_CHECKING:
    from mmload.model.plan import Plan

# What an option leaves no room for: given together, one of them would be ignored without a word.
_EXCLUDED = {
    "url": ("engine", "tp", "port", "engine_args"),
    "items": ("workload",),
    "concurrency": ("arrival",),
    "trace": ("arrival", "duration", "requests"),
    "requests": ("duration",),
}

_LOAD, _SERVER, _PROFILE, _RESULT = "Load", shared.SERVER, shared.PROFILE, shared.RESULT


def run(  # noqa: PLR0913, PLR0917 (a command line has as many options as its contract names)
    context: typer.Context,
    engine_args: Annotated[list[str] | None, typer.Argument(metavar="[-- ENGINE ARGS...]", show_default=False)] = None,
    variant: Annotated[
        str | None, typer.Option(help="Patch variant; default stock, or what the server at --url announces.")
    ] = None,
    rate: Annotated[
        str | None,
        typer.Option(
            metavar="R",
            help="Open loop: requests per second offered; FROM..TO for a ramp, A,B,C for steps.",
            rich_help_panel=_LOAD,
        ),
    ] = None,
    trace: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Arrivals replayed from JSONL or CSV: t_s or timestamp (seconds), timestamp_ms; item.",
            rich_help_panel=_LOAD,
        ),
    ] = None,
    concurrency: Annotated[
        int | None, typer.Option(help="Closed loop: requests in flight.", rich_help_panel=_LOAD)
    ] = None,
    arrival: Annotated[
        str, typer.Option(help="poisson, constant or gamma:CV, for --rate.", rich_help_panel=_LOAD)
    ] = "poisson",
    duration: Annotated[
        str | None,
        typer.Option(
            help="Length of the measured window; default 40s, or the workload's own number of requests.",
            rich_help_panel=_LOAD,
        ),
    ] = None,
    warmup: Annotated[str, typer.Option(help="Load before the measured window.", rich_help_panel=_LOAD)] = "5s",
    requests: Annotated[
        int | None, typer.Option(help="Measured requests, instead of --duration.", rich_help_panel=_LOAD)
    ] = None,
    workload: Annotated[
        str, typer.Option(help="A workload's name or file: mmload workload list.", rich_help_panel=_LOAD)
    ] = "images-small",
    items: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Your own requests, a JSON line each.", rich_help_panel=_LOAD)
    ] = None,
    seed: Annotated[int, typer.Option(help="Fixes schedule and payloads.", rich_help_panel=_LOAD)] = 0,
    timeout: Annotated[str, typer.Option(help="For one answer, from sent.", rich_help_panel=_LOAD)] = "30s",
    workers: Annotated[
        str | None,
        typer.Option(help="Load-generating processes here: a number or auto; default 1.", rich_help_panel=_LOAD),
    ] = None,
    expect_workers: Annotated[
        int,
        typer.Option(help="Processes that join by mmload worker; --workers is then 0.", rich_help_panel=_LOAD),
    ] = 0,
    master_bind: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Where these join.", rich_help_panel=_LOAD)
    ] = "*:5557",
    web: Annotated[bool, typer.Option("--web", help="Open Locust's own web page.", rich_help_panel=_LOAD)] = False,
    url: Annotated[
        str | None, typer.Option(help="Attach to a running server; none is started.", rich_help_panel=_SERVER)
    ] = None,
    engine: Annotated[
        str, typer.Option(help="What to start: standin, sglang, sglang-cpu[:VERSION].", rich_help_panel=_SERVER)
    ] = "standin",
    tp: Annotated[int, typer.Option(help="Tensor-parallel ranks to start.", rich_help_panel=_SERVER)] = 2,
    model: Annotated[str | None, typer.Option(help="Model path or name.", rich_help_panel=_SERVER)] = None,
    port: Annotated[
        int | None, typer.Option(help="Port to start on; default a free one.", rich_help_panel=_SERVER)
    ] = None,
    header: shared.Headers = None,
    token_env: shared.TokenEnv = shared.TOKEN_ENV,
    ca: shared.Ca = None,
    insecure: shared.Insecure = False,
    extra_body: Annotated[
        str | None, typer.Option(metavar="JSON", help="Fields added to every request's body.", rich_help_panel=_LOAD)
    ] = None,
    pid: Annotated[
        list[int] | None,
        typer.Option(help="Process to sample (repeatable); default by title.", rich_help_panel=_SERVER),
    ] = None,
    agent: shared.Agent = None,
    agent_token_env: shared.AgentTokenEnv = shared.AGENT_TOKEN_ENV,
    agent_ca: shared.AgentCa = None,
    profile: Annotated[
        bool,
        typer.Option("--profile/--no-profile", help="Take stacks after the measured window.", rich_help_panel=_PROFILE),
    ] = True,
    profile_duration: Annotated[str, typer.Option(rich_help_panel=_PROFILE)] = "10s",
    profile_mode: shared.ProfileMode = "active",
    profile_rate: shared.ProfileRate = 100,
    gate: Annotated[
        str | None,
        typer.Option(
            help="Judge at the end by this gate (name or file); its exit code is used.", rich_help_panel=_RESULT
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
    import msgspec  # noqa: PLC0415

    options.refuse_contradictions(context, _EXCLUDED)
    from mmload.model.plan import Plan, ProfilePlan  # noqa: PLC0415
    from mmload.plan.access import check_access  # noqa: PLC0415

    if plan is not None:
        options.refuse_beside(context, "plan", allowed=("out", "json", "url", "plan"))
        chosen = _repeat(plan, url)
    else:
        workload_name, content = workload_of_options(workload, items)
        load, length_s = load_of_options(rate, concurrency, trace, arrival, content.rate_rps)
        if requests is None and duration is None and length_s is None:
            requests = content.requests
        in_range(expect_workers, "--expect-workers", 0, 64)
        local_workers = workers_of_options(workers, load, least=0 if expect_workers else 1)
        chosen = Plan(
            variant=_known_variant(variant),
            workload_name=workload_name,
            workload=msgspec.to_builtins(content),
            load=load,
            duration_s=length_s or seconds(duration or "40s", "--duration", shortest_s=1.0),
            warmup_s=seconds(warmup, "--warmup"),
            requests=whole(requests, "--requests", 1, 1_000_000_000),
            seed=int(in_range(seed, "--seed", 0, 2**63 - 1)),
            timeout_s=seconds(timeout, "--timeout", shortest_s=0.1),
            engine=None if url else engine,
            url=url,
            access=shared.access(header, token_env, ca, insecure=insecure),
            extra_body=options.json_object(extra_body, "--extra-body"),
            tp=int(in_range(tp, "--tp", 1, 64)),
            model=model,
            port=whole(port, "--port", 1, 65535),
            engine_args=tuple(engine_args or ()),
            pids=tuple(pid or ()),
            agent=options.agent_plan(agent, agent_token_env, agent_ca, url),
            profile=ProfilePlan(
                enabled=profile,
                duration_s=seconds(profile_duration, "--profile-duration", shortest_s=1.0),
                rate_hz=shared.profile_rate(profile_rate),
                mode=options.profile_mode(profile_mode),
            ),
            workers=local_workers + expect_workers,
            meeting=meeting_of_options(expect_workers, master_bind, web=web),
            gate=_known_gate(gate),
        )
    check_access(chosen.url, chosen.access)  # before the URL is shown
    raise typer.Exit(_measure(chosen, out, as_json=json))


def _measure(plan: Plan, out: Path, *, as_json: bool) -> int:
    """Run, show the summary (also of a run that ended early), and say the exit code: the gate's if one was asked for,
    else whether the figures can be trusted."""
    from mmload.analyse.timeline import timeline  # noqa: PLC0415
    from mmload.session.run import run as run_session  # noqa: PLC0415
    from mmload.show.terminal import open_console  # noqa: PLC0415

    console = open_console(stderr=as_json)
    stored = carry_out(run_session, plan, out, console, _title(plan), over_time=timeline)
    if plan.gate is not None:
        return judge_new_run(stored, plan.gate, out, console)
    return EXIT_OK if stored.summary.validity == "valid" else EXIT_RUN_INVALID


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
