"""What the server's own figures and the client's say together, in sentences; nothing where the intervals allow chance.

An interval is of block means between scrapes, client and server in the same blocks: what both saw of a slow spell falls
out of their difference.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mmload.analyse.blocks import FEWEST_BLOCKS, MOST_BLOCKS, TWO_SIDED_95, mean_bounds
from mmload.analyse.server_latency import client_ms
from mmload.analyse.server_pages import Values
from mmload.analyse.server_series import ServerSeries
from mmload.store.requests import RequestTable

# What the server can't see of an answer is said from here on: below, network and HTTP are the usual few milliseconds.
_OUTSIDE_SHARE = 0.2
_OUTSIDE_MS = 5.0
_MOST_OF_IT = 0.5
_LONG_GAP_S = 5.0
# Requests that others send: a few are cut in two by the edges of the window.
_FOREIGN_SHARE = 0.02
_FOREIGN = 10


def server_findings(series: ServerSeries, requests: RequestTable) -> list[str]:
    """Where the time of an answer goes, as far as the server's means and the client's tell."""
    ours_ms, e2e_ms, queue_ms = _block_means(series, requests)
    outside = _Difference.of(ours_ms, e2e_ms)
    waiting = _Difference.of(queue_ms, _MOST_OF_IT * ours_ms)
    said = []
    if outside and outside.low > max(_OUTSIDE_MS, _OUTSIDE_SHARE * outside.whole):
        said.append(
            f"of {outside.whole:.0f} ms from sent to done (mean) the server counts {outside.part:.0f} as its own: "
            f"{outside.low:.0f} to {outside.high:.0f} ms of a request pass on the network, in HTTP and JSON, or before "
            "its tokenizer process gets to it"
        )
    if waiting and waiting.low > 0:
        said.append(
            f"of {waiting.part / _MOST_OF_IT:.0f} ms from sent to done (mean) {waiting.whole:.0f} are spent in the "
            "server's queue: it is offered more than its ranks take in, and all percentiles are those of the queue"
        )
    return said


def scrape_warnings(series: ServerSeries) -> list[str]:
    """What is missing from the server's figures."""
    said = []
    if series.failed:
        asked = len(series) + series.failed
        said.append(f"{series.failed} of {asked} scrapes of /metrics failed in the window: {series.first_error}")
    if series.longest_gap_s > _LONG_GAP_S:
        said.append(f"no scrape of /metrics came back for {series.longest_gap_s:.1f} s of the window")
    if series.restarts:
        said.append("the server's counters fell in the window: it, or a part of it, began anew")
    return said


def foreign_load(series: ServerSeries, requests: RequestTable) -> list[str]:
    """A warning when the server finished more requests than a run sent it that has a record of each."""
    histogram = series.histograms.get("e2e")
    if histogram is None or len(series) < 2:
        return []
    start_ns, end_ns = int(series.t_ns[0]), int(series.t_ns[-1])
    finished = round(histogram.count[-1])
    ours = int(((requests.done_ns > start_ns) & (requests.done_ns <= end_ns)).sum())
    if finished <= ours * (1 + _FOREIGN_SHARE) + _FOREIGN:
        return []
    return [
        f"the server finished {finished:,} requests in the window, {ours:,} of this run: somebody else loads it too"
    ]


class _Difference(NamedTuple):
    """Of a mean and a part of it: the two, and the interval of what the one is more than the other."""

    whole: float
    part: float
    low: float
    high: float

    @classmethod
    def of(cls, whole: Values, part: Values) -> _Difference | None:
        """From block means, NaN where a block has none; None with too few that have both."""
        known = ~np.isnan(whole) & ~np.isnan(part)
        bounds = mean_bounds((whole - part)[known], TWO_SIDED_95)
        return cls(float(whole[known].mean()), float(part[known].mean()), *bounds) if bounds else None


def _block_means(series: ServerSeries, requests: RequestTable) -> tuple[Values, Values, Values]:
    """Milliseconds in each block between scrapes: the client's sent to done, the server's end to end, its queue; NaN
    where there is nothing, empty where there are too few scrapes for blocks."""
    count = min(MOST_BLOCKS, len(series) - 1)
    if count < FEWEST_BLOCKS:
        return np.empty(0), np.empty(0), np.empty(0)
    edges = np.linspace(0, len(series) - 1, count + 1).round().astype(int)
    blocks = [client_ms("e2e", requests, *between) for between in pairwise(series.t_ns[edges].tolist())]
    ours_ms = np.array([block.mean() if len(block) else np.nan for block in blocks])
    return ours_ms, _histogram_means(series, "e2e", edges), _histogram_means(series, "queue", edges)


def _histogram_means(series: ServerSeries, name: str, edges: NDArray[np.int64]) -> Values:
    histogram = series.histograms.get(name)
    if histogram is None:
        return np.full(len(edges) - 1, np.nan)
    counted, sums = np.diff(histogram.count[edges]), np.diff(histogram.total[edges])
    return np.where(counted > 0, 1e3 * sums / np.where(counted > 0, counted, 1), np.nan)
