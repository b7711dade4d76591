"""How often the gate's bounds are wrong: a server that stands exactly at the limit, judged again and again.

    python bench/coverage.py [--trials 2000]        about 10 minutes on one core at 2000; seeds are fixed

At the limit PASS and FAIL are both wrong, and each may come out in at most 5 % of trials (plus the error of the
simulation: +- 1 point at 2000 trials). Rows: what varies, and how. Columns: the length of the run. What no statistic
can know shows in the rows with spells: a slow spell of seconds that a short window happened not to see.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from mmload.analyse.blocks import mean_bounds
from mmload.judge.ratios import ratio_of_percentiles, ratio_of_rates
from mmload.judge.statistics import Tail, proportion_bounds

Values = NDArray[np.float64]
Process = Callable[[int, np.random.Generator], Values]
CONFIDENCE = 0.95
LIMIT = 1.0
DECLARED = 40.0


def independent(share: float) -> Process:
    """Values of which `share` lie above LIMIT."""
    return lambda n, rng: rng.random(n) / (1 - share)


def bursts(share: float, mean: float, inside: float = 1.0, single: float = 0.0, trace: bool = False) -> Process:
    """Two states with geometric lengths: in a burst (`mean` requests) a value exceeds LIMIT with chance `inside`.
    single: part of the exceedances that come alone. trace: the others of a burst are raised too, below LIMIT."""
    in_burst = share * (1 - single) / inside

    def draw(n: int, rng: np.random.Generator) -> Values:
        burst = two_states(n, mean, in_burst, rng)
        over = burst & (rng.random(n) < inside)
        over |= ~burst & (rng.random(n) < share * single / (1 - in_burst))
        calm = np.where(burst & trace, 0.9 + 0.1 * rng.random(n), 0.999 * rng.random(n))
        return np.where(over, LIMIT + rng.exponential(size=n), calm)

    return draw


def autoregressive(share: float, correlation: float) -> Process:
    """Lognormal latencies whose logarithms are an AR(1) process, `share` of them above LIMIT."""
    threshold = NormalDist().inv_cdf(1 - share)

    def draw(n: int, rng: np.random.Generator) -> Values:
        noise = rng.standard_normal(n) * math.sqrt(1 - correlation**2)
        level = rng.standard_normal()
        levels = np.empty(n)
        for i, step in enumerate(noise.tolist()):
            level = correlation * level + step
            levels[i] = level
        return np.exp(levels - threshold)

    return draw


def two_states(n: int, mean: float, share: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Which of n requests lie in bursts of geometric length, `share` of them in the long run."""
    calm = mean * (1 - share) / share
    pairs = math.ceil(2 * n / (mean + calm)) + 50
    lengths = np.empty(2 * pairs, np.int64)
    first = int(rng.random() < share)
    lengths[first::2] = rng.geometric(1 / max(1.0, calm), pairs)
    lengths[1 - first :: 2] = rng.geometric(1 / mean, pairs)
    if first:
        lengths = np.concatenate(([0], lengths))
    states = np.zeros(len(lengths), np.bool_)
    states[1::2] = True
    return np.repeat(states, lengths)[:n]


def shapes(share: float) -> dict[str, Process]:
    return {
        "independent": independent(share),
        "bursts of 5": bursts(share, 5),
        "bursts of 20": bursts(share, 20),
        "bursts of 10, half of each over": bursts(share, 10, inside=0.5),
        "bursts of 40, half of each over": bursts(share, 40, inside=0.5),
        "bursts of 20 with a trace below": bursts(share, 25, inside=0.8, trace=True),
        "half single, half in bursts of 5": bursts(share, 5, single=0.5),
        "half single, half in bursts of 20": bursts(share, 20, single=0.5),
        "AR(1) 0.9": autoregressive(share, 0.9),
        "AR(1) 0.98": autoregressive(share, 0.98),
    }


def percentile_verdict(values: Values, share: float, declared: float) -> str:
    found = Tail(values, share).percentile_bounds(CONFIDENCE, declared)
    return "PASS" if found.high < LIMIT else "FAIL" if found.low >= LIMIT else "-"


def error_verdict(values: Values, share: float, declared: float) -> str:
    found = proportion_bounds(values >= LIMIT, CONFIDENCE, declared)
    return "PASS" if found.high < share else "FAIL" if found.low >= share else "-"


def mean_verdict(blocks: Values) -> str:
    """Blocks whose true mean is LIMIT; PASS: shown to be above it (a rate), FAIL: below."""
    found = mean_bounds(blocks, CONFIDENCE)
    assert found
    return "PASS" if found[0] > LIMIT else "FAIL" if found[1] < LIMIT else "-"


def rate_blocks(seconds: int, rng: np.random.Generator, slow: float) -> Values:
    """Answers a second over their mean, in 20 blocks: 100 requests/s, Poisson; `slow`: mean length in seconds of spells
    at half the rate, a fifth of the time."""
    pace = np.where(two_states(seconds, slow, 0.2, rng), 0.5, 1.0) if slow else np.ones(seconds)
    per_second = rng.poisson(100 * pace) / (100 * (0.9 if slow else 1.0))
    return per_second[: seconds // 20 * 20].reshape(20, -1).mean(axis=1)


def saving_verdict(seconds: int, rng: np.random.Generator, spread: float) -> str:
    """CPU per request of a candidate that is exactly 0.3 of the baseline's; each second's cost varies by `spread`."""
    sides = []
    for cost in (0.3, 1.0):
        requests = rng.poisson(100, seconds).astype(float)
        spent = requests * cost * np.exp(spread * rng.standard_normal(seconds) - spread**2 / 2)
        sides.append(tuple(part.reshape(20, -1).sum(axis=1) for part in (spent, requests)))
    ratio = ratio_of_rates(sides[0], sides[1], (rng, rng))
    assert ratio
    found = ratio.interval(CONFIDENCE)
    return "PASS" if found.high < 0.3 else "FAIL" if found.low >= 0.3 else "-"


def slowdown_verdict(n: int, process: Process, rng: np.random.Generator) -> str:
    """P99 of a candidate that is exactly 1.05 times as slow as the baseline."""
    sides = [np.split(scale * (0.5 + process(n, rng)), 20) for scale in (1.05, 1.0)]
    ratio = ratio_of_percentiles(sides[0], sides[1], 0.99, (rng, rng))
    if ratio is None:
        return "-"
    found = ratio.interval(CONFIDENCE)
    return "PASS" if found.high < 1.05 else "FAIL" if found.low >= 1.05 else "-"


def row(title: str, trials: int, sizes: dict[str, Callable[[np.random.Generator], str]]) -> None:
    cells = []
    for size, verdict in sizes.items():
        rng = np.random.default_rng(list(f"{title} {size}".encode()))  # rows of one seed would err together
        words = [verdict(rng) for _ in range(trials)]
        cells.append(f"{size}: {100 * words.count('PASS') / trials:4.1f} {100 * words.count('FAIL') / trials:4.1f}")
    print(f"  {title:36} " + "   ".join(cells), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=2000)
    trials = parser.parse_args().trials
    print("percent of trials: PASS FAIL, both wrong, 5 each allowed\n\nP99 at the limit; requests")
    for name, process in shapes(0.01).items():
        sizes = {f"{n:,}": _percentile_trial(process, n) for n in (1_000, 4_000, 12_000, 30_000, 60_000)}
        row(name, trials, sizes)
    print("\nerror rate at 0.1 %, declared design effect 40; requests")
    for name in ("independent", "bursts of 5", "bursts of 20"):
        row(name, trials, {f"{n:,}": _error_trial(shapes(0.001)[name], n) for n in (4_000, 30_000, 130_000, 300_000)})
    print("\nachieved rate at the limit; seconds")
    for slow in (0, 2, 5):
        title = f"half the rate in spells of {slow} s" if slow else "Poisson"
        row(title, trials, {f"{s}": _rate_trial(s, slow) for s in (20, 40, 120, 600)})
    print("\nCPU saved at 70 %; seconds")
    for spread in (0.1, 0.5):
        row(
            f"a second's cost varies by {spread:.0%}", trials, {f"{s}": _saving_trial(s, spread) for s in (20, 40, 120)}
        )
    print("\nP99 ratio at 1.05; requests")
    for name in ("independent", "bursts of 5", "bursts of 20", "AR(1) 0.9"):
        sizes = {f"{n:,}": _slowdown_trial(shapes(0.03)[name], n) for n in (4_000, 12_000, 60_000)}
        row(name, trials // 10, sizes)


def _percentile_trial(process: Process, n: int) -> Callable[[np.random.Generator], str]:
    return lambda rng: percentile_verdict(process(n, rng), 0.01, DECLARED)


def _error_trial(process: Process, n: int) -> Callable[[np.random.Generator], str]:
    return lambda rng: error_verdict(process(n, rng), 0.001, DECLARED)


def _rate_trial(seconds: int, slow: float) -> Callable[[np.random.Generator], str]:
    return lambda rng: mean_verdict(rate_blocks(seconds, rng, slow))


def _saving_trial(seconds: int, spread: float) -> Callable[[np.random.Generator], str]:
    return lambda rng: saving_verdict(seconds, rng, spread)


def _slowdown_trial(process: Process, n: int) -> Callable[[np.random.Generator], str]:
    return lambda rng: slowdown_verdict(n, process, rng)


if __name__ == "__main__":
    main()
