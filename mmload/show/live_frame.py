"""One frame of the live display, and its one line where there is no terminal. A figure keeps its place as it grows."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

from rich.text import Text

from mmload.model.live import LiveView
from mmload.show.palette import EMPHASIS, LABEL, WARNING
from mmload.show.terminal_charts import bar, sparkline
from mmload.show.terminal_figures import MISSING, figure, figures, stopwatch
from mmload.show.terminal_processes import in_order, process_style
from mmload.show.terminal_sheet import (
    BESIDE_GAP,
    FLOW_GAP,
    LABEL_WIDTH,
    Sheet,
    beside,
    cut,
    fact,
    outcome_counts,
    separated,
    styled,
)

_STAGES = {"warmup": "warm-up", "measure": "measuring", "drain": "draining", "profile": "profiling"}
_WIDE = 124  # cells from which the processes stand beside the load
_LOAD_WIDTH = 76
_FIELD = 8  # cells of a figure
_NAME = 16  # cells of a process's name
_WARNINGS = 3


def draw_frame(view: LiveView, title: str, rates_rps: Sequence[float], sheet: Sheet) -> Iterator[Text]:
    """The whole display. rates_rps: achieved in each of the last seconds, the oldest first."""
    head = [cut(styled((title, "bold")), sheet.width, sheet.glyphs)] if title else []
    if sheet.width >= _WIDE:
        load = _load(view, rates_rps, sheet.with_width(_LOAD_WIDTH))
        cpu = _cpu(view.cpu_pct, sheet.with_width(sheet.width - _LOAD_WIDTH - BESIDE_GAP))
        body = beside(load, cpu, sheet, _LOAD_WIDTH)
    else:
        body = separated(_load(view, rates_rps, sheet), _cpu(view.cpu_pct, sheet))
    notices = [cut(styled((notice, EMPHASIS)), sheet.width, sheet.glyphs) for notice in view.notices]
    return separated([*head, _stage(view, sheet), *notices], body, _warnings(view.warnings, sheet))


def plain_line(view: LiveView) -> str:
    """The run at one instant in one line without colour."""
    length = "" if view.stage_length_s is None else f" of {view.stage_length_s:.1f}"
    parts = [f"{_STAGES.get(view.stage, view.stage)} {view.stage_elapsed_s:.1f}{length} s"]
    if view.sent:
        p50, p90, p99 = figures(view.response_ms)
        parts.append(f"offered {view.offered_rps:.1f}/s, achieved {view.achieved_rps:.1f}/s")
        parts.append(f"in flight {view.in_flight}")
        parts.append(f"p50 {p50}, p90 {p90}, p99 {p99} ms")
        parts.append(" ".join(f"{kind} {number}" for kind, number in view.outcomes.items() if number))
        parts.append(f"lag p99 {figure(view.lag_p99_ms)} ms")
    return "  ".join(part for part in parts if part)


def _stage(view: LiveView, sheet: Sheet) -> Text:
    name = styled((_STAGES.get(view.stage, view.stage).ljust(LABEL_WIDTH), EMPHASIS))
    elapsed, length = view.stage_elapsed_s, view.stage_length_s
    times = f"{elapsed:.1f} s" if length is None else f"{min(elapsed, length):.1f} of {length:.1f} s"
    left = "" if view.left_s is None else f"   {stopwatch(view.left_s)} left"
    end = styled("  ", times.rjust(14), left)
    room = max(0, sheet.width - name.cell_len - end.cell_len)
    done = bar(elapsed, length, room, sheet.glyphs) if length else ""
    return name + _track(done, room, "cyan", sheet) + end


def _load(view: LiveView, rates_rps: Sequence[float], sheet: Sheet) -> Iterator[Text]:
    """Nothing before the first request."""
    if not view.sent:
        return
    yield from fact("rate", _rates(view, rates_rps, sheet), sheet)
    percentiles = zip(("p50", "p90", "p99"), figures(view.response_ms, sheet.glyphs.infinity), strict=True)
    yield from fact("response", [_field(name, value, " ms") for name, value in percentiles], sheet)
    counts = (("scheduled", view.scheduled), ("sent", view.sent), ("done", view.done))
    flying = styled(("in flight", LABEL), f" {view.in_flight:4,}")
    yield from fact("requests", [flying, *(styled((name, LABEL), f" {number:,}") for name, number in counts)], sheet)
    yield from fact("outcomes", outcome_counts(view.outcomes), sheet)
    lag = MISSING if view.lag_p99_ms is None else f"{view.lag_p99_ms:.2f}"
    yield from fact("generator", [_field("lag p99", lag, " ms"), _field("stall", f"{view.stall_ms:.1f}", " ms")], sheet)


def _rates(view: LiveView, rates_rps: Sequence[float], sheet: Sheet) -> list[Text]:
    offered = _field("offered", f"{view.offered_rps:,.1f}", "/s")
    achieved = _field("achieved", f"{view.achieved_rps:,.1f}", "/s")
    room = sheet.width - LABEL_WIDTH - offered.cell_len - achieved.cell_len - 2 * FLOW_GAP
    course = sparkline(rates_rps, min(60, room), max([view.offered_rps, *rates_rps]), sheet.glyphs)
    return [offered, achieved, styled((course, "cyan"))]


def _field(name: str, value: str, unit: str) -> Text:
    return styled((name, LABEL), " ", value.rjust(_FIELD - len(unit)), unit)


def _cpu(cpu_pct: Mapping[str, float], sheet: Sheet) -> Iterator[Text]:
    """A bar for each process; the scale is one core, or as many as the busiest process fills."""
    if not cpu_pct:
        return
    top = 100.0 * max(1, math.ceil(max(cpu_pct.values()) / 100))
    yield styled(("CPU", "bold"), (f"  full bar: {top:.0f} % of a core", LABEL))
    room = max(0, sheet.width - _NAME - _FIELD - 4)
    for name, percent in in_order(cpu_pct).items():
        label = cut(styled(name), _NAME, sheet.glyphs)
        label.pad_right(_NAME - label.cell_len)
        drawn = _track(bar(percent, top, room, sheet.glyphs), room, process_style(name), sheet)
        yield styled("  ") + label + drawn + styled(f"{percent:,.0f} %".rjust(_FIELD))


def _track(done: str, width: int, style: str, sheet: Sheet) -> Text:
    return styled((done, style), (sheet.glyphs.track * (width - len(done)), LABEL))


def _warnings(warnings: Sequence[str], sheet: Sheet) -> Iterator[Text]:
    for warning in warnings[-_WARNINGS:]:
        yield cut(styled(("! ", f"bold {WARNING}"), warning), sheet.width, sheet.glyphs)
