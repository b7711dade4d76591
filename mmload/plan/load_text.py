"""A load in words: for people, and as the options that plan it again."""

from __future__ import annotations

from pathlib import Path

from mmload.model.plan import ClosedLoop, OpenLoop


def load_text(load: OpenLoop | ClosedLoop) -> str:
    """`100 req/s`, `20..200 req/s`, `50,100 req/s`, `trace day.csv, 31.2 req/s`, `32 in flight`."""
    if isinstance(load, ClosedLoop):
        return f"{load.concurrency} in flight"
    if load.trace is not None:
        return f"trace {Path(load.trace).name}, {load.rate_rps:.4g} req/s"
    return f"{rate_text(load)} req/s"


def load_options(load: OpenLoop | ClosedLoop) -> list[str]:
    """The words of a command line that plan this load."""
    if isinstance(load, ClosedLoop):
        return ["--concurrency", str(load.concurrency)]
    if load.trace is not None:
        return ["--trace", load.trace]
    process = load.arrival if load.cv is None else f"{load.arrival}:{load.cv:g}"
    return ["--rate", rate_text(load), "--arrival", process]


def rate_text(load: OpenLoop) -> str:
    """As --rate takes it: a number, FROM..TO for a ramp, or steps after commas."""
    if load.ramp_rps is not None:
        return f"{load.ramp_rps[0]:g}..{load.ramp_rps[1]:g}"
    return ",".join(f"{rate:g}" for rate in load.steps_rps or (load.rate_rps,))
