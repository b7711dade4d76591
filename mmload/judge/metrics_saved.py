"""CPU per request that a candidate saves against a baseline in the handoff: by the server's counters, where both runs
have them, else by the stack samples of both."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import numpy as np

from mmload.analyse.cpu import Interval
from mmload.analyse.handoff import HandoffCounters, block_growth
from mmload.analyse.handoff_samples import KINDS, handing_over, total_cost
from mmload.analyse.load import achieved_rps
from mmload.analyse.ratio import ratio_of_intervals
from mmload.judge.evidence import Evidence
from mmload.judge.figures import Figure, Terms, bounded, no_figure, shrunk
from mmload.judge.pairs import generators, one_pair
from mmload.judge.ratios import Values, ratio_of_rates

_LEAST_TP = 4  # below, at most half of the build can be saved, and a limit of 70 % says nothing


def build_cpu_saved(candidate: Evidence, baseline: Evidence, terms: Terms) -> Figure:
    figure = _saved("build", candidate, baseline, terms)
    if candidate.tp >= _LEAST_TP or figure.value is None:
        return figure
    possible = (candidate.tp - 1) / candidate.tp
    share = f": {figure.value / possible:.0%} of that is" if possible else ""
    skipped = f"at TP {candidate.tp} at most {possible:.0%} can be saved{share}; judged at TP {_LEAST_TP} and more"
    return msgspec.structs.replace(figure, skipped=skipped)


def handoff_cpu_saved(candidate: Evidence, baseline: Evidence, terms: Terms) -> Figure:
    return _saved("handoff", candidate, baseline, terms)


def _saved(kind: str, candidate: Evidence, baseline: Evidence, terms: Terms) -> Figure:
    if candidate.handoff is None or baseline.handoff is None:
        return _by_samples(kind, candidate, baseline, terms)
    _, stages = KINDS[kind]
    sides = [_cpu_and_requests(counters, stages) for counters in (candidate.handoff, baseline.handoff)]
    ratio, file = ratio_of_rates(sides[0], sides[1], generators(candidate, baseline)), "server.jsonl"
    if ratio is None:
        return no_figure("too few scrapes for blocks, or nothing was counted", file)

    def saved(factor: float) -> Interval:
        return _rest(ratio.interval(terms.confidence, factor))

    evidence = f"{file}: CPU per request by the server's counters, block bootstrap; {one_pair(candidate, baseline)}"
    return bounded(saved(1.0), len(sides[0][0]), evidence, saved)


def _by_samples(kind: str, candidate: Evidence, baseline: Evidence, terms: Terms) -> Figure:
    file = "processes.jsonl and stacks/"
    ours, theirs = (_sampled_ms(kind, run, terms.confidence) for run in (candidate, baseline))
    if ours is None or theirs is None:
        return no_figure(
            "one of the runs has no counters of the handoff, and not of every process stacks that are evidence", file
        )
    if ours.value <= 0 or theirs.value <= 0:
        return no_figure(f"one of the runs has no counters of the handoff, and no stack sample of the {kind}", file)

    def saved(factor: float) -> Interval:
        return _rest(ratio_of_intervals(shrunk(ours, factor), shrunk(theirs, factor)))

    evidence = f"{file}: CPU per request by stack samples, bounds in quadrature; {one_pair(candidate, baseline)}"
    stacks = min(share.samples for run in (candidate, baseline) for share in run.work.values())
    return msgspec.structs.replace(bounded(saved(1.0), stacks, evidence, saved), profiled=True)


def _sampled_ms(kind: str, run: Evidence, confidence: float) -> Interval | None:
    processes = handing_over(run.processes, run.work, run.window, confidence)
    answers_rps = achieved_rps(run.run.requests, run.window)
    if not processes or not answers_rps or not all(process.bounded for process in processes.values()):
        return None
    phases, _ = KINDS[kind]
    return total_cost(processes, phases, answers_rps)


def _cpu_and_requests(counters: HandoffCounters, stages: Iterable[str]) -> tuple[Values, Values]:
    """CPU seconds and requests in each block, a column for each process: what one spends goes by what it has met."""
    cpu_s = [block_growth(counters, counters.cpu_s(stages, process)) for process in counters.processes]
    requests = [block_growth(counters, counters.requests(process)) for process in counters.processes]
    return np.column_stack(cpu_s), np.column_stack(requests)


def _rest(ratio: Interval) -> Interval:
    return Interval(1 - ratio.value, 1 - ratio.high, 1 - ratio.low)
