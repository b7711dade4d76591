"""The arrivals of one window: a process at a rate that is flat, ramped or stepped, or a trace."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mmload.errors import ConfigError, UsageError
from mmload.model.plan import OpenLoop
from mmload.model.records import RequestPhase
from mmload.plan import arrivals_processes as processes
from mmload.plan.arrivals_trace import Trace, file_sha256, read_trace

_MAX_CV = 10  # past it nearly all requests fall on a few instants, and gamma draws underflow


def window_arrivals(load: OpenLoop, phase: RequestPhase, duration_s: float, rng: np.random.Generator) -> Trace:
    """Offsets from the window's start; items only where a trace names them.

    The load's ramp, steps or trace is that of the measured window; before it the rate is flat at what it begins with,
    in the profile window at its mean. Raises ConfigError when a trace is not what was planned, UsageError on a bad cv.
    """
    if phase == "measure" and load.trace is not None:
        return planned_trace(load.trace, load.trace_sha256)
    legs = _legs(load, phase, duration_s)
    count = round(processes.expected_requests(legs))
    if count <= 0:
        return Trace(np.empty(0, np.int64), None)
    return Trace(processes.at_rate(_points(load, count, rng), legs), None)


def planned_trace(file: str, sha256: str | None) -> Trace:
    if sha256 not in (None, file_sha256(Path(file))):
        raise ConfigError(f"{file} has changed since the plan was made", "plan the run anew: --trace FILE")
    return read_trace(Path(file))


def _legs(load: OpenLoop, phase: RequestPhase, duration_s: float) -> tuple[processes.Leg, ...]:
    if phase == "measure" and load.steps_rps:
        return processes.steps(load.steps_rps, duration_s / len(load.steps_rps))
    if phase == "measure" and load.ramp_rps is not None:
        return (processes.Leg(duration_s, *load.ramp_rps),)
    begins_rps = (*load.steps_rps, *(load.ramp_rps or ()), load.rate_rps)[0]
    return processes.flat(begins_rps if phase == "warmup" else load.rate_rps, duration_s)


def _points(load: OpenLoop, count: int, rng: np.random.Generator) -> processes.Points:
    if load.arrival == "gamma":
        if load.cv is None or not 0 < load.cv <= _MAX_CV:
            raise UsageError(
                f"gamma arrivals need a coefficient of variation above 0 and up to {_MAX_CV}", "e.g. --arrival gamma:2"
            )
        return processes.gamma(count, load.cv, rng)
    return processes.constant(count) if load.arrival == "constant" else processes.poisson(count, rng)
