"""CPU per request, by the stack samples of the tokenizer and all ranks: of one variant, and against a baseline."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from mmload.analyse.reading import Reading
from mmload.judge.costs import WORK_PHASES, fewest_stacks, ms_per_answer
from mmload.judge.evidence import Rounds
from mmload.judge.figures import Figure, Terms, no_figure, pooled_figure, ratio_figure
from mmload.judge.pairs import compared
from mmload.judge.pooling import pool
from mmload.model.records import Role
from mmload.plan.phases import PhaseName

FILES = "processes.jsonl and stacks/"
PhasesIn = Callable[[Role], Sequence[PhaseName]]

_UNKNOWN = "not of every process CPU and stacks that are evidence in one of the runs, or nothing was answered"


def cpu_ms_per_request(rounds: Rounds, terms: Terms) -> Figure:
    """CPU work of the tokenizer and all ranks in milliseconds for each correct answer."""
    costs = costs_ms(rounds, _work, terms.confidence)
    if not costs:
        return no_figure(_UNKNOWN, rounds.file(FILES))
    pooled = pool(costs, rounds.lengths_s, least=0.0)
    figure = pooled_figure(pooled, fewest_stacks(rounds), f"{rounds.file(FILES)}: tokenizer and all ranks", terms)
    return msgspec.structs.replace(figure, profiled=True)


def cpu_per_request_ratio(candidate: Rounds, baseline: Rounds, terms: Terms) -> Figure:
    file = candidate.file(FILES)
    costs = [costs_ms(side, _work, terms.confidence) for side in (candidate, baseline)]
    if not all(costs):
        return no_figure(_UNKNOWN, file)
    if any(cost.value <= 0 for side in costs for cost in side):
        return no_figure("the tokenizer and the ranks burnt nothing in one of the runs", file)
    stacks = min(fewest_stacks(side) for side in (candidate, baseline))
    evidence = f"{file}: tokenizer and all ranks, bounds in quadrature; {compared(candidate, baseline)}"
    return msgspec.structs.replace(ratio_figure(costs, stacks, evidence, terms), profiled=True)


def costs_ms(rounds: Rounds, phases_in: PhasesIn, confidence: float) -> list[Reading]:
    """Of each run; empty unless it is known of all."""
    found = [ms_per_answer(run, phases_in, confidence) for run in rounds.runs]
    return [cost for cost in found if cost] if all(found) else []


def _work(_role: Role) -> Sequence[PhaseName]:
    return WORK_PHASES
