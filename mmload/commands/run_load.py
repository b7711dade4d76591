"""What `mmload run` sends, and with how many workers, out of its options."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from mmload.commands import options
from mmload.errors import UsageError
from mmload.plan.load_words import arrival_process, in_range, open_loop

if TYPE_CHECKING:
    from mmload.model.plan import ClosedLoop, Meeting, OpenLoop
    from mmload.plan.workload import Workload


def workload_of_options(name: str, items: Path | None) -> tuple[str, Workload]:
    """Name and content; the user's own items have no rate of their own and are sent one a second unless told."""
    from mmload.plan.workload import load_workload, workload_of_items  # noqa: PLC0415

    return load_workload(name) if items is None else workload_of_items(items, rate_rps=1.0)


def load_of_options(
    rate: str | None, concurrency: int | None, trace: Path | None, arrival: str, meant_rps: float
) -> tuple[OpenLoop | ClosedLoop, float | None]:
    """The load, and the length of its window where the load itself decides it (a trace)."""
    from mmload.model.plan import ClosedLoop  # noqa: PLC0415

    if sum(option is not None for option in (rate, concurrency, trace)) > 1:
        raise UsageError(
            "--rate, --concurrency and --trace exclude each other",
            "--rate and --trace are open loops, --concurrency a closed one",
        )
    if trace is not None:
        return _traced(trace)
    if concurrency is not None:
        return ClosedLoop(concurrency=int(in_range(concurrency, "--concurrency", 1, 20_000))), None
    process, cv = arrival_process(arrival)
    return open_loop(f"{meant_rps:g}" if rate is None else rate, process, cv), None


def _traced(file: Path) -> tuple[OpenLoop, float]:
    """A trace as a load: it lasts to its last request and one mean gap more."""
    from mmload.model.plan import OpenLoop  # noqa: PLC0415
    from mmload.plan.arrivals_trace import file_sha256, read_trace  # noqa: PLC0415

    trace = read_trace(file)
    for notice in trace.notices:
        typer.echo(f"{file}: {notice}", err=True)
    offsets = trace.due_offset_ns
    length_s = max(1.0, float(offsets[-1]) / 1e9 * len(offsets) / max(1, len(offsets) - 1))
    digest = file_sha256(file)
    load = OpenLoop(rate_rps=len(offsets) / length_s, arrival="trace", trace=str(file.resolve()), trace_sha256=digest)
    return load, length_s


def meeting_of_options(expected: int, bind: str, *, web: bool) -> Meeting | None:
    """Where workers meet; None where nobody joins and no page is wanted."""
    from mmload.model.plan import Meeting  # noqa: PLC0415

    if expected:
        host, port = options.address(bind, "--master-bind")
        return Meeting(expected=expected, host=host, port=port, web=web)
    return Meeting(web=True) if web else None


def workers_of_options(text: str | None, load: OpenLoop | ClosedLoop, least: int) -> int:
    """`auto`: one for each 1,000 requests per second offered, at most one for every two cores."""
    import os  # noqa: PLC0415

    from mmload.model.plan import OpenLoop  # noqa: PLC0415

    if text is None:
        return least
    if text == "auto":
        wanted = load.rate_rps / 1000 if isinstance(load, OpenLoop) else load.concurrency / 500
        return max(1, min((os.cpu_count() or 2) // 2, math.ceil(wanted)))  # never more than are in flight
    if not (text.isascii() and text.isdigit()):
        raise UsageError(f"--workers {text!r} is not a number", f"it takes {least} to 64, or auto")
    return int(in_range(int(text), "--workers", least, 64))
