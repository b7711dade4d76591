"""Latencies of single requests and their exact percentiles. A request that is not ok took infinitely long."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from fractions import Fraction
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from mmload.model.records import RequestRecord
from mmload.model.result import Quantiles

Values = NDArray[np.float64]


def response_ms(measured: Sequence[RequestRecord]) -> Values:
    """Due -> done of each request, in their order; infinite where not ok."""
    return _array(_since(r.due_ns, r.done_ns) if r.outcome == "ok" else math.inf for r in measured)


def service_ms(measured: Sequence[RequestRecord]) -> Values:
    """Sent -> done of each request, in their order; infinite where not ok."""
    return _array(_since(r.sent_ns, r.done_ns) if r.outcome == "ok" else math.inf for r in measured)


def ttft_ms(measured: Sequence[RequestRecord]) -> Values:
    """Due -> first token of each request, in their order; infinite where not ok. Empty when nothing was streamed."""
    if all(r.first_token_ns is None for r in measured):
        return np.empty(0)
    return _array(_since(r.due_ns, r.first_token_ns) if r.outcome == "ok" else math.inf for r in measured)


def itl_ms(measured: Sequence[RequestRecord]) -> Values:
    """The gaps between the tokens of correct answers, by the time at which they ended: a stall of the server lengthens
    one gap of every request in flight, and these are then neighbours."""
    streams = [r.token_ns for r in measured if r.outcome == "ok" and len(r.token_ns) > 1]
    if not streams:
        return np.empty(0)
    tokens = np.fromiter(chain.from_iterable(streams), np.int64, sum(map(len, streams)))
    gaps_ns = np.diff(tokens)
    within = np.ones(len(gaps_ns), np.bool_)
    within[np.cumsum([len(stream) for stream in streams])[:-1] - 1] = False
    order = np.argsort(tokens[1:][within], kind="stable")
    return gaps_ns[within][order] / 1e6


def tpot_ms(measured: Sequence[RequestRecord]) -> Values:
    """(Done - first token) / (tokens - 1) of each correct answer of two tokens and more, in their order."""
    counted = ((r, r.completion_tokens or len(r.token_ns)) for r in measured if r.outcome == "ok")
    return _array(_since(r.first_token_ns, r.done_ns) / (n - 1) for r, n in counted if n > 1 and r.first_token_ns)


def percentile(ordered: Values, p: float) -> float | None:
    """The ceil(p n)-th of n sorted values (nearest rank: always a value that occurred); None without values."""
    if not len(ordered):
        return None
    return float(ordered[nearest_rank(p, len(ordered)) - 1])


def nearest_rank(p: float, n: int) -> int:
    """ceil(p n), at least 1, with p as the decimal fraction it was written as: 0.07 of 100 is 7, not 8."""
    return max(1, math.ceil(Fraction(str(p)) * n))


def quantiles(values: Values) -> Quantiles:
    """Exact percentiles of values in any order. What is infinite is None: no time was long enough."""
    ordered = np.sort(values)

    def at(p: float) -> float | None:
        return _finite(percentile(ordered, p))

    return Quantiles(
        n=len(ordered),
        mean=_finite(float(ordered.mean())) if len(ordered) else None,
        p50=at(0.50),
        p90=at(0.90),
        p95=at(0.95),
        p99=at(0.99),
        max=at(1.0),
    )


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None


def _since(start_ns: int | None, end_ns: int | None) -> float:
    return math.inf if start_ns is None or end_ns is None else (end_ns - start_ns) / 1e6


def _array(values: Iterable[float]) -> Values:
    return np.fromiter(values, np.float64)
