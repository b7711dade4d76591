"""How often a comparison of a variant with itself shows a difference.

    python bench/same_variant.py [--comparisons 20] [--rounds 2] [--seconds 8] [--rate 60] [--variant original]

Each comparison is a campaign of its own (`mmload compare --variants V,V`), with seeds of its own, some 55 s long on two
cores. All figures of one are held together at 5 %: at a true 5 % four or more of twenty comparisons show a difference
in 1.6 % of cases. Fails with more than three of twenty, or in proportion. An INVALID comparison is made again.
"""

import json
import subprocess
import sys
from statistics import median

from common import Figure, parser_of, report, scratch

_MOST_INVALID = 5  # in a row, and the host is too busy to say anything
_FIGURES = ("cpu_ms_per_request", "response_p50_ms", "response_p99_ms", "qps", "cpu_work_pct", "cpu_total_pct")


def main() -> int:
    parser = parser_of(__doc__)
    parser.add_argument("--comparisons", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--seconds", type=int, default=8)
    parser.add_argument("--rate", default="60")
    parser.add_argument("--variant", default="original")
    options = parser.parse_args()
    sides = []
    for number in range(options.comparisons):
        sides.append(compared(options, first_seed=number * options.rounds))
        said = {one["figure"]: f"{one['word']} {span(one)}" for one in sides[-1]["differences"]}
        print(f"{number + 1:3}  {sides[-1]['word']:18}  {said}", file=sys.stderr, flush=True)
    different = sum(side["word"] not in {"no difference seen", "not known"} for side in sides)
    known = [one for side in sides for one in side["differences"] if one["word"] != "not known"]
    figures = [
        Figure("comparisons with any difference", different, f"of {len(sides)}", at_most=3 * len(sides) / 20),
        Figure("figures compared", len(known), "", note="all of them together at 5 % in each comparison"),
        Figure("of them different", sum(one["word"] != "no difference seen" for one in known)),
        Figure("comparisons in which nothing is known", sum(side["word"] == "not known" for side in sides), at_most=0),
    ]
    figures += [Figure(f"median width of {name}", width_of(name, known), "points") for name in _FIGURES]
    return report(figures, as_json=options.json)


def compared(options, first_seed):
    """The second side of a comparison of a variant with itself."""
    for _ in range(_MOST_INVALID):
        with scratch() as folder:
            command = [sys.executable, "-m", "mmload", "compare", "--variants", f"{options.variant},{options.variant}"]
            command += ["--rounds", str(options.rounds), "--seed", str(first_seed), "--rate", options.rate]
            command += ["--duration", f"{options.seconds}s", "--warmup", "1s", "--profile-duration", "2s"]
            done = subprocess.run(
                [*command, "--out", str(folder / "profiles"), "--json"], capture_output=True, text=True, check=False
            )
        if done.returncode == 0:
            return json.loads(done.stdout)["sides"][1]
        if done.returncode != 4:
            sys.exit(done.stderr)
    sys.exit(f"{_MOST_INVALID} comparisons were INVALID: the host is too busy\n{done.stderr}")


def span(one):
    bounds = (one["low"], one["high"])
    return "" if None in bounds else f"{100 * bounds[0]:+.1f}..{100 * bounds[1]:+.1f}"


def width_of(name, known):
    """Of the intervals of a figure, in points of its improvement; None where it was never known."""
    widths = [
        one["high"] - one["low"] for one in known if one["figure"] == name and None not in (one["low"], one["high"])
    ]
    return 100 * median(widths) if widths else None


if __name__ == "__main__":
    sys.exit(main())
