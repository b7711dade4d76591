"""What is known by name of a server's /metrics pages, under names of our own.

Every process of SGLang puts its metrics on the one page, told apart by labels. The ranks of a TP or PP group report the
same requests, so the first of them speaks for its group; what other labels tell apart (DP groups, streamed or not) is
added up. The names are those of SGLang 0.5.5 to 0.5.23 (srt/metrics/collector.py, later
srt/observability/metrics_collector.py) and of the stand-in.
"""

from __future__ import annotations

import math
import re
from array import array
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from operator import itemgetter
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mmload.model.records import ServerScrape

Values = NDArray[np.float64]
Kind = Literal["gauge", "counter", "histogram", "bucket", "scheduler"]

_KEY = re.compile(r"(?P<name>[^{]*)(?:\{(?P<labels>.*)\})?", re.DOTALL)
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')
_RANK_LABELS = ("pp_rank", "tp_rank", "moe_ep_rank")
_PLACE_LABELS = (("DP", "dp_rank"), ("PP", "pp_rank"), ("TP", "tp_rank"))

_GAUGES = {
    "sglang:num_running_reqs": "running",
    "sglang:num_queue_reqs": "queued",
    "sglang:gen_throughput": "generation_tokens_per_s",
    "sglang:token_usage": "token_usage",
    "sglang:cache_hit_rate": "cache_hit_rate",
}
_COUNTERS = {
    "sglang:num_requests_total": "requests",
    "sglang:num_aborted_requests_total": "aborted_requests",
    "sglang:prompt_tokens_total": "prompt_tokens",
    "sglang:cached_tokens_total": "cached_tokens",
    "sglang:generation_tokens_total": "generation_tokens",
}
_HISTOGRAMS = {
    "sglang:time_to_first_token_seconds": "ttft",
    "sglang:inter_token_latency_seconds": "itl",
    "sglang:e2e_request_latency_seconds": "e2e",
    "sglang:queue_time_seconds": "queue",
    "sglang:per_stage_req_latency_seconds": "stage",
}
_SCHEDULER = {
    "sglang:scheduler_process_cpu_seconds_total": "cpu",
    "sglang:scheduler_idle_seconds_total": "idle",
    "sglang:scheduler_stage_seconds_total": "stage",
}


class Column(NamedTuple):
    """What a metric is part of. name: 'running', 'requests', 'e2e', 'stage prefill_forward' and so on; of a scheduler
    its place, such as 'PP0_TP1' or 'DP0_PP0_TP1'. part: 'sum' or 'count' of a histogram, the edge of a bucket, 'cpu',
    'idle' or 'stage NAME' of a scheduler."""

    kind: Kind
    name: str
    part: str = ""


class _Layout(NamedTuple):
    """Of pages with the same metrics: the keys that are taken, and the places of those that make up each column."""

    keys: list[str]
    places: dict[Column, list[int]]


class Pages:
    """The pages of many scrapes; of each only what is known is kept. kinds: those wanted, all where none is named."""

    def __init__(self, *kinds: Kind) -> None:
        self._kinds = kinds
        self._layouts: dict[tuple[str, ...], _Layout] = {}
        self._rows: list[tuple[int, _Layout, array[float]]] = []

    def take(self, scrape: ServerScrape) -> None:
        keys = tuple(scrape.metrics)
        if keys not in self._layouts:
            self._layouts[keys] = self._layout(keys)
        layout = self._layouts[keys]
        self._rows.append((scrape.t_ns, layout, array("d", [scrape.metrics[key] for key in layout.keys])))

    def times(self) -> NDArray[np.int64]:
        self._rows.sort(key=itemgetter(0))
        return np.array([row[0] for row in self._rows], np.int64)

    def columns(self) -> Iterator[tuple[Column, Values]]:
        """Each column by the times; NaN where a page lacks it."""
        parts = []
        for layout in self._layouts.values():
            at = [place for place, row in enumerate(self._rows) if row[1] is layout]
            parts.append((at, np.array([self._rows[place][2] for place in at]), layout.places))
        for column in dict.fromkeys(column for _, _, places in parts for column in places):
            whole = np.full(len(self._rows), np.nan)
            for at, values, places in parts:
                if column in places:
                    whole[at] = _together(column.name, values[:, places[column]])
            yield column, whole

    def _layout(self, keys: Sequence[str]) -> _Layout:
        """Of ranks that report the same, the first is taken."""
        first: dict[tuple[Column, str], tuple[list[int], str]] = {}
        for key in keys:
            name, labels = _parse(key)
            column = _column(name, labels)
            if column is None or (self._kinds and column.kind not in self._kinds):
                continue
            rank = [_number(labels.get(label, "")) for label in _RANK_LABELS]
            group = column, str(sorted((k, v) for k, v in labels.items() if k not in _RANK_LABELS))
            if group not in first or rank < first[group][0]:
                first[group] = rank, key
        places: defaultdict[Column, list[int]] = defaultdict(list)
        for place, (column, _) in enumerate(first):
            places[column].append(place)
        return _Layout([key for _, key in first.values()], dict(places))


def _together(name: str, groups: Values) -> Values:
    """One column of several: shares can't be added up."""
    if name == "token_usage":
        return np.asarray(groups.max(axis=1), np.float64)
    return np.asarray(groups.mean(axis=1) if name == "cache_hit_rate" else groups.sum(axis=1), np.float64)


@lru_cache(maxsize=65536)
def _parse(key: str) -> tuple[str, dict[str, str]]:
    match = _KEY.fullmatch(key)
    return (match["name"], dict(_LABEL.findall(match["labels"] or ""))) if match else (key, {})


def _column(name: str, labels: Mapping[str, str]) -> Column | None:
    """None for a metric that is not known. Of gauges by priority the one without is the total (SGLang's QueueCount)."""
    if name in _GAUGES:
        return None if labels.get("priority") else Column("gauge", _GAUGES[name])
    if name in _COUNTERS:
        return Column("counter", _COUNTERS[name])
    if name in _SCHEDULER:
        part = _SCHEDULER[name]
        stage = f"stage {labels.get('category', '')}"
        return Column("scheduler", _place(labels), stage if part == "stage" else part)
    base, _, line = name.rpartition("_")
    return _histogram_column(_HISTOGRAMS[base], line, labels) if base in _HISTOGRAMS else None


def _histogram_column(figure: str, line: str, labels: Mapping[str, str]) -> Column | None:
    if figure == "stage":
        figure = f"stage {labels.get('stage', '')}"
    if line in ("sum", "count"):
        return Column("histogram", figure, line)
    with suppress(KeyError, ValueError):
        edge = float(labels["le"])
        return None if math.isnan(edge) else Column("bucket", figure, str(edge))
    return None


def _place(labels: Mapping[str, str]) -> str:
    """The scheduler that a metric is of, written as SGLang writes it into the title of the process."""
    return "_".join(f"{part}{labels[label]}" for part, label in _PLACE_LABELS if label in labels)


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else 0
