"""The server's histograms over a stretch of time, each beside what the client measured of the same thing meanwhile.

Of a histogram the mean is exact; of a percentile no more is known than the bucket that it lies in.
"""

from __future__ import annotations

import math

import numpy as np

from mmload.analyse.latency import nearest_rank
from mmload.analyse.server_pages import Values
from mmload.analyse.server_series import Histogram, ServerSeries
from mmload.model.server import Edges, ServerLatency
from mmload.store.requests import ABSENT, RequestTable

_PERCENTILES = (0.50, 0.90, 0.99)
_ORDER = ("e2e", "ttft", "itl", "queue")  # then the stages, by name


def server_latencies(series: ServerSeries, requests: RequestTable) -> dict[str, ServerLatency]:
    """What grew between the first and the last scrape, by name. requests: of all phases; which of them a histogram is
    compared with depends on when they were answered."""

    def place(name: str) -> tuple[int, str]:
        return _ORDER.index(name) if name in _ORDER else len(_ORDER), name

    found = {name: _latency(name, series.histograms[name], series, requests) for name in series.histograms}
    return {name: latency for name in sorted(found, key=place) if (latency := found[name])}


def client_ms(name: str, requests: RequestTable, start_ns: int, end_ns: int) -> Values:
    """What the client measured of what the server calls ttft (from sent, as the server can't know when a request was
    due), e2e or itl, of correct answers, where it was complete after start_ns and by end_ns; milliseconds, empty for
    other names."""
    if name == "itl":
        return np.concatenate([np.empty(0), *(_gaps_ms(part, start_ns, end_ns) for part in requests.parts())])
    if name not in ("e2e", "ttft"):
        return np.empty(0)
    ends_ns = requests.done_ns if name == "e2e" else requests.first_token_ns
    counted = requests.is_ok & (ends_ns > start_ns) & (ends_ns <= end_ns) & (requests.sent_ns != ABSENT)
    return np.asarray((ends_ns - requests.sent_ns)[counted] / 1e6, np.float64)


def _gaps_ms(part: RequestTable, start_ns: int, end_ns: int) -> Values:
    owner = np.repeat(np.arange(len(part)), part.token_count)
    ends_ns = part.tokens[1:]
    counted = (owner[1:] == owner[:-1]) & part.is_ok[owner[1:]] & (ends_ns > start_ns) & (ends_ns <= end_ns)
    return np.asarray(np.diff(part.tokens)[counted] / 1e6, np.float64)


def _latency(name: str, histogram: Histogram, series: ServerSeries, requests: RequestTable) -> ServerLatency | None:
    """None for a histogram that did not grow."""
    counted = round(histogram.count[-1])
    if counted <= 0:
        return None
    ours_ms = client_ms(name, requests, int(series.t_ns[0]), int(series.t_ns[-1]))
    p50, p90, p99 = (_edges_ms(histogram, p) for p in _PERCENTILES)
    return ServerLatency(
        n=counted,
        mean_ms=1e3 * float(histogram.total[-1]) / counted,
        p50_ms=p50,
        p90_ms=p90,
        p99_ms=p99,
        client_ms=float(ours_ms.mean()) if len(ours_ms) else None,
        client_n=len(ours_ms),
    )


def _edges_ms(histogram: Histogram, p: float) -> Edges:
    """The edges of the bucket that holds the ceil(p n)-th of the n values that were counted."""
    edges = sorted(histogram.buckets)
    at_most = np.maximum.accumulate([round(histogram.buckets[edge]) for edge in edges])
    place = int(np.searchsorted(at_most, nearest_rank(p, int(at_most[-1]))))
    low = 1e3 * edges[place - 1] if place else 0.0
    return low, None if math.isinf(edges[place]) else 1e3 * edges[place]
