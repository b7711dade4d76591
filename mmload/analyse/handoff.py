"""What the handoff of multimodal inputs costs per request, from the counters that the server's processes export.

    mmload_handoff_<column>_total{process="scheduler_TP0"}        columns: mmload.handoff.counters

*Build* is construction and hash of the inputs object; the *handoff* is that with receive, pickle and broadcast. The
stage that the server calls `build` is construction alone.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable

import msgspec
import numpy as np
from numpy.typing import NDArray

from mmload.analyse.blocks import FEWEST_BLOCKS, MOST_BLOCKS
from mmload.analyse.load import Window
from mmload.model.records import ServerScrape

BUILD_STAGES = ("build", "hash")
HANDOFF_STAGES = (*BUILD_STAGES, "receive", "pickle", "broadcast")
_ON_EVERY_RANK = ("broadcasts", "receive_batches")  # each rank counts the same event

Values = NDArray[np.float64]
_COUNTER = re.compile(r'mmload_handoff_(?P<column>\w+)_total\{process="(?P<process>[^"]*)"\}')


class HandoffCounters(msgspec.Struct, frozen=True):
    """The counters at each scrape of a window: columns[column][process] is an array over the scrapes."""

    columns: dict[str, dict[str, Values]]

    def total(self, column: str) -> Values:
        """A column over all processes, at each scrape."""
        rows = list(self.columns[column].values())
        return _largest(rows) if column in _ON_EVERY_RANK else _sum(rows)

    def requests(self) -> Values:
        """Requests with media, at each scrape: every process counts each of them, the tokenizer first."""
        rows = self.columns["requests"]
        return rows["tokenizer"] if "tokenizer" in rows else _largest(list(rows.values()))

    def cpu_s(self, stages: Iterable[str], process: str | None = None) -> Values:
        """CPU seconds of the stages at each scrape, over all processes or of one."""
        columns = [f"{stage}_cpu_seconds" for stage in stages]
        return _sum([self.total(column) if process is None else self.columns[column][process] for column in columns])


def handoff_counters(scrapes: Iterable[ServerScrape], window: Window) -> HandoffCounters | None:
    """The counters in the window; None when the server exports none or nothing was counted between two scrapes."""
    seen = sorted((s for s in scrapes if window.start_ns <= s.t_ns <= window.end_ns), key=lambda scrape: scrape.t_ns)
    rows = [row for scrape in seen if (row := _counters_of(scrape))]
    complete = [row for row in rows if row.keys() == rows[-1].keys()]
    columns: defaultdict[str, dict[str, Values]] = defaultdict(dict)
    for column, process in complete[-1] if complete else ():
        columns[column][process] = np.array([row[column, process] for row in complete])
    needed = ("requests", *(f"{stage}_cpu_seconds" for stage in HANDOFF_STAGES))
    processes = columns["requests"].keys()
    if not processes or any(columns[column].keys() != processes for column in needed):
        return None
    counters = HandoffCounters(dict(columns))
    return counters if growth(counters.requests()) > 0 else None


def per_request(counters: HandoffCounters) -> dict[str, float]:
    """Each column's growth per request: `<column>_per_request`, seconds as milliseconds; build and handoff CPU over
    all processes and of each one (`build_cpu_ms_per_request{process="scheduler_TP0"}`)."""
    requests = growth(counters.requests())
    figures = {}
    for kind, stages in (("build", BUILD_STAGES), ("handoff", HANDOFF_STAGES)):
        figures[f"{kind}_cpu_ms_per_request"] = 1e3 * growth(counters.cpu_s(stages)) / requests
        for process in sorted(counters.columns["requests"]):
            name = f'{kind}_cpu_ms_per_request{{process="{process}"}}'
            figures[name] = 1e3 * growth(counters.cpu_s(stages, process)) / requests
    for column in sorted(counters.columns.keys() - {"requests", "build_cpu_seconds", "build_wall_seconds"}):
        seconds = column.endswith("_seconds")
        name = f"{column.removesuffix('_seconds')}_ms" if seconds else column
        figures[f"{name}_per_request"] = (1e3 if seconds else 1) * growth(counters.total(column)) / requests
    return figures


def block_growth(counters: HandoffCounters, cumulative: Values) -> Values:
    """What a cumulative array grew by in each block of scrapes; empty where there are too few for blocks."""
    count = min(MOST_BLOCKS, len(counters.requests()) - 1)
    if count < FEWEST_BLOCKS:
        return np.empty(0)
    edges = np.linspace(0, len(cumulative) - 1, count + 1).round().astype(int)
    return np.diff(cumulative[edges])


def growth(cumulative: Values) -> float:
    """Last less first."""
    return float(cumulative[-1] - cumulative[0])


def _counters_of(scrape: ServerScrape) -> dict[tuple[str, str], float]:
    matches = ((_COUNTER.fullmatch(name), value) for name, value in scrape.metrics.items())
    return {(match["column"], match["process"]): value for match, value in matches if match}


def _sum(rows: list[Values]) -> Values:
    return np.asarray(np.vstack(rows).sum(axis=0), np.float64)


def _largest(rows: list[Values]) -> Values:
    return np.asarray(np.vstack(rows).max(axis=0), np.float64)
