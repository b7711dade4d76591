"""The scrapes of a server's /metrics as columns over time: gauges as they stood, counters by how far they came."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping

import msgspec
import numpy as np
from numpy.typing import NDArray

from mmload.analyse.server_pages import Kind, Pages, Values
from mmload.model.records import ServerScrape

# A sum over the files of several processes is added up in any order: what falls by less fell by rounding.
_ROUNDING = 1e-6


class Histogram(msgspec.Struct, frozen=True):
    """What was observed since the first scrape. total, count: by each scrape, the sum in seconds and the number.
    buckets: by the last scrape, how many there were of at most so many seconds (inf: all)."""

    total: Values
    count: Values
    buckets: dict[float, float]


class ServerSeries(msgspec.Struct, frozen=True, kw_only=True):
    """The good scrapes by time, each column with one entry for each of them.

    gauges: NaN where the page lacks one. counters, histograms, schedulers (their place -> cpu, idle or `stage NAME`, in
    seconds): by how much they grew since the first scrape. restarts: at how many scrapes a counter had fallen: it began
    anew at 0. failed: how many scrapes are left out, first_error: why the first of them.
    """

    t_ns: NDArray[np.int64]
    gauges: dict[str, Values]
    counters: dict[str, Values]
    histograms: dict[str, Histogram]
    schedulers: dict[str, dict[str, Values]]
    restarts: int
    failed: int
    first_error: str | None

    def __len__(self) -> int:
        return len(self.t_ns)

    @property
    def longest_gap_s(self) -> float:
        """Between two neighbours."""
        return float(np.diff(self.t_ns).max(initial=0)) / 1e9


def server_gauges(
    scrapes: Iterable[ServerScrape], start_ns: int, end_ns: int
) -> tuple[NDArray[np.int64], dict[str, Values]]:
    """The times of the good scrapes between two times, and the gauges at them; NaN where the page lacks one."""
    pages = Pages("gauge")
    for scrape in scrapes:
        if start_ns <= scrape.t_ns <= end_ns and scrape.error is None:
            pages.take(scrape)
    t_ns = pages.times()
    return t_ns, {column.name: values for column, values in pages.columns()}


def server_series(scrapes: Iterable[ServerScrape], start_ns: int, end_ns: int) -> ServerSeries:
    """The scrapes between two times, in any order."""
    pages = Pages()
    errors: list[tuple[int, str]] = []
    for scrape in scrapes:
        if not start_ns <= scrape.t_ns <= end_ns:
            continue
        if scrape.error is None:
            pages.take(scrape)
        else:
            errors.append((scrape.t_ns, scrape.error))
    t_ns = pages.times()
    found: defaultdict[Kind, defaultdict[str, dict[str, Values]]] = defaultdict(lambda: defaultdict(dict))
    fell = np.zeros(max(0, len(t_ns) - 1), np.bool_)
    for column, values in pages.columns():
        kept = values
        if column.kind != "gauge":
            kept, drops = _growth(values)
            fell |= drops
        if column.kind == "bucket":
            kept = kept[-1:].copy()  # nobody asks for the others, and of a day's scrapes they would be the most
        found[column.kind][column.name][column.part] = kept
    return ServerSeries(
        t_ns=t_ns,
        gauges={name: parts[""] for name, parts in found["gauge"].items()},
        counters={name: parts[""] for name, parts in found["counter"].items()},
        histograms=_histograms(found["histogram"], found["bucket"]),
        schedulers=dict(found["scheduler"]),
        restarts=int(fell.sum()),
        failed=len(errors),
        first_error=min(errors)[1] if errors else None,
    )


def _growth(values: Values) -> tuple[Values, NDArray[np.bool_]]:
    """How far a counter has come since the first scrape, and between which scrapes it fell. One that was not there yet
    had counted nothing; one that a page lacks stands where it stood."""
    last = np.maximum.accumulate(np.where(np.isnan(values), -1, np.arange(len(values))))
    stood = np.where(last < 0, 0.0, values[last])
    fell = stood[1:] < stood[:-1] * (1 - _ROUNDING)
    steps = np.where(fell, stood[1:], np.maximum(np.diff(stood), 0.0))
    return np.concatenate((np.zeros(1), np.cumsum(steps))), fell


def _histograms(
    lines: Mapping[str, Mapping[str, Values]], buckets: Mapping[str, Mapping[str, Values]]
) -> dict[str, Histogram]:
    """Those that are whole: a page that leaves out a sum, a count or the last bucket has none."""
    found = {}
    for name, parts in lines.items():
        edges = {float(edge): float(grown[-1]) for edge, grown in buckets.get(name, {}).items()}
        if parts.keys() >= {"sum", "count"} and math.inf in edges:
            found[name] = Histogram(parts["sum"], parts["count"], edges)
    return found
