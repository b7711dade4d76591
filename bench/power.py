"""How long a load must last until the gate says PASS of a server that is inside every limit by a tenth.

    nice python bench/power.py [--trials 200]       seeds are fixed; about 15 minutes on one core

For each figure the seconds at 100 requests/s after which 80 % and 95 % of the trials are a PASS, tried in steps of a
quarter more: of one run, over all of four runs whose starts are alike, and over as many runs of 40 s as it takes where
starts differ by 3 %. Of ratios: seconds of each side. Latencies are lognormal with a P99 of 450 ms and a median of
100 ms, so that 0.64 % take 500 ms or longer.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Iterator
from functools import partial
from statistics import NormalDist

import numpy as np
from planted_loads import SHAPES, Values
from trials import RATE_RPS, Trial, errors, p99, rate, rate_ratio, saving, slowdown, total_cpu, work_cpu

STEP, SHORTEST_S, LONGEST_S, ROUND_S = 1.25, 20, 4_000, 40
_SIGMA = math.log(450 / 100) / NormalDist().inv_cdf(0.99)
OVER = 1 - NormalDist().cdf(NormalDist().inv_cdf(0.99) + math.log(500 / 450) / _SIGMA)

Case = Callable[[int, float], Trial]  # runs, how much their starts differ


def cases() -> dict[str, tuple[Case, int]]:
    """Figure -> its trial, and how much evidence a second is."""
    shapes = [(name, SHAPES[name]) for name in ("independent", "bursts of 5", "bursts of 20")]
    return {
        **{f"P99 < 500 ms, {name}": (partial(p99, process, share=OVER), RATE_RPS) for name, process in shapes},
        **{
            f"P99 < 500 ms, never over it, {name}": (partial(p99, process, share=1e-9), RATE_RPS)
            for name, process in shapes[:1]
        },
        "errors < 0.1 %, none, declared 1": (partial(errors, SHAPES["independent"], share=1e-9, declared=1), RATE_RPS),
        "errors < 0.1 %, 0.02 %, declared 1": (
            partial(errors, SHAPES["independent"], share=2e-4, declared=1),
            RATE_RPS,
        ),
        "QPS": (partial(rate, 0, truth=1.1), 1),
        "total CPU": (partial(total_cpu, 0, truth=0.9), 1),
        "CPU work": (partial(work_cpu, truth=0.9), 1),
        "QPS ratio > 0.95, as fast": (partial(rate_ratio, 0, truth=1 / 0.95), 1),
        "QPS ratio > 0.95, a tenth inside": (partial(rate_ratio, 0, truth=1.1), 1),
        "P99 ratio < 1.05, as fast": (partial(slowdown, lognormal, truth=1 / 1.05, floor=0.0), RATE_RPS),
        "P99 ratio < 1.05, a tenth inside": (partial(slowdown, lognormal, truth=0.9, floor=0.0), RATE_RPS),
        "CPU saved > 70 %, 77 %, 10 % a second": (partial(saving, 0.1, truth=1.1), 1),
        "CPU saved > 70 %, 77 %, 50 % a second": (partial(saving, 0.5, truth=1.1), 1),
    }


def lognormal(n: int, _share: float, rng: np.random.Generator) -> Values:
    return np.exp(_SIGMA * rng.standard_normal(n))


def one_run() -> Iterator[tuple[int, int]]:
    """Runs and seconds in all, ever more of them."""
    length_s = SHORTEST_S
    while length_s <= LONGEST_S:
        yield 1, length_s
        length_s = math.ceil(length_s * STEP / SHORTEST_S) * SHORTEST_S


def four_runs() -> Iterator[tuple[int, int]]:
    return ((4, 4 * length_s) for _, length_s in one_run() if 4 * length_s <= LONGEST_S)


def more_runs() -> Iterator[tuple[int, int]]:
    runs = 2
    while runs * ROUND_S <= LONGEST_S:
        yield runs, runs * ROUND_S
        runs = math.ceil(runs * STEP)


COLUMNS: dict[str, tuple[float, Callable[[], Iterator[tuple[int, int]]]]] = {
    "1 run": (0.0, one_run),
    "4 runs alike": (0.0, four_runs),
    "runs of 40 s, 3 %": (0.03, more_runs),
}


def seconds_needed(case: Case, per_second: int, column: str, trials: int) -> str:
    """For 80 and for 95 % of the trials."""
    rng = np.random.default_rng(list(column.encode()))
    spread, amounts = COLUMNS[column]
    found: list[str] = []
    for runs, seconds in amounts():
        trial = case(runs, spread)
        passed = sum(trial(seconds * per_second, rng) == "PASS" for _ in range(trials)) / trials
        found += [f"{seconds:,}"] * ((passed >= 0.8) + (passed >= 0.95) - len(found))
        if len(found) == 2:
            break
    return " / ".join([*found, f"> {LONGEST_S:,}", f"> {LONGEST_S:,}"][:2])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=200)
    parser.add_argument("--only", default="", help="figures that begin so")
    given = parser.parse_args()
    print(f"seconds in all until 80 % / 95 % of {given.trials:,} trials pass")
    print(f"{'':42}" + "".join(f"{column:>20}" for column in COLUMNS))
    for name, (case, per_second) in cases().items():
        if name.startswith(given.only):
            cells = (seconds_needed(case, per_second, column, given.trials) for column in COLUMNS)
            print(f"{name:42}" + "".join(f"{cell:>20}" for cell in cells), flush=True)


if __name__ == "__main__":
    main()
