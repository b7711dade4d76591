"""How much a request's CPU differs between starts of one server: what mmload/analyse/flame_diff.py allows for.

    python bench/between_starts.py [--runs 8] [--seconds 16] [--tp 2] [DIR ...]

Starts two variants in turn (`mmload compare`). CPU by the kernel's count, which no sampling blurs, over the correct
answers of the window; relative standard deviation within runs of one variant under one load, pooled, for the kinds of
processes, with a chi-square interval. DIR: folders of runs that are there already, instead; only valid ones count.
"""

import math
import subprocess
import sys
from collections import defaultdict
from itertools import chain
from pathlib import Path
from statistics import NormalDist, mean
from typing import NamedTuple

from common import Figure, parser_of, report, scratch

from mmload.analyse import load
from mmload.analyse.cpu import total_pct
from mmload.analyse.flame_diff import BETWEEN_STARTS
from mmload.analyse.flame_document import is_rank
from mmload.analyse.phase_costs import MS_PER_PCT
from mmload.analyse.run_cpu import RunCpu
from mmload.store.read import list_runs

KINDS = {
    "tokenizer": lambda name: name == "tokenizer",
    "rank 0": lambda name: name == "scheduler_TP0",
    "all ranks": is_rank,
}


def main() -> int:
    parser = parser_of(__doc__)
    parser.add_argument("--runs", type=int, default=8)
    parser.add_argument("--seconds", type=int, default=16)
    parser.add_argument("--tp", type=int, default=2)
    parser.add_argument("folders", type=Path, nargs="*", metavar="DIR")
    options = parser.parse_args()
    if options.folders:
        return report(list(figures_of(runs_in(options.folders))), as_json=options.json)
    with scratch() as folder:
        command = [sys.executable, "-m", "mmload", "compare", "--variants", "original,optimized", "--no-profile"]
        command += ["--rounds", str(options.runs), "--rate", "60", "--tp", str(options.tp)]
        command += ["--warmup", "1s", "--duration", f"{options.seconds}s", "--out", str(folder)]
        subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
        return report(list(figures_of(runs_in([folder]))), as_json=options.json)


def runs_in(folders):
    """Those to go by: whole, valid, and no side scene of a gate."""
    for run in chain.from_iterable(map(list_runs, folders)):
        manifest = run.manifest
        is_main = manifest.member is None or manifest.member.scene == "main"
        if (manifest.kind, manifest.status, manifest.validity) == ("run", "complete", "valid") and is_main:
            yield run


def figures_of(runs):
    """For each engine, length of window and kind of process."""
    groups = defaultdict(list)
    for run in runs:
        groups[alike(run)].append(cpu_ms(run))
    for engine, seconds in sorted({(key.engine, key.seconds) for key in groups}):
        found = [costs for key, costs in groups.items() if (key.engine, key.seconds) == (engine, seconds)]
        for kind, is_of in KINDS.items():
            name = f"CPU a request between starts, {engine}, {seconds} s, {kind}"
            yield spread(name, [[sum(ms for of, ms in one.items() if is_of(of)) for one in costs] for costs in found])


class Alike(NamedTuple):
    """Runs that are the same in this differ by chance and by their starts."""

    folder: Path
    engine: str
    variant: str
    workload: str
    load: str
    tp: int
    seconds: int


def alike(run):
    manifest, window = run.manifest, run.once(RunCpu).window
    seconds = round((window.end_ns - window.start_ns) / 1e9)
    setting = manifest.engine, manifest.variant, manifest.workload, str(run.plan.load), manifest.tp
    return Alike(run.layout.path.parent, *setting, seconds)


def cpu_ms(run):
    """Process -> CPU ms per request."""
    known = run.once(RunCpu)
    answers_rps = load.achieved_rps(run.requests, known.window)
    totals = {name: total_pct(series, known.window) for name, series in known.series.items()}
    return {name: total * MS_PER_PCT / answers_rps for name, total in totals.items() if total is not None}


def spread(name, groups):
    """The relative standard deviation within groups, pooled."""
    groups = [group for group in groups if len(group) > 1]
    freedom = sum(len(group) - 1 for group in groups)
    if not freedom:
        return Figure(name, None, note="no two runs are alike")
    squares = sum((one / mean(group) - 1) ** 2 for group in groups for one in group)
    low, high = (math.sqrt(squares / chi_square(p, freedom)) for p in (0.975, 0.025))
    runs = sum(map(len, groups))
    note = f"95 %: {100 * low:.1f} to {100 * high:.1f}; of {runs} runs; {100 * BETWEEN_STARTS:g} is allowed for"
    return Figure(name, 100 * math.sqrt(squares / freedom), "%", note=note)


def chi_square(p, freedom):
    """A quantile, by Wilson and Hilferty's approximation (1931)."""
    ninth = 2 / (9 * freedom)
    return freedom * max(0.01, 1 - ninth + NormalDist().inv_cdf(p) * math.sqrt(ninth)) ** 3


if __name__ == "__main__":
    sys.exit(main())
