"""Loads of which the truth is known, for bench/coverage.py and bench/power.py: latencies and errors that come in
bursts, seconds that differ, starts that differ. Every function takes its generator of random numbers.

A process draws the values of one run: process(n, share, rng) -> n values, `share` of them above LIMIT in the long run.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Process = Callable[[int, float, np.random.Generator], Values]
LIMIT = 1.0
BUSY, CALM = 0.5, 1.125  # a second's pace within a spell, a fifth of the time, and outside


def independent(n: int, share: float, rng: np.random.Generator) -> Values:
    return rng.random(n) / (1 - share)


def bursts(mean: float, inside: float = 1.0, single: float = 0.0, trace: bool = False) -> Process:
    """Two states with geometric lengths: in a burst (`mean` requests) a value exceeds LIMIT with chance `inside`.
    single: part of the exceedances that come alone. trace: the others of a burst are raised too, below LIMIT."""

    def draw(n: int, share: float, rng: np.random.Generator) -> Values:
        in_burst = share * (1 - single) / inside
        burst = two_states(n, mean, in_burst, rng)
        over = burst & (rng.random(n) < inside)
        over |= ~burst & (rng.random(n) < share * single / (1 - in_burst))
        calm = np.where(burst & trace, 0.9 + 0.1 * rng.random(n), 0.999 * rng.random(n))
        return np.where(over, LIMIT + rng.exponential(size=n), calm)

    return draw


def autoregressive(correlation: float) -> Process:
    """Lognormal latencies whose logarithms are an AR(1) process."""

    def draw(n: int, share: float, rng: np.random.Generator) -> Values:
        noise = rng.standard_normal(n) * math.sqrt(1 - correlation**2)
        level = rng.standard_normal()
        levels = np.empty(n)
        for i, step in enumerate(noise.tolist()):
            level = correlation * level + step
            levels[i] = level
        return np.exp(levels - NormalDist().inv_cdf(1 - share))

    return draw


SHAPES: dict[str, Process] = {
    "independent": independent,
    "bursts of 5": bursts(5),
    "bursts of 20": bursts(20),
    "bursts of 5 with a trace below": bursts(6.25, inside=0.8, trace=True),
    "bursts of 20 with a trace below": bursts(25, inside=0.8, trace=True),
    "bursts of 10, half of each over": bursts(10, inside=0.5),
    "bursts of 40, half of each over": bursts(40, inside=0.5),
    "half single, half in bursts of 5": bursts(5, single=0.5),
    "half single, half in bursts of 20": bursts(20, single=0.5),
    "AR(1) 0.9": autoregressive(0.9),
    "AR(1) 0.98": autoregressive(0.98),
}


def two_states(n: int, mean: float, share: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Which of n requests or seconds lie in bursts of geometric length, `share` of them in the long run."""
    calm = mean * (1 - share) / share
    pairs = math.ceil(2 * n / (mean + calm)) + 50
    lengths = np.empty(2 * pairs, np.int64)
    first = int(rng.random() < share)
    lengths[first::2] = rng.geometric(1 / max(1.0, calm), pairs)
    lengths[1 - first :: 2] = rng.geometric(1 / mean, pairs)
    lengths = np.minimum(lengths, n)  # of a rare state one calm may be longer than any memory
    if first:
        lengths = np.concatenate(([0], lengths))
    states = np.zeros(len(lengths), np.bool_)
    states[1::2] = True
    return np.repeat(states, lengths)[:n]


def starts(runs: int, spread: float, rng: np.random.Generator) -> Values:
    """A factor for each start of a server: gamma with mean 1 and standard deviation `spread`."""
    return rng.gamma(1 / spread**2, spread**2, runs) if spread else np.ones(runs)


def paces(seconds: int, spell_s: float, rng: np.random.Generator) -> Values:
    """The pace of each second, 1 in the mean: half of it in spells of mean length spell_s, a fifth of the time; always
    1 without spells."""
    return np.where(two_states(seconds, spell_s, 0.2, rng), BUSY, CALM) if spell_s else np.ones(seconds)


def in_blocks(per_second: Values, most: int = 20) -> Values:
    """Sums over blocks as mmload.analyse.blocks cuts them; per_second: (seconds,) or a multiple of the blocks long."""
    count = min(most, len(per_second))
    return per_second[: len(per_second) // count * count].reshape(count, -1).sum(axis=1)
