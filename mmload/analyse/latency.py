"""Latencies of single requests and their exact percentiles. A request that is not ok took infinitely long."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from mmload.model.result import Quantiles
from mmload.store.requests import ABSENT, RequestTable

Values = NDArray[np.float64]
Times = NDArray[np.int64]


def response_ms(measured: RequestTable) -> Values:
    """Due -> done of each request, in their order; infinite where not ok."""
    return _where_ok(measured, measured.due_ns, measured.done_ns)


def service_ms(measured: RequestTable) -> Values:
    """Sent -> done of each request, in their order; infinite where not ok."""
    return _where_ok(measured, measured.sent_ns, measured.done_ns)


def ttft_ms(measured: RequestTable) -> Values:
    """Due -> first token of each request, in their order; infinite where not ok. Empty when nothing was streamed."""
    if (measured.first_token_ns == ABSENT).all():
        return np.empty(0)
    return _where_ok(measured, measured.due_ns, measured.first_token_ns)


def itl_ms(measured: RequestTable) -> Values:
    """The gaps between the tokens of correct answers, request by request."""
    gaps_ms = np.empty(int((measured.token_count[measured.is_ok] - 1).clip(0).sum()))
    filled = 0
    for part in measured.parts():
        within = _gaps_within(part)
        found = np.diff(part.tokens)[within] / 1e6
        gaps_ms[filled : filled + len(found)] = found
        filled += len(found)
    return gaps_ms


def itl_by_time_ms(measured: RequestTable) -> Values:
    """The same gaps by the time at which they ended: a stall of the server lengthens one gap of every request in
    flight, and these are then neighbours."""
    ends_ns = [part.tokens[1:][_gaps_within(part)] for part in measured.parts()]
    return itl_ms(measured)[np.argsort(np.concatenate([np.empty(0, np.int64), *ends_ns]), kind="stable")]


def tpot_ms(measured: RequestTable) -> Values:
    """(Done - first token) / (tokens - 1) of each correct answer of two tokens and more, in their order; tokens as in
    RequestTable.answer_tokens."""
    tokens = measured.answer_tokens
    counted = measured.is_ok & (tokens > 1) & (measured.first_token_ns != ABSENT)
    spans_ms = _since(measured.first_token_ns[counted], measured.done_ns[counted])
    return np.asarray(spans_ms / (tokens[counted] - 1), np.float64)


def percentile(ordered: Values, p: float) -> float | None:
    """The ceil(p n)-th of n sorted values (nearest rank: always a value that occurred); None without values."""
    if not len(ordered):
        return None
    return float(ordered[nearest_rank(p, len(ordered)) - 1])


def nearest_rank(p: float, n: int) -> int:
    """ceil(p n), at least 1, with p as the decimal fraction it was written as: 0.07 of 100 is 7, not 8."""
    return max(1, math.ceil(Fraction(str(p)) * n))


def quantiles(values: Values) -> Quantiles:
    """Exact percentiles of values in any order, which are sorted in place: they may be many. What is infinite is None:
    no time was long enough."""
    values.sort()
    ordered = values

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


def _where_ok(measured: RequestTable, start_ns: Times, end_ns: Times) -> Values:
    return np.where(measured.is_ok, _since(start_ns, end_ns), math.inf)


def _since(start_ns: Times, end_ns: Times) -> Values:
    known = (start_ns != ABSENT) & (end_ns != ABSENT)
    return np.where(known, (end_ns - start_ns) / 1e6, math.inf)


def _gaps_within(part: RequestTable) -> NDArray[np.bool_]:
    """Which gaps between neighbouring tokens lie inside a correct answer."""
    owner = np.repeat(np.arange(len(part)), part.token_count)
    return np.asarray((owner[1:] == owner[:-1]) & part.is_ok[owner[1:]], np.bool_)
