"""Metrics of a candidate against a baseline: ratios."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from functools import partial

import msgspec
import numpy as np

from mmload.analyse.cpu import Interval
from mmload.analyse.latency import response_ms
from mmload.analyse.load import answers_per_block
from mmload.analyse.reading import Reading
from mmload.judge.costs import fewest_stacks
from mmload.judge.evidence import Evidence, Rounds
from mmload.judge.figures import Figure, Terms, bounded, no_figure, ratio_figure
from mmload.judge.metrics_server import (
    Ranks,
    profile_trouble,
    rank_blocks,
    rank_totals,
    rank_works,
    sampling_trouble,
)
from mmload.judge.pairs import compared, differing_policies, generators
from mmload.judge.pooling import pool
from mmload.judge.ratios import (
    RatioSample,
    Resampled,
    ratio_of,
    ratio_of_tails,
    resampled_percentile,
    resampled_rate,
)
from mmload.judge.statistics import Tail, Trust

_BUSIEST = "busiest ranks, bounds in quadrature"


def qps_ratio(candidate: Rounds, baseline: Rounds, terms: Terms) -> Figure:
    ratio = _bootstrap(candidate, baseline, _answers)
    obstacle = "the measure windows are too short for blocks, or nothing was answered in one of the runs"
    return _ratio(ratio, terms, (candidate, baseline), obstacle)


def response_ratio(percent: int) -> Callable[[Rounds, Rounds, Terms], Figure]:
    """The metric for one percentile of the response time."""

    def figure(candidate: Rounds, baseline: Rounds, terms: Terms) -> Figure:
        ratio = _bootstrap(
            candidate, baseline, lambda run, rng: resampled_percentile(run.response_blocks, percent / 100, rng)
        )
        if ratio is None:
            return _ratio_of_bounds((candidate, baseline), percent, terms)
        return _ratio(ratio, terms, (candidate, baseline), "")

    return figure


def _ratio_of_bounds(sides: tuple[Rounds, Rounds], percent: int, terms: Terms) -> Figure:
    """Where a bootstrap can't tell (few bursts beyond the percentile, requests without an answer): the order statistics
    of each side."""
    file, requests = sides[0].file("requests.jsonl"), sides[0].requests
    tails = [Tail([response_ms(run.measured) for run in side.runs], (100 - percent) / 100) for side in sides]
    if not all(tail.n for tail in tails):
        return no_figure("no requests in one of the measure windows", file)
    if not math.isfinite(tails[1].percentile):
        return no_figure(f"the p{percent} of the baseline is infinite: too many of its requests got no answer", file)
    if tails[1].percentile <= 0:
        return no_figure(f"the p{percent} of the baseline is 0", file)

    def bounds(factor: float) -> Interval:
        return ratio_of_tails(tails[0], tails[1], Trust(terms.confidence, terms.design_effect, factor))

    evidence = f"{file}: exact order statistics of each side, bounds divided; {compared(*sides)}"
    return bounded(bounds(1.0), requests, evidence, bounds)


def cpu_work_ratio(candidate: Rounds, baseline: Rounds, terms: Terms) -> Figure:
    sides, file = (candidate, baseline), candidate.file("processes.jsonl and stacks/")
    if trouble := _first_trouble(sides, sampling_trouble, profile_trouble):
        return no_figure(f"the work of a rank is unknown in one of the runs: {trouble}", file)
    works = [rank_works(side, terms.confidence) for side in sides]
    stacks = min(fewest_stacks(side) for side in sides)
    figure = _busiest_ratio(works, stacks, f"{file}: {_BUSIEST}; {compared(candidate, baseline)}", terms)
    return msgspec.structs.replace(figure, profiled=True)


def cpu_total_ratio(candidate: Rounds, baseline: Rounds, terms: Terms) -> Figure:
    """Refused for runs with different idle policies: the polling of one is not the other's work."""
    sides, file = (candidate, baseline), candidate.file("processes.jsonl")
    if policies := differing_policies(candidate, baseline):
        first, other = (side.runs[0].run.run_id for side in sides)
        return no_figure(
            f"{policies}: their totals can't be compared; cpu_work_ratio can", f"manifest.json of {first} and {other}"
        )
    if trouble := _first_trouble(sides, sampling_trouble):
        return no_figure(f"the total of a rank is unknown in one of the runs: {trouble}", file)
    totals = [rank_totals(side, terms.confidence) for side in sides]
    blocks = min(rank_blocks(side) for side in sides)
    return _busiest_ratio(totals, blocks, f"{file}: {_BUSIEST}; {compared(candidate, baseline)}", terms)


def _first_trouble(sides: Iterable[Rounds], *troubles_of: Callable[[Evidence], str | None]) -> str | None:
    found = (side.first_trouble(trouble_of) for trouble_of in troubles_of for side in sides)
    return next((trouble for trouble in found if trouble), None)


def _busiest_ratio(sides: Sequence[Ranks], n: int, evidence: str, terms: Terms) -> Figure:
    ours, theirs = (_busiest(ranks) for ranks in sides)
    if any(reading.value <= 0 for reading in (*ours, *theirs)):
        return no_figure("the busiest rank burnt nothing in one of the runs", evidence)
    return ratio_figure((ours, theirs), n, evidence, terms)


def _busiest(ranks: Ranks) -> Sequence[Reading]:
    """Run by run, of the rank that is the busiest over all of them."""
    return max(ranks.values(), key=lambda readings: pool(readings).value)


def _bootstrap(
    candidate: Rounds, baseline: Rounds, resampled: Callable[[Evidence, np.random.Generator], Resampled | None]
) -> RatioSample | None:
    sides = zip((candidate, baseline), generators(candidate, baseline), strict=True)
    return ratio_of(*([resampled(run, rng) for run, rng in zip(side.runs, rngs, strict=True)] for side, rngs in sides))


def _answers(run: Evidence, rng: np.random.Generator) -> Resampled | None:
    """Answers per second: blocks of one run are of equal length."""
    rates = answers_per_block(run.run.requests, run.window)
    return resampled_rate(rates, np.ones(len(rates)), rng)


def _ratio(ratio: RatioSample | None, terms: Terms, sides: tuple[Rounds, Rounds], obstacle: str) -> Figure:
    file, requests = sides[0].file("requests.jsonl"), sides[0].requests
    if ratio is None:
        return no_figure(obstacle, file, requests)
    interval = partial(ratio.interval, terms.confidence)
    return bounded(interval(), requests, f"{file}: block bootstrap; {compared(*sides)}", interval)
