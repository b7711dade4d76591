"""Whether a plan makes sense, whoever wrote it: the command line checks its options, a plan.json may hold anything."""

from __future__ import annotations

import socket
from collections.abc import Iterator

from mmload.errors import UsageError
from mmload.model.plan import ClosedLoop, NoLoad, OpenLoop, Plan
from mmload.plan.access import check_access
from mmload.plan.variants import PLANTED, load_variant

_LONGEST_S = 14 * 86400.0


def check_plan(plan: Plan) -> None:
    """Raise UsageError naming the first key that is out of range, or the variant that is unknown."""
    if isinstance(plan.load, NoLoad):
        raise UsageError("this is the plan of a profile, which sends nothing", "take another one: mmload profile")
    check_bounds(plan)
    check_access(plan.url, plan.access)
    if plan.variant is not None and plan.variant not in PLANTED:
        load_variant(plan.variant)
    if plan.meeting is not None and not 0 <= plan.meeting.expected <= plan.workers:
        raise UsageError(
            f"{plan.meeting.expected} of {plan.workers} workers can't join", "workers counts all of them, local or not"
        )
    if isinstance(plan.load, ClosedLoop) and plan.workers > plan.load.concurrency:
        raise UsageError(
            f"{plan.workers} workers can't share {plan.load.concurrency} requests in flight", "use fewer workers"
        )


def check_bounds(plan: Plan) -> None:
    """Raise UsageError naming the first number that is out of range."""
    for key, value, low, high in _bounds(plan):
        if not low <= value <= high:
            raise UsageError(f"the plan's {key} {value:g} is out of range", f"it takes {low:g} to {high:g}")


def check_meeting(plan: Plan) -> None:
    """Raise UsageError when workers can't come to where the plan says. To be asked before anything is prepared."""
    meeting = plan.meeting
    if meeting is None:
        return
    try:
        with socket.create_server(("" if meeting.host == "*" else meeting.host, meeting.port)):
            pass
    except OSError as error:
        raise UsageError(
            f"workers can't join at {meeting.host}:{meeting.port}: {error.strerror}",
            "give another address of this host with --master-bind HOST:PORT",
        ) from error


def _bounds(plan: Plan) -> Iterator[tuple[str, float, float, float]]:
    load = plan.load
    if isinstance(load, OpenLoop):
        slowest_rps = 0.01 if load.trace is None else 0.0  # what a recorded day had is never too little
        for rate in (load.rate_rps, *load.steps_rps, *(load.ramp_rps or ())):
            yield "rate_rps", rate, slowest_rps, 100_000
    elif isinstance(load, ClosedLoop):
        yield "concurrency", load.concurrency, 1, 20_000
    yield "duration_s", plan.duration_s, 1.0, _LONGEST_S
    yield "warmup_s", plan.warmup_s, 0.0, _LONGEST_S
    yield "timeout_s", plan.timeout_s, 0.1, _LONGEST_S
    yield "requests", plan.requests or 1, 1, 1_000_000_000
    yield "seed", plan.seed, 0, 2**63 - 1
    yield "tp", plan.tp, 1, 64
    yield "port", plan.port or 1, 1, 65535
    yield "workers", plan.workers, 1, 64
    yield "identity_items", plan.identity_items, 0, 1000
    yield "profile.duration_s", plan.profile.duration_s, 1.0, _LONGEST_S
    yield "profile.stamped_s", plan.profile.stamped_s, 0.0, _LONGEST_S
    yield "profile.rate_hz", plan.profile.rate_hz, 1, 1000
