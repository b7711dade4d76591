"""What the plots of a report are drawn from: percentile curves and the timeline, thinned to what a page can hold."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from mmload.analyse import latency
from mmload.analyse.latency import Values, nearest_rank
from mmload.analyse.load import measure_window, measured_requests
from mmload.analyse.timeline import Timeline, timeline
from mmload.store.read import Run

MOST_BINS = 1000
SHOWN = (0.5, 0.9, 0.95, 0.99, 0.999, 0.9999)  # percentiles whose own rank is always among those kept
_SPREAD = 300  # ranks spread evenly over the logarithm of the tail: two a pixel of a wide plot's decade
_LAST = 100  # the slowest are few and far apart: all of them are kept


class Curve(msgspec.Struct, frozen=True, kw_only=True):
    """Latencies in ascending order, thinned to some 400 of them. n: all there are; answered: those that are finite, the
    others had no correct answer. rank: places in the order, from 1; ms: the exact latency at each."""

    n: int
    answered: int
    rank: list[int]
    ms: list[float]


def curve(values: Values) -> Curve | None:
    """The curve of latencies in any order, which are sorted in place; None without any."""
    if not len(values):
        return None
    values.sort()
    n, answered = len(values), int(np.isfinite(values).sum())
    rank = _ranks(n, answered)
    return Curve(n=n, answered=answered, rank=rank.tolist(), ms=values[rank - 1].tolist())


def curves_of(run: Run) -> dict[str, Curve]:
    """response_ms, service_ms, ttft_ms and itl_ms of the measured requests; those that there are. Raises FolderError on
    damage."""
    window = measure_window(run)
    if window is None:
        return {}
    measured = measured_requests(run.requests, window)
    kinds = {
        "response_ms": latency.response_ms,
        "service_ms": latency.service_ms,
        "ttft_ms": latency.ttft_ms,
        "itl_ms": latency.itl_ms,
    }
    return {name: found for name, values_of in kinds.items() if (found := curve(values_of(measured)))}


def report_timeline(run: Run) -> Timeline | None:
    """The run in bins of a second, or of the shortest round length that makes no more than MOST_BINS of them."""
    return timeline(run, most_bins=MOST_BINS)


def _ranks(n: int, answered: int) -> NDArray[np.int64]:
    """The ranks that are kept of `answered` finite values among n."""
    slower = np.geomspace(max(1, n - answered), max(1, n - 1), _SPREAD)  # how many are slower still
    kept = np.concatenate(
        (
            n - np.round(slower).astype(np.int64),
            np.arange(answered - _LAST, answered) + 1,
            np.array([1, *(nearest_rank(p, n) for p in SHOWN)], np.int64),
        )
    )
    return np.unique(kept[(kept >= 1) & (kept <= answered)])
