"""A load as people write it, on the command line and in gate files, turned into plain values. Each error names the
option or key and what it takes."""

from __future__ import annotations

import re

from mmload.errors import UsageError
from mmload.model.plan import ArrivalProcess, OpenLoop

_DURATION = re.compile(r"^(\d+(?:\.\d+)?)(ms|s|m|h|d)?$")
_UNIT_S = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, None: 1.0}
_LONGEST_S = 14 * 86400.0


def seconds(text: str, option: str, *, shortest_s: float = 0.0, longest_s: float = _LONGEST_S) -> float:
    """A duration such as `40s`, `1.5m`, `24h` or `40` (seconds)."""
    match = _DURATION.match(text.strip())
    if match is None:
        raise UsageError(f"{option} {text!r} is not a duration", "write it as 40s, 90, 2m or 24h")
    value = float(match[1]) * _UNIT_S[match[2]]
    if not shortest_s <= value <= longest_s:
        raise UsageError(f"{option} {text} is out of range", f"it takes {shortest_s:g}s to {longest_s / 86400:g}d")
    return value


def in_range(value: float, option: str, low: float, high: float, unit: str = "") -> float:
    """`value` if low <= value <= high."""
    if not low <= value <= high:
        raise UsageError(f"{option} {value:.10g}{unit} is out of range", f"it takes {low:g} to {high:.10g}{unit}")
    return value


def open_loop(text: str, process: ArrivalProcess, cv: float | None, option: str = "--rate") -> OpenLoop:
    """`100`, `20..200` (a ramp over the window) or `50,100,200` (equal steps) -> the load with its mean rate."""
    if ".." in text:
        first, last = (_rate(part, option) for part in text.split("..", 1))
        return OpenLoop(rate_rps=(first + last) / 2, ramp_rps=(first, last), arrival=process, cv=cv)
    steps = tuple(_rate(part, option) for part in text.split(","))
    if len(steps) == 1:
        return OpenLoop(rate_rps=steps[0], arrival=process, cv=cv)
    return OpenLoop(rate_rps=sum(steps) / len(steps), steps_rps=steps, arrival=process, cv=cv)


def _rate(text: str, option: str) -> float:
    try:
        return in_range(float(text), option, 0.01, 100_000, " req/s")
    except ValueError as error:
        raise UsageError(f"{option} {text!r} is not a number", "write it as 100, 20..200 or 50,100,200") from error


def arrival_process(text: str, option: str = "--arrival") -> tuple[ArrivalProcess, float | None]:
    """`poisson`, `constant` or `gamma:CV` -> the process and its coefficient of variation (gamma only)."""
    if text == "poisson":
        return "poisson", None
    if text == "constant":
        return "constant", None
    name, _, cv = text.partition(":")
    if name == "gamma":
        try:
            return "gamma", in_range(float(cv), f"{option} gamma:CV with CV", 0.01, 100)
        except ValueError as error:
            raise UsageError(f"{option} {text!r} lacks its CV", "write it as gamma:2") from error
    raise UsageError(f"{option} {text!r} is not known", "it takes poisson, constant or gamma:CV")
