"""What the handoff of multimodal inputs costs per request, from the counters that the server's processes export.

    mmload_handoff_<column>_total{process="scheduler_TP0"}        columns: mmload.handoff.counters

*Build* is construction and hash of the inputs object; the *handoff* is that with receive, pickle and broadcast. The
stage that the server calls `build` is construction alone.
"""

from __future__ import annotations

import re
from array import array
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from operator import itemgetter

import msgspec
import numpy as np
from numpy.typing import NDArray

from mmload.analyse.blocks import FEWEST_BLOCKS, MOST_BLOCKS
from mmload.analyse.load import Window
from mmload.model.records import ServerScrape

BUILD_STAGES = ("build", "hash")
HANDOFF_STAGES = (*BUILD_STAGES, "receive", "pickle", "broadcast")
# Each rank counts the same event; of the time in the handler the rank that took longest says what it held up.
_ON_EVERY_RANK = (
    "broadcasts",
    "background_broadcasts",
    "receive_batches",
    "cache_hits",
    "cache_evictions",
    "fallbacks",
    "feature_hits",
    "feature_evictions",
    "handler_wall_seconds",
)

Values = NDArray[np.float64]
_Counter = tuple[str, str]
_COUNTER = re.compile(r'mmload_handoff_(?P<column>\w+)_total\{process="(?P<process>[^"]*)"\}')


class HandoffCounters(msgspec.Struct, frozen=True):
    """The counters at each scrape of a window: columns[column][process] is an array over the scrapes. span_s: from the
    first of them to the last."""

    columns: dict[str, dict[str, Values]]
    span_s: float

    @property
    def processes(self) -> list[str]:
        """By name; a process that neither met a request nor spent anything in the window is left out."""
        return sorted(
            name
            for name in self.columns["requests"]
            if growth(self.requests(name)) or growth(self.cpu_s(HANDOFF_STAGES, name))
        )

    @property
    def scrapes(self) -> int:
        return len(next(iter(self.columns["requests"].values())))

    def total(self, column: str) -> Values:
        """A column over all processes, at each scrape."""
        return _together(column, list(self.columns[column].values()))

    def requests(self, process: str) -> Values:
        """Requests with media that the process has met, at each scrape: each of them meets every process, but while a
        queue builds the tokenizer is ahead of the ranks."""
        return self.columns["requests"][process]

    def cpu_s(self, stages: Iterable[str], process: str) -> Values:
        """CPU seconds of the stages in one process, at each scrape."""
        return np.asarray(np.sum([self.columns[f"{stage}_cpu_seconds"][process] for stage in stages], axis=0))


def handoff_counters(scrapes: Iterable[ServerScrape], window: Window) -> HandoffCounters | None:
    """The counters in the window; None when the server exports none, when a process spent something and met no request,
    and when one began anew."""
    rows = _Rows()
    for scrape in scrapes:
        if window.start_ns <= scrape.t_ns <= window.end_ns:
            rows.take(scrape)
    columns, span_s = rows.columns()
    needed = ("requests", *(f"{stage}_cpu_seconds" for stage in HANDOFF_STAGES))
    processes = columns.get("requests", {}).keys()
    if not processes or any(columns.get(column, {}).keys() != processes for column in needed):
        return None
    counters = HandoffCounters(columns, span_s)
    if any((np.diff(counters.requests(process)) < 0).any() for process in processes):
        return None
    met = [growth(counters.requests(process)) for process in counters.processes]
    return counters if met and min(met) > 0 else None


def per_request(counters: HandoffCounters) -> dict[str, float]:
    """Each column's growth per request: `<column>_per_request`, seconds as milliseconds; build and handoff CPU over
    all processes and of each one (`build_cpu_ms_per_request{process="scheduler_TP0"}`), and how long each rank's main
    thread was in the handler. `cache_hit_rate` where a variant asked its cache: hits of all ranks / (hits + fallbacks).

    What a process spent is divided by the requests that it met itself, so that a backlog between tokenizer and ranks
    makes nothing cheaper.
    """
    met = {process: growth(counters.requests(process)) for process in counters.processes}
    figures = {}
    for kind, stages in (("build", BUILD_STAGES), ("handoff", HANDOFF_STAGES)):
        costs_ms = {name: 1e3 * growth(counters.cpu_s(stages, name)) / met[name] for name in met}
        figures[f"{kind}_cpu_ms_per_request"] = sum(costs_ms.values())
        figures |= _by_process(f"{kind}_cpu_ms", costs_ms)
    for column in sorted(counters.columns.keys() - {"requests", "build_cpu_seconds", "build_wall_seconds"}):
        seconds = column.endswith("_seconds")
        rows = counters.columns[column]
        each = [(1e3 if seconds else 1) * growth(rows[name]) / met[name] for name in met if name in rows]
        name = f"{column.removesuffix('_seconds')}_ms" if seconds else column
        figures[f"{name}_per_request"] = float(_together(column, each))
    handled = counters.columns.get("handler_wall_seconds", {})
    waits_ms = {name: 1e3 * growth(handled[name]) / met[name] for name in met if name in handled}
    return figures | _by_process("handler_wall_ms", waits_ms) | _cache_hit_rate(counters)


def _by_process(name: str, values: Mapping[str, float]) -> dict[str, float]:
    return {f'{name}_per_request{{process="{process}"}}': value for process, value in values.items()}


def _cache_hit_rate(counters: HandoffCounters) -> dict[str, float]:
    hits, fallbacks = (
        sum(growth(values) for values in counters.columns.get(column, {}).values())
        for column in ("cache_hits", "fallbacks")
    )
    return {"cache_hit_rate": hits / (hits + fallbacks)} if hits + fallbacks else {}


def block_growth(counters: HandoffCounters, cumulative: Values) -> Values:
    """What a cumulative array grew by in each block of scrapes; empty where there are too few for blocks."""
    count = min(MOST_BLOCKS, counters.scrapes - 1)
    if count < FEWEST_BLOCKS:
        return np.empty(0)
    edges = np.linspace(0, len(cumulative) - 1, count + 1).round().astype(int)
    return np.diff(cumulative[edges])


def growth(cumulative: Values) -> float:
    """Last less first."""
    return float(cumulative[-1] - cumulative[0])


class _Rows:
    """The counters of each scrape, without the server's other metrics; equal names are kept once."""

    def __init__(self) -> None:
        self._rows: list[tuple[int, tuple[_Counter, ...], array[float]]] = []
        self._names: dict[tuple[_Counter, ...], tuple[_Counter, ...]] = {}

    def take(self, scrape: ServerScrape) -> None:
        found = {counter: value for name, value in scrape.metrics.items() if (counter := _counter(name))}
        if found:
            names = tuple(found)
            self._rows.append((scrape.t_ns, self._names.setdefault(names, names), array("d", found.values())))

    def columns(self) -> tuple[dict[str, dict[str, Values]], float]:
        """Column -> process -> values by time, of the scrapes with the same counters as the last; and their span."""
        self._rows.sort(key=itemgetter(0))
        last = self._rows[-1][1] if self._rows else ()
        places = {names: [names.index(one) for one in last] for names in self._names if set(names) == set(last)}
        kept = [row for row in self._rows if row[1] in places]
        complete = np.array([np.asarray(row)[places[names]] for _, names, row in kept])
        columns: defaultdict[str, dict[str, Values]] = defaultdict(dict)
        for place, (column, process) in enumerate(last):
            columns[column][process] = complete[:, place]
        return dict(columns), (kept[-1][0] - kept[0][0]) / 1e9 if kept else 0.0


@lru_cache(maxsize=4096)
def _counter(name: str) -> _Counter | None:
    """Column and process of a metric; None for one that is no counter of the handoff."""
    match = _COUNTER.fullmatch(name)
    return (match["column"], match["process"]) if match else None


def _together(column: str, rows: Sequence[Values] | Sequence[float]) -> Values:
    """What all processes counted: the largest row where each counts the same event, else their sum."""
    largest = column in _ON_EVERY_RANK and len(rows) > 0
    return np.asarray(np.max(rows, axis=0) if largest else np.sum(rows, axis=0), np.float64)
