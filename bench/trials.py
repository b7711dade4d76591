"""One trial of the gate on a planted load: amount of evidence, random numbers -> PASS, FAIL or INCONCLUSIVE.

A trial is made for a number of runs of each side and for how much their starts differ: each start of the server has its
own true figure, a gamma variable with that relative standard deviation whose mean is the truth. `truth`: the true
figure as a multiple of the limit.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import judging
import numpy as np
from planted_loads import Process, Values, in_blocks, paces, starts

Rng = np.random.Generator
Trial = Callable[[int, Rng], str]
RATE_RPS = 100
PROFILE_S = 10
LEAST_SAVED, MOST_SLOWDOWN, LEAST_QPS = 0.7, 1.05, 0.95


def p99(
    process: Process, runs: int = 1, spread: float = 0.0, share: float = 0.01, declared: float = judging.DECLARED
) -> Trial:
    """Requests, in all runs together, of which a share is over the limit."""

    def trial(n: int, rng: Rng) -> str:
        return judging.below(judging.percentile(_requests(process, n, share, runs, spread, rng), 0.01, declared), 1.0)

    return trial


def errors(
    process: Process, runs: int = 1, spread: float = 0.0, share: float = 0.001, declared: float = judging.DECLARED
) -> Trial:
    """Requests, in all runs together, of which a share fails; the limit is 0.1 %."""

    def trial(n: int, rng: Rng) -> str:
        return judging.below(judging.errors(_requests(process, n, share, runs, spread, rng), declared), 0.001)

    return trial


def rate(spell_s: float, runs: int = 1, spread: float = 0.0, truth: float = 1.0) -> Trial:
    """Seconds, in all runs together: answers of 100 requests/s."""

    def trial(seconds: int, rng: Rng) -> str:
        each = seconds // runs
        blocks = [
            truth * factor * in_blocks(rng.poisson(RATE_RPS * paces(each, spell_s, rng)) / RATE_RPS)
            for factor in starts(runs, spread, rng)
        ]
        return judging.above(judging.mean(_per_second(blocks, each)), 1.0)

    return trial


def total_cpu(spell_s: float, runs: int = 1, spread: float = 0.0, truth: float = 1.0) -> Trial:
    """Seconds: requests of exponentially distributed cost."""

    def trial(seconds: int, rng: Rng) -> str:
        each = seconds // runs
        blocks = [truth * factor * in_blocks(_burnt(each, spell_s, rng)) for factor in starts(runs, spread, rng)]
        return judging.below(judging.mean(_per_second(blocks, each)), 1.0)

    return trial


def work_cpu(runs: int = 1, spread: float = 0.0, truth: float = 1.0, bias: float = 0.0) -> Trial:
    """Seconds: work, with a limit of 60 % of a core, and polling beside it that burns 20 %; of each run a profile of
    10 s at 100 Hz, whose shares are off by `bias` beside chance."""

    def trial(seconds: int, rng: Rng) -> str:
        each, polling = seconds // runs, 1 / 3
        blocks, stacks = [], []
        for factor in truth * starts(runs, spread, rng):
            blocks.append(in_blocks(factor * _burnt(each, 0, rng) + polling + 0.02 * rng.standard_normal(each)))
            profiled = factor * _burnt(PROFILE_S, 0, rng).mean()
            samples = round(60 * PROFILE_S * (profiled + polling))
            share = profiled / (profiled + polling) + bias
            working = int(rng.binomial(samples, min(1.0, max(0.0, share))))
            stacks.append((working, samples - working))
        return judging.below(judging.work(_per_second(blocks, each), stacks), 1.0)

    return trial


def rate_ratio(spell_s: float, runs: int = 1, spread: float = 0.0, truth: float = 1.0) -> Trial:
    """Seconds of each side, in closed loops, so that nothing pairs up; the limit is 0.95."""

    def trial(seconds: int, rng: Rng) -> str:
        each = seconds // runs
        sides = [
            [
                _rates(rng.poisson(scale * factor * RATE_RPS * paces(each, spell_s, rng)))
                for factor in starts(runs, spread, rng)
            ]
            for scale in (LEAST_QPS * truth, 1.0)
        ]
        return judging.above(judging.ratio_of_rates(*sides, paired=False), LEAST_QPS)

    return trial


def saving(varying: float, runs: int = 1, spread: float = 0.0, truth: float = 1.0) -> Trial:
    """Seconds of each side: CPU per request under one schedule, the limit being 70 % saved; each second's cost
    varies."""

    def trial(seconds: int, rng: Rng) -> str:
        schedules = rng.poisson(RATE_RPS, (runs, seconds // runs)).astype(float)
        sides = []
        for cost in (1 - LEAST_SAVED * truth, 1.0):
            factors = starts(runs, spread, rng)
            noise = np.exp(varying * rng.standard_normal(schedules.shape) - varying**2 / 2)
            spent = schedules * cost * noise * factors[:, None]
            sides.append([np.column_stack((in_blocks(a), in_blocks(b))) for a, b in zip(spent, schedules, strict=True)])
        return judging.below(judging.ratio_of_rates(*sides, paired=True), 1 - LEAST_SAVED)

    return trial


def slowdown(process: Process, runs: int = 1, spread: float = 0.0, truth: float = 1.0, floor: float = 0.5) -> Trial:
    """Requests of each side: the P99 of the candidate over the baseline's, which is to be less than 1.05; floor: what
    every request takes besides."""

    def trial(n: int, rng: Rng) -> str:
        sides = [
            [scale * factor * (floor + process(n // runs, 0.03, rng)) for factor in starts(runs, spread, rng)]
            for scale in (MOST_SLOWDOWN * truth, 1.0)
        ]
        return judging.below(judging.ratio_of_percentiles(*sides, 0.99, paired=True), MOST_SLOWDOWN)

    return trial


def all_of(criteria: int, trial: Trial) -> Trial:
    """That many independent criteria: PASS needs all of them, FAIL one."""

    def together(n: int, rng: Rng) -> str:
        words = {trial(n, rng) for _ in range(criteria)}
        return "FAIL" if "FAIL" in words else "PASS" if words == {"PASS"} else "INCONCLUSIVE"

    return together


def looking_again(looks: int, planned: int, *, fresh: bool) -> Trial:
    """Seconds: an achieved rate at its limit, judged up to `looks` times, until it passes; bounds for so many planned
    looks. fresh: each time of so many seconds of its own, else after each of equal parts of them."""
    confidence = 1 - (1 - judging.CONFIDENCE) / planned

    def trial(seconds: int, rng: Rng) -> str:
        for look in range(1, looks + 1):
            if fresh or look == 1:
                per_second = rng.poisson(RATE_RPS, seconds) / RATE_RPS
            seen = per_second if fresh else per_second[: seconds * look // looks]
            found = judging.mean(_per_second([in_blocks(seen)], len(seen)), confidence)
            if judging.above(found, 1.0) == "PASS":
                return "PASS"
        return "INCONCLUSIVE"

    return trial


def _requests(process: Process, n: int, share: float, runs: int, spread: float, rng: Rng) -> list[Values]:
    shares = np.minimum(share * starts(runs, spread, rng), 0.5)
    return [process(n // runs, one, rng) for one in shares]


def _burnt(seconds: int, spell_s: float, rng: Rng) -> Values:
    """CPU of each second over its mean."""
    return rng.gamma(np.maximum(1, rng.poisson(RATE_RPS * paces(seconds, spell_s, rng)))) / RATE_RPS


def _rates(per_second: Values) -> Values:
    """Blocks of answers and of seconds."""
    return np.column_stack((in_blocks(per_second), in_blocks(np.ones(len(per_second)))))


def _per_second(blocks: Sequence[Values], seconds: int) -> list[Values]:
    """Sums over blocks of so many seconds in all, as means."""
    return [block / (seconds // len(block)) for block in blocks]
