"""Stored runs as the metrics look at them: each view is computed once, when a criterion first asks for it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mmload.analyse.blocks import block_edges_ns
from mmload.analyse.cpu import ProcessSeries, process_series
from mmload.analyse.cpu_work import WorkShare, work_shares
from mmload.analyse.handoff import HandoffCounters, handoff_counters
from mmload.analyse.latency import response_ms
from mmload.analyse.load import Window, measure_window, measured_requests, offered_rps
from mmload.analyse.looking import distrust, looking
from mmload.model.records import RequestRecord
from mmload.store.read import Run
from mmload.store.requests import RequestTable


class Evidence:
    """Raises FolderError on damage. Only a run with a measure window has evidence."""

    def __init__(self, run: Run) -> None:
        self.run = run
        window = measure_window(run)
        assert window is not None, "the gate refuses runs without a measure window"
        self.window: Window = window

    @property
    def tp(self) -> int:
        return self.run.manifest.tp or len(self.run.manifest.ranks) or 1

    @cached_property
    def measured(self) -> RequestTable:
        """By due time."""
        return measured_requests(self.run.requests, self.window)

    @property
    def offered_rps(self) -> float | None:
        """None in a closed loop."""
        return offered_rps(self.run, self.measured, self.window)

    @property
    def identity(self) -> list[RequestRecord]:
        return self.run.requests.identity

    @cached_property
    def processes(self) -> dict[str, ProcessSeries]:
        return process_series(self.run.processes)

    @cached_property
    def work(self) -> dict[str, WorkShare]:
        """Where the profile window had another load than the measured one, that is a share's trouble."""
        return distrust(work_shares(self.run), looking(self.run, self.processes, self.window))

    @cached_property
    def handoff(self) -> HandoffCounters | None:
        return handoff_counters(self.run.server, self.window)

    @cached_property
    def response_blocks(self) -> list[NDArray[np.float64]]:
        """Response times in milliseconds by block of due time; no blocks in a short window."""
        edges = block_edges_ns(self.window.start_ns, self.window.end_ns)
        values = response_ms(self.measured)
        return np.split(values, np.searchsorted(self.measured.due_ns, edges[1:-1])) if len(edges) else []


class Rounds:
    """Runs of one variant under one load, in the order of their rounds: what a figure rests on. Never empty."""

    def __init__(self, runs: Sequence[Run]) -> None:
        self.runs = tuple(Evidence(run) for run in runs)

    @property
    def length_s(self) -> float:
        """Of all measure windows together."""
        return sum(run.window.length_s for run in self.runs)

    @property
    def requests(self) -> int:
        """Measured requests of all runs."""
        return sum(len(run.measured) for run in self.runs)
