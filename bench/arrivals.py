"""Whether requests leave when the arrival process says so: as the server saw them come, as the records say they were
sent, and as they were drawn, with one, two and four workers.

    python bench/arrivals.py [--seconds 20] [--rate 100] [--json]

Stops by itself after some two minutes. Poisson: a Kolmogorov-Smirnov test of the gaps against the exponential of their
mean. As the mean is taken from the gaps, the distances of 5,000 simulated Poisson processes, not the usual table, say
how likely a true one is to lie so far off (p); p under 0.01 falls short, so a false alarm has a chance of 1 in 100. All
six tests are of one schedule, whose own p tells whether an alarm is the draw's; a busy host bends what the server sees.
Counts in 100 ms have variance / mean 1 +- sqrt(2 / bins): 0.7 to 1.3 is three of these deviations at 20 s. At 2,000
requests the test sees a distance of 0.03: a sender that wakes on whole milliseconds has 0.058.
Constant: the coefficient of variation of the gaps.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from common import BODIES, Figure, Run, exact_server, mmload_run, of_one_size, parser_of, report, scratch
from numpy.typing import NDArray

WORKERS = (1, 2, 4)
SIMULATED = 5000
FALSE_ALARM = 0.01
Times = NDArray[np.int64]


def ks_distances(gaps: NDArray[np.float64]) -> NDArray[np.float64]:
    """For each row of gaps, the largest difference between their distribution and the exponential of their mean."""
    ordered = np.sort(gaps, axis=1)
    n = ordered.shape[1]
    theory = 1 - np.exp(-ordered / ordered.mean(axis=1, keepdims=True))
    steps = np.arange(n + 1) / n
    distances: NDArray[np.float64] = np.maximum(steps[1:] - theory, theory - steps[:-1]).max(axis=1)
    return distances


def simulated_distances(gaps: int) -> NDArray[np.float64]:
    """Those of true Poisson processes, sorted."""
    rng = np.random.default_rng(0)
    return np.sort(np.concatenate([ks_distances(rng.exponential(size=(100, gaps))) for _ in range(SIMULATED // 100)]))


def chance_of(distance: float, simulated: NDArray[np.float64]) -> float:
    """How often a true Poisson process is at least as far off."""
    beyond = len(simulated) - np.searchsorted(simulated, distance)
    return float(beyond + 1) / (len(simulated) + 1)


def dispersion(times_ns: Times, bin_ns: int = 100_000_000) -> float:
    """Variance over mean of the number in each whole bin."""
    bins = (times_ns - times_ns[0]) // bin_ns
    counts = np.bincount(bins)[:-1]
    return float(counts.var() / counts.mean())


def variation(times_ns: Times) -> float:
    """Coefficient of variation of the gaps."""
    gaps = np.diff(times_ns)
    return float(gaps.std() / gaps.mean())


def arrivals(folder: Path, arrival: str, workers: int, rate_rps: float, seconds: float) -> dict[str, Times]:
    """Sorted times of the measured requests: due, sent, and first byte at the server."""
    load = ("--rate", f"{rate_rps:g}", "--arrival", arrival, "--warmup", "1s", "--duration", f"{seconds:g}s")
    with exact_server(folder, 0.05, "--pin") as server:
        run: Run = mmload_run(
            folder,
            server.url,
            *load,
            "--workers",
            str(workers),
            "--workload",
            str(of_one_size(folder, BODIES["133 kB"])),
        )
    wire = server.wire().by_id
    return {
        "due": np.sort([record.due_ns for record in run.measured]),
        "sent": np.sort([record.sent_ns for record in run.measured if record.sent_ns is not None]),
        "at the server": np.sort([wire[record.id].first_ns for record in run.measured if record.id in wire]),
    }


def poisson(folder: Path, rate_rps: float, seconds: float) -> list[Figure]:
    simulated = simulated_distances(round(rate_rps * seconds) - 1)
    figures = []
    for workers in WORKERS:
        for name, times in arrivals(folder, "poisson", workers, rate_rps, seconds).items():
            distance = float(ks_distances(np.diff(times)[np.newaxis].astype(np.float64))[0])
            chance, over = chance_of(distance, simulated), dispersion(times)
            if name == "due":
                if workers == WORKERS[0]:
                    figures.append(Figure("Poisson schedule: KS p", chance, note=f"distance {distance:.4f}"))
                    figures.append(Figure("Poisson schedule: variance / mean per 100 ms", over))
                continue
            title = f"Poisson, {workers} worker(s), {name}"
            figures.append(Figure(f"{title}: KS p", chance, at_least=FALSE_ALARM, note=f"distance {distance:.4f}"))
            figures.append(Figure(f"{title}: variance / mean per 100 ms", over, at_least=0.7, at_most=1.3))
    return figures


def constant(folder: Path, rate_rps: float, seconds: float) -> list[Figure]:
    figures = []
    for workers in WORKERS:
        times = arrivals(folder, "constant", workers, rate_rps, seconds)
        for name in ("sent", "at the server"):
            limit = 0.05 if name == "sent" else None
            title = f"constant, {workers} worker(s), {name}: variation of the gaps"
            figures.append(Figure(title, variation(times[name]), at_most=limit))
    return figures


def main() -> int:
    parser = parser_of(__doc__)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--rate", type=float, default=100.0)
    arguments = parser.parse_args()
    with scratch() as folder:
        figures = poisson(folder, arguments.rate, arguments.seconds)
        figures += constant(folder, arguments.rate, min(arguments.seconds, 8.0))
    return report(figures, as_json=arguments.json)


if __name__ == "__main__":
    sys.exit(main())
