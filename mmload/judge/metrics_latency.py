"""Metrics of the requests of one run: percentiles, error rate, achieved rate."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import msgspec

from mmload.analyse.blocks import FEWEST_BLOCKS, mean_bounds
from mmload.analyse.cpu import Interval
from mmload.analyse.latency import Values, nearest_rank
from mmload.analyse.load import achieved_rps, answers_per_block
from mmload.judge.evidence import Evidence
from mmload.judge.figures import Figure, Terms, bounded, no_figure, shrunk
from mmload.judge.statistics import Tail, proportion_bounds
from mmload.store.requests import RequestTable

_FILE = "requests.jsonl"


def percentile_of(values_of: Callable[[RequestTable], Values], percent: int) -> Callable[[Evidence, Terms], Figure]:
    """The metric for one percentile of one latency; values_of gives them in the order of time."""

    def figure(run: Evidence, terms: Terms) -> Figure:
        values = values_of(run.measured)
        if not len(values):
            return no_figure("no such times in this run", _FILE)
        tail = Tail(values, (100 - percent) / 100)
        beyond = tail.n - nearest_rank(percent / 100, tail.n)
        value = float(tail.descending[beyond])

        def bounds(factor: float) -> Interval:
            found = tail.percentile_bounds(terms.confidence, terms.design_effect, factor)
            return Interval(value, found.low, found.high)

        bursts = tail.bursts(beyond)
        effect = bursts.design_effect(terms.design_effect)
        evidence = (
            f"{_FILE}: exact binomial, design effect {effect:.3g} from {bursts.runs:,} seen and two unseen bursts "
            f"beyond the percentile (declared: {terms.design_effect:g})"
        )
        return bounded(bounds(1.0), tail.n, evidence, bounds)

    return figure


def error_rate(run: Evidence, terms: Terms) -> Figure:
    failed = ~run.measured.is_ok
    if not len(failed):
        return no_figure("no requests in the measure window", _FILE)
    value = float(failed.mean())

    def bounds(factor: float) -> Interval:
        found = proportion_bounds(failed, terms.confidence, terms.design_effect, factor)
        return Interval(value, found.low, found.high)

    evidence = (
        f"{_FILE}: Clopper-Pearson, {int(failed.sum()):,} errors, design effect declared as {terms.design_effect:g}"
    )
    return bounded(bounds(1.0), len(failed), evidence, bounds)


def qps(run: Evidence, terms: Terms) -> Figure:
    blocks = answers_per_block(run.run.requests, run.window)
    value = achieved_rps(run.run.requests, run.window)
    found = mean_bounds(blocks, terms.confidence)
    if found is None:
        return no_figure(f"the measure window is shorter than {FEWEST_BLOCKS} blocks of a second", _FILE)

    interval = Interval(value, *found)
    evidence = f"{_FILE}: means of {len(blocks)} blocks, Student t"
    figure = bounded(interval, len(blocks), evidence, partial(shrunk, interval))
    return msgspec.structs.replace(figure, offered_rps=run.offered_rps)
