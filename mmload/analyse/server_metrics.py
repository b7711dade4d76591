"""What the server says of itself in the measure window: its figures, what follows from them, what makes them doubtful.

Everything is taken between the first and the last scrape of the window: counters as rates, histograms by their growth.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec
import numpy as np

from mmload.analyse.cpu import ProcessSeries
from mmload.analyse.load import Window
from mmload.analyse.scheduler_counters import scheduler_counters, scheduler_disagreements
from mmload.analyse.server_findings import foreign_load, scrape_warnings, server_findings
from mmload.analyse.server_latency import server_latencies
from mmload.analyse.server_pages import Values
from mmload.analyse.server_series import ServerSeries, server_series
from mmload.model.result import ProcessCpu
from mmload.model.server import GaugeFigures, ServerFigures
from mmload.store.read import Run
from mmload.store.requests import RequestTable


class ServerSide(msgspec.Struct, frozen=True):
    """figures: None where the server was not asked in the window. findings, warnings: sentences."""

    figures: ServerFigures | None
    findings: list[str]
    warnings: list[str]


def server_side(
    run: Run, processes: Mapping[str, ProcessSeries], cpu: Mapping[str, ProcessCpu], window: Window
) -> ServerSide:
    """All that the scrapes of the window say. processes, cpu: what was sampled, to be held against it."""
    series = server_series(run.server, window.start_ns, window.end_ns)
    recorded = run.manifest.status == "complete" and run.manifest.kind == "run"
    return ServerSide(
        server_figures(series, run.requests, processes),
        server_findings(series, run.requests),
        [
            *scrape_warnings(series),
            *(foreign_load(series, run.requests) if recorded else []),
            *scheduler_disagreements(series, processes, cpu),
        ],
    )


def server_figures(series: ServerSeries, requests: RequestTable, processes: Iterable[str]) -> ServerFigures | None:
    """None where nobody asked."""
    if not len(series) and not series.failed:
        return None
    elapsed_s = float(np.ptp(series.t_ns)) / 1e9 if len(series) else 0.0
    return ServerFigures(
        scrapes=len(series),
        failed=series.failed,
        longest_gap_s=series.longest_gap_s,
        restarts=series.restarts,
        gauges={name: figures for name, values in series.gauges.items() if (figures := _gauge(values))},
        rates={name: float(values[-1]) / elapsed_s for name, values in series.counters.items() if elapsed_s > 0},
        latencies=server_latencies(series, requests),
        schedulers=scheduler_counters(series, processes),
    )


def _gauge(values: Values) -> GaugeFigures | None:
    known = values[~np.isnan(values)]
    return GaugeFigures(mean=float(known.mean()), max=float(known.max())) if len(known) else None
