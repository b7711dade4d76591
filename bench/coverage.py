"""How often the gate's bounds are wrong: a server that stands exactly at the limit, judged again and again.

    nice python bench/coverage.py [--trials 1000] [--only P99]       seeds are fixed; about 30 minutes on one core

At the limit PASS and FAIL are both wrong, and each may come out in at most 5 % of trials. What is above that by more
than the simulation's own error (3 standard errors: 2.1 points at 1000 trials) is marked with `!`. Rows: what varies,
and how (bench/trials.py, bench/planted_loads.py). Columns: how much evidence there is, in all runs of a side.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np
from planted_loads import SHAPES
from trials import (
    Trial,
    all_of,
    errors,
    looking_again,
    p99,
    rate,
    rate_ratio,
    saving,
    slowdown,
    total_cpu,
    work_cpu,
)

ALLOWED = 0.05
NEW = "each of a new run"


def four(of: str, trial: Callable[[int, float], Trial], spreads: Sequence[float]) -> dict[str, Trial]:
    """Rows of four runs, by how much their starts differ."""

    def row(spread: float) -> str:
        unknowable = "nobody can know: " if spread >= 1 else ""
        return f"{unknowable}{of}, 4 runs, {f'starts differ by {spread:.0%}' if spread else 'starts alike'}"

    return {row(spread): trial(4, spread) for spread in spreads}


class Table(NamedTuple):
    title: str
    sizes: Sequence[int]
    rows: Mapping[str, Trial]


def tables() -> list[Table]:
    alone, fives, twenties = (SHAPES[name] for name in ("independent", "bursts of 5", "bursts of 20"))
    return [
        Table(
            "P99, declared design effect 40; requests",
            (50, 300, 1_000, 4_000, 12_000, 60_000),
            {name: p99(process) for name, process in SHAPES.items()},
        ),
        Table(
            "P99 of several runs; requests in all",
            (1_000, 4_000, 12_000, 60_000),
            {
                **four("independent", partial(p99, alone), (0, 0.3, 1.0)),
                **four("bursts of 5", partial(p99, fives), (0, 0.3, 1.0)),
                **four("bursts of 20", partial(p99, twenties), (0, 0.3, 1.0)),
                "independent, 2 runs, starts differ by 30%": p99(alone, 2, 0.3),
                "nobody can know: independent, 8 runs, starts differ by 100%": p99(alone, 8, 1.0),
                "nobody can know: 1 run, starts differ by 30%": p99(alone, 1, 0.3),
            },
        ),
        Table(
            "P99, too small a declared design effect; requests",
            (50, 300, 1_000, 4_000, 12_000, 60_000),
            {
                "independent, declared 1": p99(alone, declared=1),
                "nobody can know: bursts of 5, declared 1": p99(fives, declared=1),
                "nobody can know: bursts of 20, declared 5": p99(twenties, declared=5),
            },
        ),
        Table(
            "error rate at 0.1 %; requests",
            (300, 3_000, 12_000, 60_000, 300_000),
            {
                "independent, declared 1": errors(alone, declared=1),
                **{
                    f"{name}, declared 40": errors(SHAPES[name])
                    for name in ("independent", "bursts of 5", "bursts of 20")
                },
                **four("independent, declared 1", partial(errors, alone, declared=1), (0, 0.3, 1.0)),
                **four("bursts of 5, declared 40", partial(errors, fives), (0, 0.3, 1.0)),
            },
        ),
        Table(
            "achieved rate; seconds",
            (5, 20, 40, 120, 600),
            {"Poisson": rate(0), "spells of 2 s": rate(2), "spells of 5 s": rate(5)},
        ),
        Table(
            "achieved rate; seconds in all",
            (40, 120, 600),
            {
                **four("Poisson", partial(rate, 0), (0, 0.01, 0.1)),
                **four("spells of 2 s", partial(rate, 2), (0, 0.01, 0.1)),
                **four("spells of 5 s", partial(rate, 5), (0,)),
                "Poisson, 2 runs, starts differ by 1%": rate(0, 2, 0.01),
                "nobody can know: Poisson, 1 run, starts differ by 1%": rate(0, 1, 0.01),
            },
        ),
        Table(
            "total CPU; seconds",
            (5, 20, 40, 120, 600),
            {"Poisson": total_cpu(0), "spells of 2 s": total_cpu(2), "spells of 5 s": total_cpu(5)},
        ),
        Table(
            "total CPU; seconds in all",
            (40, 120, 600),
            {
                **four("Poisson", partial(total_cpu, 0), (0, 0.02, 0.1)),
                **four("spells of 5 s", partial(total_cpu, 5), (0,)),
            },
        ),
        Table(
            "CPU work, shares off by the whole allowance of 2 points; seconds",
            (5, 20, 40, 120, 600),
            {"sees too little work": work_cpu(bias=-0.02), "sees too much": work_cpu(bias=0.02)},
        ),
        Table(
            "CPU work, the same; seconds in all",
            (40, 120, 600),
            {
                **four("sees too little work", partial(work_cpu, bias=-0.02), (0, 0.02, 0.1)),
                **four("sees too much", partial(work_cpu, bias=0.02), (0, 0.02, 0.1)),
            },
        ),
        Table(
            "QPS ratio; seconds of each side",
            (5, 20, 40, 120),
            {"Poisson": rate_ratio(0), "spells of 2 s": rate_ratio(2)},
        ),
        Table(
            "QPS ratio; seconds of each side in all",
            (40, 120, 600),
            {
                **four("Poisson", partial(rate_ratio, 0), (0, 0.01, 0.1)),
                **four("spells of 2 s", partial(rate_ratio, 2), (0, 0.1)),
            },
        ),
        Table(
            "CPU saved; seconds of each side",
            (5, 20, 40, 120),
            {"a second's cost varies by 10%": saving(0.1), "a second's cost varies by 50%": saving(0.5)},
        ),
        Table(
            "CPU saved; seconds of each side in all",
            (40, 120),
            four("varies by 10%", partial(saving, 0.1), (0, 0.02, 0.1)),
        ),
        Table(
            "P99 ratio; requests of each side",
            (1_000, 4_000, 12_000),
            {name: slowdown(SHAPES[name]) for name in ("independent", "bursts of 5", "bursts of 20", "AR(1) 0.9")},
        ),
        Table(
            "P99 ratio; requests of each side in all",
            (4_000, 12_000),
            {
                **four("independent", partial(slowdown, alone), (0, 0.02, 0.1)),
                **four("bursts of 20", partial(slowdown, twenties), (0, 0.1)),
            },
        ),
        Table(
            "several criteria, each at its limit; requests",
            (1_000, 4_000),
            {f"{n} criteria": all_of(n, p99(alone, declared=1)) for n in (1, 3, 10)},
        ),
        Table(
            "looks at an achieved rate, until it passes; seconds",
            (100, 500),
            {
                f"{looks} looks, {planned} planned, {way}": looking_again(looks, planned, fresh=way == NEW)
                for looks in (1, 5, 7)
                for planned in dict.fromkeys((1, looks))
                for way in ("at a run that grows", NEW)
            },
        ),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=1000)
    parser.add_argument("--only", default="", help="tables whose titles begin so")
    given = parser.parse_args()
    most = ALLOWED + 3 * math.sqrt(ALLOWED * (1 - ALLOWED) / given.trials)
    print(f"percent of {given.trials:,} trials: PASS FAIL, both wrong; ! is above {100 * most:.1f}")
    for table in tables():
        if not table.title.startswith(given.only):
            continue
        print(f"\n{table.title}")
        for name, trial in table.rows.items():
            print(
                f"  {name:52} " + "   ".join(_cell(name, trial, n, given.trials, most) for n in table.sizes), flush=True
            )


def _cell(row: str, trial: Trial, n: int, trials: int, most: float) -> str:
    rng = np.random.default_rng(list(f"{row} {n}".encode()))  # rows of one seed would err together
    words = [trial(n, rng) for _ in range(trials)]
    passed, failed = (words.count(word) / trials for word in ("PASS", "FAIL"))
    mark = "!" if passed > most or failed > most else " "
    return f"{n:,}: {100 * passed:4.1f} {100 * failed:4.1f}{mark}"


if __name__ == "__main__":
    main()
