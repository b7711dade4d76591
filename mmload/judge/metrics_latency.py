"""Metrics of requests: percentiles, error rate, achieved rate."""

from __future__ import annotations

from collections.abc import Callable

import msgspec
import numpy as np

from mmload.analyse.blocks import FEWEST_BLOCKS
from mmload.analyse.cpu import Interval
from mmload.analyse.latency import Values
from mmload.analyse.load import achieved_rps, answers_per_block
from mmload.analyse.reading import Reading
from mmload.judge.evidence import Evidence, Rounds
from mmload.judge.figures import Figure, Least, Terms, bounded, no_figure, pooled_figure
from mmload.judge.pooling import of_blocks, pool
from mmload.judge.statistics import Bursts, Tail, Trust, bursts_of, proportion_bounds, requests_needed
from mmload.store.requests import RequestTable

_FILE = "requests.jsonl"
_LEAST_RATE = 1e-9  # nobody sends the requests that would show a smaller one
_SHOWS_ITSELF = 10  # from so many bursts on what they show outweighs what was declared


def percentile_of(values_of: Callable[[RequestTable], Values], percent: int) -> Callable[[Rounds, Terms], Figure]:
    """The metric for one percentile of one latency; values_of gives them in the order of time."""

    def figure(rounds: Rounds, terms: Terms) -> Figure:
        tail = Tail([values_of(run.measured) for run in rounds.runs], (100 - percent) / 100)
        if not tail.n:
            return no_figure("no such times in this run", rounds.file(_FILE))
        value = tail.percentile

        def bounds(factor: float) -> Interval:
            found = tail.percentile_bounds(_trust(terms, factor))
            return Interval(value, found.low, found.high)

        def needed(limit: float) -> int:
            over = tail.beyond(limit)
            return requests_needed(tail.share, over, terms.confidence, tail.bursts(over).by_bursts(_trust(terms)))

        effect = _effect(tail.bursts(tail.beyond_percentile), "beyond the percentile", terms)
        found = bounded(bounds(1.0), tail.n, f"{rounds.file(_FILE)}: exact binomial, {effect}", bounds)
        return msgspec.structs.replace(found, least=Least(needed, "over the limit"))

    return figure


def error_rate(rounds: Rounds, terms: Terms) -> Figure:
    failed = [~run.measured.is_ok for run in rounds.runs]
    n = rounds.requests
    if not n:
        return no_figure("no requests in the measure window", rounds.file(_FILE))
    bursts = bursts_of(failed)

    def bounds(factor: float) -> Interval:
        found = proportion_bounds(n, bursts, _trust(terms, factor))
        return Interval(bursts.flagged / n, found.low, found.high)

    def needed(limit: float) -> int | None:
        if limit < _LEAST_RATE:
            return None
        return requests_needed(limit, bursts.flagged, terms.confidence, bursts.by_bursts(_trust(terms)))

    evidence = f"{rounds.file(_FILE)}: Clopper-Pearson, {_effect(bursts, 'of errors', terms)}"
    return msgspec.structs.replace(bounded(bounds(1.0), n, evidence, bounds), least=Least(needed, "failed"))


def qps(rounds: Rounds, terms: Terms) -> Figure:
    file, readings = rounds.file(_FILE), [_rate(run, terms.confidence) for run in rounds.runs]
    known = [reading for reading in readings if reading]
    if len(known) < len(readings):
        rates = [achieved_rps(run.run.requests, run.window) for run in rounds.runs]
        obstacle = f"the measure window is shorter than {FEWEST_BLOCKS} blocks of a second"
        value = float(np.average(rates, weights=rounds.lengths_s))
        return msgspec.structs.replace(no_figure(obstacle, file), value=value)
    blocks = sum(len(answers_per_block(run.run.requests, run.window)) for run in rounds.runs)
    figure = pooled_figure(
        pool(known, rounds.lengths_s, least=0.0), blocks, f"{file}: means of {blocks} blocks, Student t", terms
    )
    return msgspec.structs.replace(figure, offered_rps=_offered_rps(rounds))


def _rate(run: Evidence, confidence: float) -> Reading | None:
    """None without blocks."""
    blocks = answers_per_block(run.run.requests, run.window)
    return of_blocks(achieved_rps(run.run.requests, run.window), blocks, confidence)


def _offered_rps(rounds: Rounds) -> float | None:
    """Over all runs; None in a closed loop."""
    offered = [run.offered_rps for run in rounds.runs]
    known = [rate for rate in offered if rate is not None]
    return float(np.average(known, weights=rounds.lengths_s)) if len(known) == len(offered) else None


def _trust(terms: Terms, factor: float = 1.0) -> Trust:
    return Trust(terms.confidence, terms.design_effect, factor)


def _effect(bursts: Bursts, where: str, terms: Terms) -> str:
    """The design effect, and what it rests on, in words."""
    effect, declared = bursts.design_effect(_trust(terms)), f"{terms.design_effect:g}"
    seen = f"{bursts.count:,} burst{'' if bursts.count == 1 else 's'} {where}"
    if bursts.by_runs(_trust(terms)) == effect:
        return f"design effect {effect:.3g}: so much do the {bursts.runs} runs differ ({seen})"
    if bursts.count < _SHOWS_ITSELF and bursts.longest <= terms.design_effect:
        return f"design effect {effect:.3g}: {declared} was declared, and {seen} show no other"
    return f"design effect {effect:.3g}: {seen} and two unseen (declared: {declared})"
