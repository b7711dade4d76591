"""A load in words: for people, and as the command line that plans it again."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

from mmload.model.plan import ClosedLoop, NoLoad, OpenLoop, Plan
from mmload.plan import config

_DEFAULT_TIMEOUT_S = 30.0


def load_text(load: OpenLoop | ClosedLoop | NoLoad) -> str:
    """`100 req/s`, `20..200 req/s`, `50,100 req/s`, `trace day.csv, 31.2 req/s`, `32 in flight`, `no load`."""
    if isinstance(load, NoLoad):
        return "no load"
    if isinstance(load, ClosedLoop):
        return f"{load.concurrency} in flight"
    if load.trace is not None:
        return f"trace {Path(load.trace).name}, {load.rate_rps:.4g} req/s"
    return f"{rate_text(load)} req/s"


def run_command(plan: Plan) -> str:
    """The command line that sends what a plan sends, to the same server. Headers are left out: secrets."""
    return shlex.join(["mmload", "run", *variant_options(plan), *what_is_sent(plan), *engine_arguments(plan)])


def variant_options(plan: Plan) -> list[str]:
    return ["--variant", plan.variant] if plan.variant else []


def what_is_sent(plan: Plan) -> list[str]:
    """The options of the load, and of the server that meets it."""
    words = [*_workload_options(plan), *load_options(plan.load), *_length_options(plan)]
    words += ["--warmup", seconds_text(plan.warmup_s), "--seed", str(plan.seed)]
    words += ["--timeout", seconds_text(plan.timeout_s)] if plan.timeout_s != _DEFAULT_TIMEOUT_S else []
    words += _worker_options(plan)
    words += ["--extra-body", json.dumps(plan.extra_body)] if plan.extra_body else []
    words += ["--url", plan.url] if plan.url else ["--engine", plan.engine or "standin", "--tp", str(plan.tp)]
    return [*words, *(["--model", plan.model] if plan.model else [])]


def engine_arguments(plan: Plan) -> list[str]:
    """The end of a command line; a server that is attached to was given its own."""
    return ["--", *plan.engine_args] if plan.engine_args and not plan.url else []


def load_options(load: OpenLoop | ClosedLoop | NoLoad) -> list[str]:
    """The words of a command line that plan this load."""
    if isinstance(load, NoLoad):
        return []
    if isinstance(load, ClosedLoop):
        return ["--concurrency", str(load.concurrency)]
    if load.trace is not None:
        return ["--trace", load.trace]
    process = load.arrival if load.cv is None else f"{load.arrival}:{_exact(load.cv)}"
    return ["--rate", rate_text(load), "--arrival", process]


def rate_text(load: OpenLoop) -> str:
    """As --rate takes it: a number, FROM..TO for a ramp, or steps after commas."""
    if load.ramp_rps is not None:
        return "..".join(map(_exact, load.ramp_rps))
    return ",".join(map(_exact, load.steps_rps or (load.rate_rps,)))


def _workload_options(plan: Plan) -> list[str]:
    """The user's own items are no workload that has a name."""
    dataset = plan.workload.get("dataset")
    if dataset is not None and plan.workload_name not in config.names("workloads"):
        return ["--items", str(dataset)]
    return ["--workload", plan.workload_name]


def _length_options(plan: Plan) -> list[str]:
    """A number of requests, or a trace, leaves no room for a length."""
    if plan.requests is not None:
        return ["--requests", str(plan.requests)]
    is_traced = isinstance(plan.load, OpenLoop) and plan.load.trace is not None
    return [] if is_traced else ["--duration", seconds_text(plan.duration_s)]


def _worker_options(plan: Plan) -> list[str]:
    joining = plan.meeting.expected if plan.meeting else 0
    local = plan.workers - joining
    words = ["--workers", str(local)] if local != (0 if joining else 1) else []
    if plan.meeting is None:
        return words
    if joining:
        words += ["--expect-workers", str(joining), "--master-bind", f"{plan.meeting.host}:{plan.meeting.port}"]
    return [*words, "--web"] if plan.meeting.web else words


def seconds_text(length_s: float) -> str:
    """As an option takes it: `2.5s`."""
    return f"{_exact(length_s)}s"


def _exact(number: float) -> str:
    """Every digit that anybody wrote, so that the plan comes out the same."""
    return f"{number:.15g}"
