"""CPU per request that a candidate saves against a baseline in the handoff: by the server's counters, where all runs
have them, else by the stack samples of all."""

from __future__ import annotations

from functools import partial

import msgspec

from mmload.analyse.cpu import Interval
from mmload.analyse.handoff_samples import KINDS
from mmload.analyse.phase_costs import handing_over_in
from mmload.judge.costs import fewest_stacks
from mmload.judge.evidence import Rounds
from mmload.judge.figures import Figure, Terms, bounded, no_figure, ratio_figure
from mmload.judge.metrics_cost import FILES, costs_ms
from mmload.judge.metrics_handoff import counted_rate
from mmload.judge.pairs import compared, generators
from mmload.judge.ratios import ratio_of

_LEAST_TP = 4  # below, at most half of the build can be saved, and a limit of 70 % says nothing


def build_cpu_saved(candidate: Rounds, baseline: Rounds, terms: Terms) -> Figure:
    figure = _saved("build", candidate, baseline, terms)
    if candidate.tp >= _LEAST_TP or figure.value is None:
        return figure
    possible = (candidate.tp - 1) / candidate.tp
    share = f": {figure.value / possible:.0%} of that is" if possible else ""
    skipped = f"at TP {candidate.tp} at most {possible:.0%} can be saved{share}; judged at TP {_LEAST_TP} and more"
    return msgspec.structs.replace(figure, skipped=skipped)


def handoff_cpu_saved(candidate: Rounds, baseline: Rounds, terms: Terms) -> Figure:
    return _saved("handoff", candidate, baseline, terms)


def _saved(kind: str, candidate: Rounds, baseline: Rounds, terms: Terms) -> Figure:
    if all(run.handoff for side in (candidate, baseline) for run in side.runs):
        return _by_counters(kind, candidate, baseline, terms)
    return _by_samples(kind, candidate, baseline, terms)


def _by_counters(kind: str, candidate: Rounds, baseline: Rounds, terms: Terms) -> Figure:
    _, stages = KINDS[kind]
    sides = zip((candidate, baseline), generators(candidate, baseline), strict=True)
    rates = [
        [counted_rate(run.handoff, stages, rng) for run, rng in zip(side.runs, rngs, strict=True) if run.handoff]
        for side, rngs in sides
    ]
    ratio, file = ratio_of(*rates), candidate.file("server.jsonl")
    if ratio is None:
        return no_figure("too few scrapes for blocks, or nothing was counted in one of the runs", file)
    evidence = f"{file}: CPU per request by the server's counters, block bootstrap; {compared(candidate, baseline)}"
    blocks = sum(rate.blocks for rate in rates[0] if rate)
    interval = partial(ratio.interval, terms.confidence)
    return _rest(bounded(interval(), blocks, evidence, interval))


def _by_samples(kind: str, candidate: Rounds, baseline: Rounds, terms: Terms) -> Figure:
    phases, _ = KINDS[kind]
    file, sides = candidate.file(FILES), (candidate, baseline)
    costs = [costs_ms(side, lambda role: handing_over_in(role, phases), terms.confidence) for side in sides]
    if not all(costs):
        unknown = "one of the runs has no counters of the handoff, and not of every process stacks that are evidence"
        return no_figure(unknown, file)
    if any(cost.value <= 0 for side in costs for cost in side):
        return no_figure(f"one of the runs has no counters of the handoff, and no stack sample of the {kind}", file)
    evidence = f"{file}: CPU per request by stack samples, bounds in quadrature; {compared(candidate, baseline)}"
    ratio = ratio_figure(costs, min(fewest_stacks(side) for side in sides), evidence, terms)
    return msgspec.structs.replace(_rest(ratio), profiled=True)


def _rest(ratio: Figure) -> Figure:
    """What is saved: 1 less a ratio."""
    project = ratio.project
    assert project

    def saved(factor: float) -> Interval:
        interval = project(factor)
        return Interval(1 - interval.value, 1 - interval.high, 1 - interval.low)

    return bounded(saved(1.0), ratio.n, ratio.evidence, saved)
