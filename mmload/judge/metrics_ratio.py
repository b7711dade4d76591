"""Metrics of a candidate against a baseline: ratios, identical answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import msgspec
import numpy as np

from mmload.analyse.cpu import Interval
from mmload.analyse.load import answers_per_block
from mmload.analyse.ratio import ratio_of_intervals
from mmload.judge.evidence import Evidence
from mmload.judge.figures import Figure, Terms, bounded, no_figure, shrunk
from mmload.judge.metrics_server import busiest_total, busiest_work, rank_blocks
from mmload.judge.pairs import differing_policies, generators, one_pair
from mmload.judge.ratios import RatioSample, Values, ratio_of_percentiles, ratio_of_rates
from mmload.model.records import RequestRecord

_BUSIEST = "busiest ranks, bounds in quadrature"


def qps_ratio(candidate: Evidence, baseline: Evidence, terms: Terms) -> Figure:
    ratio = ratio_of_rates(_answers(candidate), _answers(baseline), generators(candidate, baseline))
    return _ratio(ratio, terms, (candidate, baseline), "the measure windows are too short for blocks")


def response_ratio(percent: int) -> Callable[[Evidence, Evidence, Terms], Figure]:
    """The metric for one percentile of the response time."""

    def figure(candidate: Evidence, baseline: Evidence, terms: Terms) -> Figure:
        sides = candidate.response_blocks, baseline.response_blocks
        ratio = ratio_of_percentiles(*sides, percent / 100, generators(candidate, baseline))
        obstacle = f"too few requests beyond the p{percent} of one of the runs, or some of them got no answer"
        return _ratio(ratio, terms, (candidate, baseline), obstacle)

    return figure


def cpu_work_ratio(candidate: Evidence, baseline: Evidence, terms: Terms) -> Figure:
    file = "processes.jsonl and stacks/"
    ours, theirs = (busiest_work(run, terms.confidence) for run in (candidate, baseline))
    if ours is None or theirs is None:
        return no_figure("the work of a rank is unknown in one of the runs (no stacks, or too few samples)", file)
    samples = min(share.samples for run in (candidate, baseline) for share in run.work.values())
    figure = _busiest_ratio(ours, theirs, samples, f"{file}: {_BUSIEST}; {one_pair(candidate, baseline)}")
    return msgspec.structs.replace(figure, profiled=True)


def cpu_total_ratio(candidate: Evidence, baseline: Evidence, terms: Terms) -> Figure:
    """Refused for runs with different idle policies: the polling of one is not the other's work."""
    file = "processes.jsonl"
    if policies := differing_policies(candidate, baseline):
        return no_figure(
            f"{policies}: their totals can't be compared; cpu_work_ratio can",
            f"manifest.json of {candidate.run.run_id} and {baseline.run.run_id}",
        )
    ours, theirs = (busiest_total(run, terms.confidence) for run in (candidate, baseline))
    if ours is None or theirs is None:
        return no_figure("the total of a rank is unknown in one of the runs (sampled too little)", file)
    blocks = min(rank_blocks(run) for run in (candidate, baseline))
    return _busiest_ratio(ours, theirs, blocks, f"{file}: {_BUSIEST}; {one_pair(candidate, baseline)}")


def outputs_identical(candidate: Evidence, baseline: Evidence, _terms: Terms) -> Figure:
    """A statement about every item, so without interval. Void unless the baseline tells its items apart."""
    file = "requests.jsonl, phase identity"
    expected = {record.item: record.output_sha256 for record in baseline.identity if record.outcome == "ok"}
    given = _answers_by_item(candidate.identity)
    if len(expected) < 2:
        return no_figure("fewer than two identity items of the baseline were answered", file, len(expected))
    if len(set(expected.values())) == 1:
        return no_figure("the baseline gave different items the same answer: nothing can differ", file, len(expected))
    different = sorted(item for item, answer in expected.items() if given.get(item) != answer)
    value = 0.0 if different else 1.0
    evidence = (
        f"{file}: {_listed(different)}" if different else f"{file}: {len(expected)} items, each as the baseline's"
    )
    return bounded(Interval(value, value, value), len(expected), evidence)


def _busiest_ratio(ours: Interval, theirs: Interval, n: int, evidence: str) -> Figure:
    if ours.value <= 0 or theirs.value <= 0:
        return no_figure("the busiest rank burnt nothing in one of the runs", evidence)

    def bounds(factor: float) -> Interval:
        return ratio_of_intervals(shrunk(ours, factor), shrunk(theirs, factor))

    return bounded(bounds(1.0), n, evidence, bounds)


def _ratio(ratio: RatioSample | None, terms: Terms, pair: tuple[Evidence, Evidence], obstacle: str) -> Figure:
    file, requests = "requests.jsonl", len(pair[0].measured)
    if ratio is None:
        return no_figure(obstacle, file, requests)

    def bounds(factor: float) -> Interval:
        return ratio.interval(terms.confidence, factor)

    return bounded(bounds(1.0), requests, f"{file}: block bootstrap; {one_pair(*pair)}", bounds)


def _answers(run: Evidence) -> tuple[Values, Values]:
    """Answers per second and 1 s in each block of the run: blocks of one run are of equal length."""
    rates = answers_per_block(run.run.requests, run.window)
    return rates, np.ones(len(rates))


def _answers_by_item(records: Iterable[RequestRecord]) -> dict[str, str | None]:
    """Item -> its answer's digest, None where it got none or different ones."""
    answers: dict[str, str | None] = {}
    for record in records:
        answer = record.output_sha256 if record.outcome == "ok" else None
        answers[record.item] = answer if answers.get(record.item, answer) == answer else None
    return answers


def _listed(items: Sequence[str], most: int = 5) -> str:
    more = f" and {len(items) - most} more" if len(items) > most else ""
    return f"other answers than the baseline's for {', '.join(items[:most])}{more}"
