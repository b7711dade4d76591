"""A run on one time axis on the terminal: a line of characters for each quantity, under the phases of the run."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from rich.text import Text

from mmload.analyse.timeline import Timeline
from mmload.show.latencies import FEWEST_FOR_P99
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
_RATES = _LOAD[:2]
_SERVER = tuple(_LABELS)[6:9]
_HOST = tuple(_LABELS)[9:]

_Heads = Sequence[tuple[str, int]]  # of the figures beside a line, each with its column's rank
_WHOLE: _Heads = (("min", 2), ("max", 1), ("last", 3))
_MEASURED: _Heads = (("measured: min", 2), ("max", 1))


class _Row(NamedTuple):
    """name: of the series. scale_of: names of those that one scale is for; its own without any."""

    label: str
    name: str
    scale_of: Sequence[str] = ()


def render_timeline(timeline: Timeline) -> Drawn:
    """All of a timeline, for a terminal of any width."""
    cpu, rss = (_of_processes(timeline, measure) for measure in ("cpu_pct", "rss_bytes"))
    gpus = [_Row(_gpu_label(name), name) for name in timeline.series if name.startswith("gpu")]
    rows = [
        *_labelled(_LOAD),
        *_labelled(_SERVER),
        *(_Row(f"CPU {label}, %", name) for label, name in cpu),
        *(_Row(f"RSS {label}", name) for label, name in rss),
        *_labelled(_HOST),
        *gpus,
    ]
    return Drawn(lambda sheet: separated(_about(timeline, sheet), _table(timeline, rows, sheet)))


def timeline_in_short(timeline: Timeline, sheet: Sheet) -> Iterable[Text]:
    """How the figures of the summary came about in time: offered and achieved rate, P99, the queue (what is in flight
    where the server says nothing of one), the busiest rank. The figures are those of the measure window."""
    ranks = [
        (label, name) for label, name in _of_processes(timeline, "cpu_pct") if name.startswith("cpu_pct.scheduler")
    ]
    busiest = max(ranks, key=lambda rank: _mean_measured(timeline, rank[1]), default=None)
    rows = [_Row(_LABELS[name], name, scale_of=_RATES) for name in _RATES]
    rows += _labelled(("response_p99_ms", "queued" if "queued" in timeline.series else "in_flight"))
    rows += [_Row(f"CPU {busiest[0]}, %", busiest[1])] if busiest else []
    return _table(timeline, rows, sheet, in_measure=True)


def _gpu_label(name: str) -> str:
    gpu, _, measure = name.partition(".")
    return f"{gpu} {_GPU_LABELS.get(measure, measure)}"


def _labelled(names: Sequence[str]) -> list[_Row]:
    return [_Row(_LABELS[name], name) for name in names]


def _of_processes(timeline: Timeline, measure: str) -> list[tuple[str, str]]:
    """Short names and series of the processes along a request's way."""
    prefix = f"{measure}."
    found = {name.removeprefix(prefix): name for name in timeline.series if name.startswith(prefix)}
    return [(short_name(process), name) for process, name in in_order(found).items()]


def _mean_measured(timeline: Timeline, name: str) -> float:
    measured = timeline.series[name][_is_measured(timeline)]
    return float(np.nanmean(measured)) if np.isfinite(measured).any() else 0.0


def _is_measured(timeline: Timeline) -> NDArray[np.bool_]:
    """Of each bin."""
    return np.array([phase == "measure" for phase in timeline.phase], np.bool_)


def _about(timeline: Timeline, sheet: Sheet) -> list[Text]:
    origin = "the measure window's begin" if "measure" in timeline.phase else "the start"
    items = [
        styled((f"{len(timeline.t_s):,} bins of {timeline.bin_s:g} s", HEADING)),
        styled(f"{timeline.t_s[0]:g} to {timeline.t_s[-1] + timeline.bin_s:g} s from {origin}"),
    ]
    if timeline.most_due < FEWEST_FOR_P99:
        items.append(styled("P99: the slowest of each bin"))
    return flow(items, sheet)


def _table(timeline: Timeline, rows: Sequence[_Row], sheet: Sheet, *, in_measure: bool = False) -> Iterator[Text]:
    """A row for each series that there is; nothing without any. in_measure: figures of the measure window alone."""
    known = [row for row in rows if row.name in timeline.series]
    if not known:
        return
    is_shown, heads = np.ones(len(timeline.t_s), np.bool_), _WHOLE
    if in_measure and _is_measured(timeline).any():
        is_shown, heads = _is_measured(timeline), _MEASURED
    labels = max(len(row.label) for row in known) + 2
    ends = [_ends(row.name, timeline.series[row.name][is_shown].tolist(), sheet.glyphs)[: len(heads)] for row in known]
    numbers = sum(max(len(head), *(len(row[place]) for row in ends)) + 2 for place, (head, _) in enumerate(heads))
    cells = min(len(timeline.t_s), max(_LEAST_CELLS, sheet.width - labels - numbers - 2))
    columns = (
        Column(f"{timeline.bin_s * len(timeline.t_s) / cells:.3g} s a cell", right=False),
        Column(_marks(timeline.phase, cells, sheet.glyphs), right=False),
        *(Column(head, rank=rank) for head, rank in heads),
    )
    lines = [
        [styled("  ", row.label), styled((_line(timeline, row, cells, sheet.glyphs), "cyan")), *map(styled, end)]
        for row, end in zip(known, ends, strict=True)
    ]
    yield from grid(columns, lines, sheet)


def _line(timeline: Timeline, row: _Row, cells: int, glyphs: Glyphs) -> str:
    shared = [timeline.series[name] for name in row.scale_of if name in timeline.series]
    top = max((float(values[np.isfinite(values)].max(initial=0.0)) for values in shared), default=0.0)
    return sparkline(timeline.series[row.name].tolist(), cells, top or None, glyphs)


def _ends(name: str, values: Sequence[float], glyphs: Glyphs) -> list[str]:
    """The least, the most and the last known value."""
    known = [value for value in values if not math.isnan(value)]
    if not known:
        return [MISSING] * len(_WHOLE)
    three = [min(known), max(known), known[-1]]
    if "_bytes" in name:
        return [size(value) for value in three]
    return figures(three, glyphs.infinity, most=1)


def _marks(phases: Sequence[str], width: int, glyphs: Glyphs) -> str:
    """The phases over their cells, by name where there is room for it: `----|measure------|  |profile--`."""
    middles = [phases[(a + b) // 2] for a, b in pairwise(cell_edges(len(phases), width))]
    spans = [(phase, len(list(cells))) for phase, cells in groupby(middles)]
    return "".join(_mark(phase, length, glyphs) for phase, length in spans)


def _mark(phase: str, length: int, glyphs: Glyphs) -> str:
    if not phase:
        return " " * length
    name = phase if len(phase) < length else ""
    return name + glyphs.track * (length - 1 - len(name)) + "|"
