"""Metrics of a candidate against a baseline: ratios, savings, identical answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import msgspec
import numpy as np

from mmload.analyse.cpu import Interval
from mmload.analyse.handoff import BUILD_STAGES, HANDOFF_STAGES, HandoffCounters, block_growth
from mmload.analyse.load import answers_per_block
from mmload.judge.evidence import Evidence
from mmload.judge.figures import Figure, Terms, bounded, no_figure, shrunk
from mmload.judge.metrics_server import busiest_work
from mmload.judge.ratios import (
    Generators,
    RatioSample,
    Values,
    ratio_of_intervals,
    ratio_of_percentiles,
    ratio_of_rates,
)
from mmload.model.records import RequestRecord

_LEAST_TP = 4  # below, at most half of the build can be saved, and a limit of 70 % says nothing
_ONE_PAIR = "one run of each, so not how two starts differ"


def qps_ratio(candidate: Evidence, baseline: Evidence, terms: Terms) -> Figure:
    ratio = ratio_of_rates(_answers(candidate), _answers(baseline), _generators(candidate, baseline))
    return _ratio(ratio, terms, candidate, "requests.jsonl", "the measure windows are too short for blocks")


def response_ratio(percent: int) -> Callable[[Evidence, Evidence, Terms], Figure]:
    """The metric for one percentile of the response time."""

    def figure(candidate: Evidence, baseline: Evidence, terms: Terms) -> Figure:
        sides = candidate.response_blocks, baseline.response_blocks
        ratio = ratio_of_percentiles(*sides, percent / 100, _generators(candidate, baseline))
        obstacle = f"too few requests beyond the p{percent} of one of the runs, or some of them got no answer"
        return _ratio(ratio, terms, candidate, "requests.jsonl", obstacle)

    return figure


def cpu_work_ratio(candidate: Evidence, baseline: Evidence, terms: Terms) -> Figure:
    ours, theirs = (busiest_work(run, terms.confidence) for run in (candidate, baseline))
    file = "processes.jsonl and stacks/"
    if ours is None or theirs is None:
        return no_figure("the work of a rank is unknown in one of the runs (no stacks, or too few samples)", file)
    if ours.value <= 0 or theirs.value <= 0:
        return no_figure("no work was seen in one of the runs", file)

    def bounds(factor: float) -> Interval:
        return ratio_of_intervals(shrunk(ours, factor), shrunk(theirs, factor))

    samples = min(share.samples for run in (candidate, baseline) for share in run.work.values())
    evidence = f"{file}: busiest ranks, bounds in quadrature; {_ONE_PAIR}"
    return msgspec.structs.replace(bounded(bounds(1.0), samples, evidence, bounds), profiled=True)


def build_cpu_saved(candidate: Evidence, baseline: Evidence, terms: Terms) -> Figure:
    figure = _saved(BUILD_STAGES, candidate, baseline, terms)
    if candidate.tp >= _LEAST_TP or figure.value is None:
        return figure
    possible = (candidate.tp - 1) / candidate.tp
    share = f": {figure.value / possible:.0%} of that is" if possible else ""
    skipped = f"at TP {candidate.tp} at most {possible:.0%} can be saved{share}; judged at TP {_LEAST_TP} and more"
    return msgspec.structs.replace(figure, skipped=skipped)


def handoff_cpu_saved(candidate: Evidence, baseline: Evidence, terms: Terms) -> Figure:
    return _saved(HANDOFF_STAGES, candidate, baseline, terms)


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


def _saved(stages: Sequence[str], candidate: Evidence, baseline: Evidence, terms: Terms) -> Figure:
    file = "server.jsonl"
    if candidate.handoff is None or baseline.handoff is None:
        return no_figure("the server of one of the runs exports no handoff counters", file)
    sides = [_cpu_and_requests(run, stages) for run in (candidate.handoff, baseline.handoff)]
    ratio = ratio_of_rates(sides[0], sides[1], _generators(candidate, baseline))
    if ratio is None:
        return no_figure("too few scrapes for blocks, or nothing was counted", file)

    def saved(factor: float) -> Interval:
        found = ratio.interval(terms.confidence, factor)
        return Interval(1 - found.value, 1 - found.high, 1 - found.low)

    evidence = f"{file}: CPU per request by the server's counters, block bootstrap; {_ONE_PAIR}"
    return bounded(saved(1.0), len(sides[0][0]), evidence, saved)


def _ratio(ratio: RatioSample | None, terms: Terms, candidate: Evidence, file: str, obstacle: str) -> Figure:
    if ratio is None:
        return no_figure(obstacle, file, len(candidate.measured))

    def bounds(factor: float) -> Interval:
        return ratio.interval(terms.confidence, factor)

    return bounded(bounds(1.0), len(candidate.measured), f"{file}: block bootstrap; {_ONE_PAIR}", bounds)


def _generators(candidate: Evidence, baseline: Evidence) -> Generators:
    """Of fixed seeds, so that judging again gives the same bytes; the same one for runs with the same schedule."""
    schedules = {run.run.manifest.schedule_sha256 for run in (candidate, baseline)}
    paired = len(schedules) == 1 and None not in schedules
    return np.random.default_rng(0), np.random.default_rng(0 if paired else 1)


def _answers(run: Evidence) -> tuple[Values, Values]:
    """Answers per second and 1 s in each block of the run: blocks of one run are of equal length."""
    rates = answers_per_block(run.run.requests, run.window)
    return rates, np.ones(len(rates))


def _cpu_and_requests(counters: HandoffCounters, stages: Iterable[str]) -> tuple[Values, Values]:
    """CPU seconds and requests in each block, a column for each process: what one spends goes by what it has met."""
    cpu_s = [block_growth(counters, counters.cpu_s(stages, process)) for process in counters.processes]
    requests = [block_growth(counters, counters.requests(process)) for process in counters.processes]
    return np.column_stack(cpu_s), np.column_stack(requests)


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
