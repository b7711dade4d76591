"""The options that say what a run does, and the plan that they make: `mmload run` and `mmload compare` share them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mmload.commands import options
from mmload.commands import shared_options as shared
from mmload.commands.option_groups import Group
from mmload.commands.options import whole
from mmload.commands.run_load import load_of_options, workers_of_options, workload_of_options
from mmload.plan.load_words import in_range, seconds

if TYPE_CHECKING:
    from mmload.model.plan import Plan

LOAD = "Load"

# What an option leaves no room for: given together, one of them would be ignored without a word.
EXCLUDED = {
    "items": ("workload",),
    "concurrency": ("arrival",),
    "trace": ("arrival", "duration", "requests"),
    "requests": ("duration",),
}

EngineArgs = Annotated[list[str] | None, typer.Argument(metavar="[-- ENGINE ARGS...]", show_default=False)]


class LoadOptions(Group, frozen=True):
    rate: Annotated[
        str | None,
        typer.Option(
            metavar="R",
            help="Open loop: requests per second offered; FROM..TO for a ramp, A,B,C for steps.",
            rich_help_panel=LOAD,
        ),
    ] = None
    trace: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Arrivals replayed from JSONL or CSV: t_s or timestamp (seconds), timestamp_ms; item.",
            rich_help_panel=LOAD,
        ),
    ] = None
    concurrency: Annotated[int | None, typer.Option(help="Closed loop: requests in flight.", rich_help_panel=LOAD)] = (
        None
    )
    arrival: Annotated[str, typer.Option(help="poisson, constant or gamma:CV, for --rate.", rich_help_panel=LOAD)] = (
        "poisson"
    )
    duration: Annotated[
        str | None,
        typer.Option(
            help="Length of the measured window; default 40s, or the workload's own number of requests.",
            rich_help_panel=LOAD,
        ),
    ] = None
    warmup: Annotated[str, typer.Option(help="Load before the measured window.", rich_help_panel=LOAD)] = "5s"
    requests: Annotated[
        int | None, typer.Option(help="Measured requests, instead of --duration.", rich_help_panel=LOAD)
    ] = None
    workload: Annotated[
        str, typer.Option(help="A workload's name or file: mmload workload list.", rich_help_panel=LOAD)
    ] = "images-small"
    items: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Your own requests, a JSON line each.", rich_help_panel=LOAD)
    ] = None
    seed: Annotated[int, typer.Option(help="Fixes schedule and payloads.", rich_help_panel=LOAD)] = 0
    timeout: Annotated[str, typer.Option(help="For one answer, from sent.", rich_help_panel=LOAD)] = "30s"
    workers: Annotated[
        str | None,
        typer.Option(help="Load-generating processes here: a number or auto; default 1.", rich_help_panel=LOAD),
    ] = None
    extra_body: Annotated[
        str | None, typer.Option(metavar="JSON", help="Fields added to every request's body.", rich_help_panel=LOAD)
    ] = None


class ServerOptions(Group, frozen=True):
    engine: Annotated[
        str, typer.Option(help="What to start: standin, sglang, sglang-cpu[:VERSION].", rich_help_panel=shared.SERVER)
    ] = "standin"
    tp: Annotated[int, typer.Option(help="Tensor-parallel ranks to start.", rich_help_panel=shared.SERVER)] = 2
    model: Annotated[str | None, typer.Option(help="Model path or name.", rich_help_panel=shared.SERVER)] = None


class ProfileOptions(Group, frozen=True):
    profile: Annotated[
        bool,
        typer.Option(
            "--profile/--no-profile", help="Take stacks after the measured window.", rich_help_panel=shared.PROFILE
        ),
    ] = True
    profile_duration: Annotated[str, typer.Option(rich_help_panel=shared.PROFILE)] = "10s"
    stamped_duration: Annotated[
        str | None,
        typer.Option(
            help="Then stacks with their times, for what slow requests waited for; 0 for none. Default of run: half "
            "of --profile-duration; else none.",
            rich_help_panel=shared.PROFILE,
        ),
    ] = None
    profile_mode: shared.ProfileMode = "active"
    profile_rate: shared.ProfileRate = 100


def plan_of_options(
    load: LoadOptions,
    server: ServerOptions,
    profile: ProfileOptions,
    *,
    joining: int = 0,
    stamped: bool = False,
    **more: Any,
) -> Plan:
    """The plan of a run. joining: how many workers come from elsewhere. stamped: whether stacks are taken with their
    times where no option says so. more: fields of the plan that other options decide, variant among them. Raises
    UsageError."""
    import msgspec  # noqa: PLC0415

    from mmload.model.plan import Plan, ProfilePlan  # noqa: PLC0415

    workload_name, content = workload_of_options(load.workload, load.items)
    loop, length_s = load_of_options(load.rate, load.concurrency, load.trace, load.arrival, content.rate_rps)
    requests = load.requests
    if requests is None and load.duration is None and length_s is None:
        requests = content.requests
    profile_s = seconds(profile.profile_duration, "--profile-duration", shortest_s=1.0)
    stamped_s = profile_s / 2 if stamped else 0.0
    if profile.stamped_duration is not None:
        stamped_s = seconds(profile.stamped_duration, "--stamped-duration")
    fields: dict[str, Any] = {
        "workload_name": workload_name,
        "workload": msgspec.to_builtins(content),
        "load": loop,
        "duration_s": length_s or seconds(load.duration or "40s", "--duration", shortest_s=1.0),
        "warmup_s": seconds(load.warmup, "--warmup"),
        "requests": whole(requests, "--requests", 1, 1_000_000_000),
        "seed": int(in_range(load.seed, "--seed", 0, 2**63 - 1)),
        "timeout_s": seconds(load.timeout, "--timeout", shortest_s=0.1),
        "workers": workers_of_options(load.workers, loop, least=0 if joining else 1) + joining,
        "extra_body": options.json_object(load.extra_body, "--extra-body"),
        "engine": server.engine,
        "tp": int(in_range(server.tp, "--tp", 1, 64)),
        "model": server.model,
        "profile": ProfilePlan(
            enabled=profile.profile,
            duration_s=profile_s,
            stamped_s=stamped_s,
            rate_hz=shared.profile_rate(profile.profile_rate),
            mode=options.profile_mode(profile.profile_mode),
        ),
    }
    return Plan(**(fields | more))
