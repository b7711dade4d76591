"""What the handoff costs a request: by the server's counters, where all runs have them, else by the stack samples."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
import numpy as np

from mmload.analyse.handoff import HandoffCounters, block_growth, growth
from mmload.analyse.handoff_samples import KINDS
from mmload.analyse.phase_costs import handing_over_in
from mmload.judge.costs import fewest_stacks
from mmload.judge.evidence import Rounds
from mmload.judge.figures import Figure, Terms, no_figure, pooled_figure
from mmload.judge.metrics_cost import FILES, costs_ms
from mmload.judge.pooling import pool
from mmload.judge.ratios import Resampled, reading_of, resampled_rate

_MS = 1e3


def build_cpu_ms_per_request(rounds: Rounds, terms: Terms) -> Figure:
    """CPU milliseconds of construction and hash, over all processes."""
    return _cost("build", rounds, terms)


def handoff_cpu_ms_per_request(rounds: Rounds, terms: Terms) -> Figure:
    """The same with receive, pickle and broadcast."""
    return _cost("handoff", rounds, terms)


def counted_rate(counters: HandoffCounters, stages: Iterable[str], rng: np.random.Generator) -> Resampled | None:
    """CPU seconds per request, a part for each process: what one spends goes by what it has met. None with too few
    scrapes for blocks."""
    cpu_s = [block_growth(counters, counters.cpu_s(stages, process)) for process in counters.processes]
    requests = [block_growth(counters, counters.requests(process)) for process in counters.processes]
    return resampled_rate(np.column_stack(cpu_s), np.column_stack(requests), rng)


def _cost(kind: str, rounds: Rounds, terms: Terms) -> Figure:
    return (_by_counters if all(run.handoff for run in rounds.runs) else _by_samples)(kind, rounds, terms)


def _by_counters(kind: str, rounds: Rounds, terms: Terms) -> Figure:
    _, stages = KINDS[kind]
    rng, file = np.random.default_rng(0), rounds.file("server.jsonl")
    rates = [counted_rate(run.handoff, stages, rng) for run in rounds.runs if run.handoff]
    known = [rate for rate in rates if rate]
    if len(known) < len(rates):
        spent_ms = [_spent_ms(run.handoff, stages) for run in rounds.runs if run.handoff]
        value = float(np.average(spent_ms, weights=rounds.lengths_s))
        return msgspec.structs.replace(no_figure("too few scrapes for blocks", file), value=value)
    pooled = pool([reading_of(rate, terms.confidence).scaled(_MS) for rate in known], rounds.lengths_s, least=0.0)
    evidence = f"{file}: CPU per request by the server's counters, block bootstrap"
    return pooled_figure(pooled, sum(rate.blocks for rate in known), evidence, terms)


def _spent_ms(counters: HandoffCounters, stages: Iterable[str]) -> float:
    """Of the whole window."""
    each = (growth(counters.cpu_s(stages, name)) / growth(counters.requests(name)) for name in counters.processes)
    return _MS * sum(each)


def _by_samples(kind: str, rounds: Rounds, terms: Terms) -> Figure:
    phases, _ = KINDS[kind]
    costs, file = costs_ms(rounds, lambda role: handing_over_in(role, phases), terms.confidence), rounds.file(FILES)
    if not costs:
        return no_figure("no counters of the handoff, and not of every process stacks that are evidence", file)
    pooled = pool(costs, rounds.lengths_s, least=0.0)
    figure = pooled_figure(pooled, fewest_stacks(rounds), f"{file}: CPU per request by stack samples", terms)
    return msgspec.structs.replace(figure, profiled=True)
