"""How far two windows of one run differ though nothing was attached in either: the tolerances of analyse/looking.py.

    python bench/looking.py RUN...        runs without a profile whose measure windows last a minute and longer

From the measure window of each run, pairs of windows are drawn that do not overlap: one as long as a measured one, one
as long as a profiled one. What is said against the second is a false alarm. Pairs of one run share much of their time,
so that they say less than as many runs would.
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from common import Figure, parser_of, report

from mmload.analyse.cpu import process_series
from mmload.analyse.load import Window, measure_window
from mmload.analyse.looking import compare
from mmload.model.result import Looking
from mmload.store.read import Run

MEASURED_S, PROFILED_S = 40, 11
PAIRS = 200
_PROFILED_ROLES = ("scheduler", "tokenizer")


def main() -> int:
    parser = parser_of(__doc__)
    parser.add_argument("runs", nargs="+", type=Path)
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    figures, found = [], []
    for folder in arguments.runs:
        of_run = list(_compared(Run(folder), rng))
        figures += _spread(folder.name, of_run)
        found += of_run
    for kind in ("no_evidence", "slowed"):
        share = sum(bool(getattr(one, kind)) for one in found) / len(found)
        figures.append(Figure(f"false alarms: {kind}", share, at_most=0.01, note=f"of {len(found):,} pairs of windows"))
    return report(figures, as_json=arguments.json)


def _compared(run: Run, rng: np.random.Generator) -> Iterator[Looking]:
    processes = {name: one for name, one in process_series(run.processes).items() if one.role in _PROFILED_ROLES}
    whole = measure_window(run)
    assert whole is not None
    for _ in range(PAIRS):
        yield compare(run.requests, processes, *_pair(whole, rng))


def _pair(whole: Window, rng: np.random.Generator) -> tuple[Window, Window]:
    """A profiled one and a measured one, in either order, each anywhere that leaves room for the other."""
    spare_ns = whole.end_ns - whole.start_ns - round((MEASURED_S + PROFILED_S) * 1e9)
    before_ns, between_ns = np.diff(np.sort(rng.integers(0, spare_ns, 2)), prepend=0)
    order = [(0, PROFILED_S), (1, MEASURED_S)]
    rng.shuffle(order)
    at_ns, windows = whole.start_ns + int(before_ns), {}
    for place, length_s in order:
        windows[place] = Window(at_ns, at_ns + round(length_s * 1e9), complete=True)
        at_ns = windows[place].end_ns + int(between_ns)
    return windows[0], windows[1]


def _spread(name: str, found: list[Looking]) -> Iterator[Figure]:
    """The 99th percentile of how far each ratio lay from 1."""
    values = {
        "load": [one.load.value for one in found if one.load],
        "answers": [one.rate.value for one in found if one.rate],
        "service p50": [one.service_p50.value for one in found if one.service_p50],
        "CPU of a process": [ratio.value for one in found for ratio in one.cpu_total.values()],
    }
    for kind, ratios in values.items():
        if ratios:
            yield Figure(f"{name}: {kind}", float(np.quantile(np.abs(np.array(ratios) - 1), 0.99)), note="off 1, p99")


if __name__ == "__main__":
    sys.exit(main())
