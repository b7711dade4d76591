"""What the handoff costs per request on the terminal: CPU and time by process, then what else the server counted."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from rich.text import Text

from mmload.model.result import Estimate, Summary
from mmload.show.palette import LABEL
from mmload.show.terminal_figures import figure, figures, interval
from mmload.show.terminal_processes import in_order, short_name
from mmload.show.terminal_sheet import Column, Sheet, fact, grid, styled

_TITLES = {"counters": "handoff of a request", "samples": "handoff, by stack samples"}
_SUFFIX = "_per_request"
_OF_PROCESS = re.compile(r'(?P<name>\w+)\{process="(?P<process>[^"]*)"\}')


def handoff_costs(summary: Summary, sheet: Sheet) -> Iterator[Text]:
    """`Summary.handoff`: figures that are known for each process as a table, the others below it: counts that are not
    0, and rates; then the same costs by the stack samples. Nothing where there is neither."""
    handoff = summary.handoff
    by_process: dict[str, dict[str, float]] = {}
    for key, value in handoff.items():
        if match := _OF_PROCESS.fullmatch(key):
            by_process.setdefault(match["name"], {})[match["process"]] = value
    if by_process:
        yield from _table(_TITLES[summary.handoff_source or "counters"], by_process, handoff, sheet)
    single = {key: value for key, value in handoff.items() if not _OF_PROCESS.fullmatch(key) and key not in by_process}
    items = [
        styled((key.removesuffix(_SUFFIX), LABEL), f" {figure(value)}")
        for key, value in sorted(single.items())
        if value or key.endswith("_rate")
    ]
    yield from fact("counted", items, sheet)
    sampled = [styled((kind, LABEL), _cost(cost)) for kind, cost in summary.phase_cpu_ms_per_request.items()]
    yield from fact("by samples", sampled, sheet)


def _cost(cost: Estimate) -> str:
    value, bounds = interval(cost.value, cost.low, cost.high)
    return f" {value} ms per answer{f' ({bounds})' if bounds else ''}"


def _table(
    title: str, by_process: Mapping[str, Mapping[str, float]], totals: Mapping[str, float], sheet: Sheet
) -> Iterator[Text]:
    processes = list(in_order(dict.fromkeys(process for costs in by_process.values() for process in costs)))
    columns = [Column(title, right=False, elastic=True), Column("all")]
    columns += [Column(short_name(process), rank=1) for process in processes]
    rows = []
    for name, costs in by_process.items():
        shown = figures([totals.get(name), *(costs.get(process) for process in processes)])
        rows.append([styled("  ", name.removesuffix(_SUFFIX)), *map(styled, shown)])
    yield from grid(columns, rows, sheet)
