"""The plots over time of a report: load, queue, CPU, memory and the server of a run, or several runs in one plot."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import NamedTuple

import numpy as np

from mmload.analyse.server_pages import Values
from mmload.analyse.timeline import Timeline
from mmload.judge.report import ReportedRun
from mmload.show.latencies import FEWEST_FOR_P99
from mmload.show.report_phases import phase_panels
from mmload.show.report_plots import Axis, Kind, Panel, Series, colour_of, groups, plot_values
from mmload.show.report_shapes import table
from mmload.show.terminal_figures import MISSING, figures, plain
from mmload.show.terminal_processes import in_order, short_name

_MB = 1e-6
_NOT_OK = "not ok"
_SHM = "/dev/shm, host"  # noqa: S108 (a label)


class _Row(NamedTuple):
    """A series before it is one of a page."""

    label: str
    values: Values
    colour: str
    kind: Kind = "line"
    group: str = ""  # in the legend; '' is the label
    unit: str = ""  # where it is not the plot's

    @property
    def is_known(self) -> bool:
        return not np.isnan(self.values).all() and (self.kind != "errors" or bool(np.nansum(self.values)))


class _Placed(NamedTuple):
    """axis: that of its timeline, by place."""

    row: _Row
    timeline: Timeline
    axis: int


def axis_of(timeline: Timeline) -> Axis:
    starts = zip(timeline.phase, timeline.t_s, strict=True)
    spans = [(name, [t_s for _, t_s in bins]) for name, bins in groupby(starts, key=lambda one: one[0])]
    phases = [(name, t_s[0], t_s[-1] + timeline.bin_s) for name, t_s in spans if name]
    return Axis(start_s=timeline.t_s[0], bin_s=timeline.bin_s, bins=len(timeline.t_s), phases=phases)


def panels_of(run: ReportedRun, key: str, axis: int) -> Iterator[Panel]:
    """Load, response, queue, CPU, memory and the server of one run, those of which anything is known; none without a
    timeline. key: its own in the page; axis: that of its timeline, by place."""
    timeline = run.timeline
    if timeline is None:
        return
    wanted: dict[str, tuple[str, str, list[_Row]]] = {
        "rate": ("Offered and achieved rate", "req/s", _named(timeline, _RATE)),
        "response": ("Response time by when it was due", "ms", _response(timeline)),
        "queue": ("In flight, running and queued", "requests", _named(timeline, _QUEUE)),
        "cpu": ("CPU of each process", "% of a core", _processes(timeline, "cpu_pct")),
        "host": ("The host's cores and GPUs", "% busy", _named(timeline, _HOST) + _gpus(timeline, "kernel_ran_pct")),
        "memory": ("Resident memory", "MB", _memory(timeline)),
        "tokens": ("Tokens generated, by the server's own gauge", "tokens/s", _named(timeline, _TOKENS)),
        "power": ("Power of the GPUs", "W", _gpus(timeline, "power_w")),
    }
    for name, (title, unit, rows) in wanted.items():
        known = [_Placed(row, timeline, axis) for row in rows if row.is_known]
        if known:
            yield _panel(f"{key}-{name}", title, unit, known)
        if name == "cpu":
            yield from phase_panels(run.phases, timeline, key, axis)


def overlaid(runs: Sequence[ReportedRun], axes: Mapping[str, int], colours: Mapping[str, str]) -> Iterator[Panel]:
    """What several runs can be told apart by, a series for each of them. axes: by run-id; colours: by side."""
    wanted = {
        "rate": ("Achieved rate", "req/s", "achieved_rps"),
        "p50": ("Response time, p50", "ms", "response_p50_ms"),
        "p99": (f"Response time, {_p99(*filter(None, (run.timeline for run in runs)))}", "ms", "response_p99_ms"),
        "queue": ("In flight", "requests", "in_flight"),
        "cpu": ("CPU of the busiest rank", "% of a core", ""),
    }
    called = groups((run.label, run.side) for run in runs)
    for name, (title, unit, key) in wanted.items():
        known = [
            _Placed(row, run.timeline, axes[run.run_id])
            for run in runs
            if run.timeline is not None
            and (values := _overlay(run.timeline, key)) is not None
            and (row := _Row(run.label, values, colours[run.side], group=called[run.label])).is_known
        ]
        if known:
            yield _panel(f"all-{name}", title, unit, known)


_Wanted = Sequence[tuple[str, str, str, Kind]]  # label, series of the timeline, colour, kind
_RATE: _Wanted = (("offered", "offered_rps", "grey", "area"), ("achieved", "achieved_rps", "s0", "line"))
_RESPONSE: _Wanted = (
    ("P99", "response_p99_ms", "s1", "line"),
    ("p50", "response_p50_ms", "s0", "line"),
    (_NOT_OK, "errors", "bad", "errors"),
)
_QUEUE: _Wanted = (
    ("in flight, at most", "in_flight", "s0", "line"),
    ("running, by the server", "running", "s2", "line"),
    ("queued, by the server", "queued", "s1", "line"),
)
_TOKENS: _Wanted = (("tokens", "generation_tokens_per_s", "s0", "line"),)
_HOST: _Wanted = (("host, all cores", "host_busy_pct", "grey", "line"),)
_HELD: _Wanted = ((_SHM, "shm_used_bytes", "base", "dashed"),)


def _named(timeline: Timeline, wanted: _Wanted) -> list[_Row]:
    return [
        _Row(label, timeline.series[key], colour, kind) for label, key, colour, kind in wanted if key in timeline.series
    ]


def _response(timeline: Timeline) -> list[_Row]:
    names, units = {"P99": _p99(timeline)}, {_NOT_OK: "requests"}
    return [
        row._replace(label=names.get(row.label, row.label), unit=units.get(row.label, ""))
        for row in _named(timeline, _RESPONSE)
    ]


def _p99(*timelines: Timeline) -> str:
    """Of so few requests in every bin that each P99 is the longest of its bin, it is called that."""
    is_longest = all(timeline.most_due < FEWEST_FOR_P99 for timeline in timelines)
    return "P99 (the slowest of each bin)" if is_longest else "P99"


def _memory(timeline: Timeline) -> list[_Row]:
    gpus = (row._replace(label=f"{row.label} memory") for row in _gpus(timeline, "memory_used_bytes"))
    rows = [*_processes(timeline, "rss_bytes"), *_named(timeline, _HELD), *gpus]
    return [row._replace(values=row.values * _MB) for row in rows]


def _processes(timeline: Timeline, measure: str) -> list[_Row]:
    """Ranks in colours of their own, beside the tokenizer; what generates the load dashed."""
    prefix = f"{measure}."
    found = {key.removeprefix(prefix): values for key, values in timeline.series.items() if key.startswith(prefix)}
    return [
        _Row(short_name(name), values, "grey", "dashed")
        if name.startswith("generator")
        else _Row(short_name(name), values, colour_of(place))
        for place, (name, values) in enumerate(in_order(found).items())
    ]


def _gpus(timeline: Timeline, measure: str) -> list[_Row]:
    found = {key.partition(".")[0]: values for key, values in timeline.series.items() if key.endswith(f".{measure}")}
    return [
        _Row(gpu.replace("gpu", "GPU "), values, colour_of(place)) for place, (gpu, values) in enumerate(found.items())
    ]


def _overlay(timeline: Timeline, key: str) -> Values | None:
    """One series; without a key the CPU of the rank that took most of it."""
    if key:
        return timeline.series.get(key)
    ranks = [values for name, values in timeline.series.items() if name.startswith("cpu_pct.scheduler")]
    return max(ranks, key=lambda values: float(np.nansum(values)), default=None)


def _panel(key: str, title: str, unit: str, placed: Sequence[_Placed]) -> Panel:
    ends = [(plain(one.row.label), one.row.unit or unit, *_ends(one.timeline, one.row.values)) for one in placed]
    said = ", ".join(f"{label} {least} to {most} {of}" for label, of, _, least, _, most in ends)
    note = "over the bins of the measured window, or of the whole run where there was none"
    return Panel(
        id=key,
        title=title,
        unit=unit,
        series=list(_series(placed, unit)),
        about=f"{title} over time: {said}",
        text=table(title, (title, "unit", "bins", "least", "median", "most"), ends, left=(0, 1), note=note),
    )


def _series(placed: Iterable[_Placed], unit: str) -> Iterator[Series]:
    for row, _, axis in placed:
        yield Series(
            label=row.label,
            group=row.group or row.label,
            axis=axis,
            unit=row.unit or unit,
            values=plot_values(row.values),
            colour=row.colour,
            kind=row.kind,
        )


def _ends(timeline: Timeline, values: Values) -> tuple[str, str, str, str]:
    """How many bins are known, and the least, the median and the most of them."""
    measured = np.array([phase == "measure" for phase in timeline.phase], np.bool_)
    known = values[~np.isnan(values) & (measured | ~measured.any())]
    if not len(known):
        return "0", MISSING, MISSING, MISSING
    ordered = [float(value) for value in np.sort(known)[[0, (len(known) - 1) // 2, -1]]]
    is_counted = all(value.is_integer() for value in ordered)
    least, middle, most = [f"{value:,.0f}" for value in ordered] if is_counted else figures(ordered, "∞")
    return str(len(known)), least, middle, most
