"""How many nodes of two flame graphs of one variant are taken to differ, and whether a planted difference is found.

    python bench/flame_noise.py [--runs 4] [--seconds 8] [--variant original] [--against optimized] [--out DIR]

Makes runs of both variants in turn (`mmload compare`), and holds every two runs of the same variant against each other:
at most one node of twenty may be coloured. Between the variants the hash of the ranks is what differs: it must be the
first of the changes in every pair. So are the runs of one half of a variant together against those of the other, as a
report of several runs shows them. How much the starts of a server differ by themselves: bench/between_starts.py.
DIR: a folder of runs that are there already, instead.
"""

import subprocess
import sys
from collections import defaultdict
from itertools import combinations, product
from pathlib import Path

from common import Figure, parser_of, report, scratch

from mmload.analyse.flame import flame_profile
from mmload.analyse.flame_document import ALL_RANKS, flame_document, is_judged
from mmload.store.read import list_runs


def main() -> int:
    parser = parser_of(__doc__)
    parser.add_argument("--runs", type=int, default=4)
    parser.add_argument("--seconds", type=int, default=8)
    parser.add_argument("--variant", default="original")
    parser.add_argument("--against", default="optimized")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    if options.out:
        return report(figures_of(options.out, options), as_json=options.json)
    with scratch() as folder:
        variants = f"{options.variant},{options.against}"
        command = [sys.executable, "-m", "mmload", "compare", "--variants", variants, "--rounds", str(options.runs)]
        command += ["--rate", "60", "--tp", "2", "--warmup", "1s", "--duration", f"{options.seconds}s"]
        subprocess.run([*command, "--out", str(folder)], stdout=subprocess.DEVNULL, check=True)
        return report(figures_of(folder, options), as_json=options.json)


def figures_of(folder, options):
    profiles, runs_of = defaultdict(list), defaultdict(list)
    for run in list_runs(folder):
        if run.stacks and (run.manifest.member is None or run.manifest.member.scene == "main"):
            profiles[run.manifest.variant].append(flame_profile(run))
            runs_of[run.manifest.variant].append(run)
    views = views_of(pair for found in profiles.values() for pair in combinations(found, 2))
    halves = views_of(pair for runs in runs_of.values() for pair in in_halves(runs))
    functions = [change.own_word for view in views for change in view.changes]
    pairs = list(product(profiles[options.against], profiles[options.variant]))
    found = sum(tops(one, other) for one, other in pairs)
    return [
        Figure("pairs of runs of one variant", sum(len(f) * (len(f) - 1) // 2 for f in profiles.values())),
        *coloured(views),
        *coloured(halves, ", halves of the runs"),
        Figure(
            "functions said to differ",
            100 * sum(word != "within noise" for word in functions) / len(functions),
            "%",
            at_most=5.0,
            note=f"of {len(functions):,}",
        ),
        Figure("pairs whose first change is the hash", found, f"of {len(pairs)}", at_least=len(pairs)),
    ]


def views_of(pairs):
    """Those in which a difference would be said."""
    return [view for one, other in pairs for view in flame_document(one, other).views if is_judged(view)]


def in_halves(runs):
    """Every way to hold half of them against the other half."""
    half = len(runs) // 2
    for chosen in combinations(runs, half):
        others = [run for run in runs if run not in chosen][:half]
        if half > 1 and chosen[0] is runs[0]:
            yield flame_profile(*chosen), flame_profile(*others)


def coloured(views, which=""):
    nodes = sum(len(view.nodes.word) for view in views)
    shares = [sum(map(bool, view.nodes.word)) / len(view.nodes.word) for view in views]
    if not views:
        return
    share = sum(share * len(view.nodes.word) for share, view in zip(shares, views, strict=True)) / nodes
    note = f"of {nodes:,}; in one view {100 * max(shares):.1f} %"
    yield Figure(f"nodes coloured{which}", 100 * share, "%", at_most=5.0, note=note)
    yield Figure(f"views with any node coloured{which}", sum(map(bool, shares)), f"of {len(views)}")


def tops(one, other):
    """Whether the ranks' hash is the first change of all ranks together."""
    document = flame_document(one, other)
    view = next(view for view in document.views if view.id == ALL_RANKS)
    first = view.changes[0]
    return "hash" in document.frames[first.frame].function and first.own_word in {"vanished", "less"}


if __name__ == "__main__":
    sys.exit(main())
