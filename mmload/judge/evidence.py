"""Stored runs as the metrics look at them: each view is computed once, when a criterion first asks for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mmload.analyse.blocks import block_edges_ns
from mmload.analyse.cpu import ProcessSeries
from mmload.analyse.cpu_work import WorkShare
from mmload.analyse.handoff import HandoffCounters, handoff_counters
from mmload.analyse.latency import response_ms
from mmload.analyse.load import Window, measure_window, measured_requests, offered_rps
from mmload.analyse.run_cpu import RunCpu
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

    @property
    def processes(self) -> dict[str, ProcessSeries]:
        return self.run.once(RunCpu).series

    @property
    def work(self) -> dict[str, WorkShare]:
        return self.run.once(RunCpu).shares

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
    """Runs of one variant under one load: what a figure rests on. Never empty. In the order of their seeds, which is
    that of their rounds, so that those of two sides pair up."""

    def __init__(self, runs: Sequence[Run]) -> None:
        ordered = sorted(runs, key=lambda run: (run.manifest.seed, run.run_id))
        self.runs = tuple(Evidence(run) for run in ordered)

    @property
    def tp(self) -> int:
        return self.runs[0].tp

    @property
    def lengths_s(self) -> list[float]:
        """Of the measure windows."""
        return [run.window.length_s for run in self.runs]

    @property
    def length_s(self) -> float:
        """Of all measure windows together."""
        return sum(self.lengths_s)

    @property
    def requests(self) -> int:
        """Measured requests of all runs."""
        return sum(len(run.measured) for run in self.runs)

    def file(self, name: str) -> str:
        """Where evidence lies: `requests.jsonl`, of several runs `requests.jsonl of 4 runs`."""
        return name if len(self.runs) == 1 else f"{name} of {len(self.runs)} runs"

    def first_trouble(self, trouble_of: Callable[[Evidence], str | None]) -> str | None:
        """What stands in the way in the first run in which anything does, which is named where there are several."""
        for run in self.runs:
            if trouble := trouble_of(run):
                return trouble if len(self.runs) == 1 else f"{run.run.run_id}: {trouble}"
        return None
