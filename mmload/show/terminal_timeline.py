"""A run on one time axis on the terminal: a line of characters for each quantity, under the phases of the run."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, pairwise

import numpy as np
from rich.text import Text

from mmload.analyse.timeline import Timeline
from mmload.show.palette import HEADING, Glyphs
from mmload.show.terminal_charts import cell_edges, sparkline
from mmload.show.terminal_figures import MISSING, figures, size
from mmload.show.terminal_processes import in_order, short_name
from mmload.show.terminal_sheet import Column, Drawn, Sheet, flow, grid, separated, styled

_LEAST_CELLS = 10
_LABELS = {
    "offered_rps": "offered, req/s",
    "achieved_rps": "achieved, req/s",
    "errors": "errors",
    "in_flight": "in flight",
    "response_p50_ms": "response p50, ms",
    "response_p99_ms": "response P99, ms",
    "running": "server: running",
    "queued": "server: queued",
    "generation_tokens_per_s": "server: tokens/s",
    "host_busy_pct": "host busy, %",
    "shm_used_bytes": "/dev/shm",  # noqa: S108 (a label)
}
_GPU_LABELS = {"kernel_ran_pct": "kernel ran, %", "memory_used_bytes": "memory", "power_w": "power, W"}
_LOAD = tuple(_LABELS)[:6]
_SERVER = tuple(_LABELS)[6:9]
_HOST = tuple(_LABELS)[9:]

_HEADS = ("min", "max", "last")
_Row = tuple[str, str]  # label, name of the series


def render_timeline(timeline: Timeline) -> Drawn:
    """All of a timeline, for a terminal of any width."""
    cpu, rss = (_of_processes(timeline, measure) for measure in ("cpu_pct", "rss_bytes"))
    gpus = [(_gpu_label(name), name) for name in timeline.series if name.startswith("gpu")]
    rows = [
        *_labelled(_LOAD),
        *_labelled(_SERVER),
        *((f"CPU {label}, %", name) for label, name in cpu),
        *((f"RSS {label}", name) for label, name in rss),
        *_labelled(_HOST),
        *gpus,
    ]
    return Drawn(lambda sheet: separated(_about(timeline, sheet), _table(timeline, rows, sheet)))


def timeline_in_short(timeline: Timeline, sheet: Sheet) -> Iterable[Text]:
    """Rate, P99, the busiest rank and the server's queue: how the figures above them came about in time."""
    ranks = [
        (label, name) for label, name in _of_processes(timeline, "cpu_pct") if name.startswith("cpu_pct.scheduler")
    ]
    busiest = max(ranks, key=lambda rank: _mean_measured(timeline, rank[1]), default=None)
    rows = _labelled(("achieved_rps", "response_p99_ms"))
    rows += [(f"CPU {busiest[0]}, %", busiest[1])] if busiest else []
    return _table(timeline, rows + _labelled(("queued",)), sheet)


def _gpu_label(name: str) -> str:
    gpu, _, measure = name.partition(".")
    return f"{gpu} {_GPU_LABELS.get(measure, measure)}"


def _labelled(names: Sequence[str]) -> list[_Row]:
    return [(_LABELS[name], name) for name in names]


def _of_processes(timeline: Timeline, measure: str) -> list[_Row]:
    """The processes along a request's way."""
    prefix = f"{measure}."
    found = {name.removeprefix(prefix): name for name in timeline.series if name.startswith(prefix)}
    return [(short_name(process), name) for process, name in in_order(found).items()]


def _mean_measured(timeline: Timeline, name: str) -> float:
    measured = timeline.series[name][np.array([phase == "measure" for phase in timeline.phase], np.bool_)]
    return float(np.nanmean(measured)) if np.isfinite(measured).any() else 0.0


def _about(timeline: Timeline, sheet: Sheet) -> list[Text]:
    origin = "the measure window's begin" if "measure" in timeline.phase else "the start"
    items = [
        styled((f"{len(timeline.t_s):,} bins of {timeline.bin_s:g} s", HEADING)),
        styled(f"{timeline.t_s[0]:g} to {timeline.t_s[-1] + timeline.bin_s:g} s from {origin}"),
    ]
    return flow(items, sheet)


def _table(timeline: Timeline, rows: Sequence[_Row], sheet: Sheet) -> Iterator[Text]:
    """A row for each series that there is; nothing without any."""
    known = [(label, name, timeline.series[name].tolist()) for label, name in rows if name in timeline.series]
    if not known:
        return
    labels = max(len(label) for label, _, _ in known) + 2
    ends = [_ends(name, values, sheet.glyphs) for _, name, values in known]
    numbers = sum(max(len(head), *(len(row[place]) for row in ends)) + 2 for place, head in enumerate(_HEADS))
    cells = min(len(timeline.t_s), max(_LEAST_CELLS, sheet.width - labels - numbers - 2))
    columns = (
        Column(f"{timeline.bin_s * len(timeline.t_s) / cells:.3g} s a cell", right=False),
        Column(_marks(timeline.phase, cells, sheet.glyphs), right=False),
        *(Column(head, rank=rank) for head, rank in zip(_HEADS, (2, 1, 3), strict=True)),
    )
    lines = [
        [styled("  ", label), Text(sparkline(values, cells, None, sheet.glyphs)), *map(styled, end)]
        for (label, _, values), end in zip(known, ends, strict=True)
    ]
    yield from grid(columns, lines, sheet)


def _ends(name: str, values: Sequence[float], glyphs: Glyphs) -> list[str]:
    """The least, the most and the last known value."""
    known = [value for value in values if not math.isnan(value)]
    if not known:
        return [MISSING] * len(_HEADS)
    three = [min(known), max(known), known[-1]]
    if "_bytes" in name:
        return [size(value) for value in three]
    return figures(three, glyphs.infinity, most=1)


def _marks(phases: Sequence[str], width: int, glyphs: Glyphs) -> str:
    """The phases over their cells, by name as far as there is room: `warmup|measure------|  |profile--`."""
    middles = [phases[(a + b) // 2] for a, b in pairwise(cell_edges(len(phases), width))]
    spans = [(phase, len(list(cells))) for phase, cells in groupby(middles)]
    return "".join(_mark(phase, length, glyphs) for phase, length in spans)


def _mark(phase: str, length: int, glyphs: Glyphs) -> str:
    if not phase:
        return " " * length
    name = phase[: max(1, length - 1)]
    return (name + glyphs.track * (length - 1 - len(name)) + "|")[:length]
