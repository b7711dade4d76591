"""The release gate against what was expected of each variant beforehand, criterion by criterion.

    python bench/release_gate.py [--candidates optimized,shm,commit] [--gate release] [--out DIR]

Makes the runs (`mmload gate --run`, some twelve minutes a candidate on two cores) and prints every criterion with its
figure, the words that were expected with the reason (bench/release_gate.toml, written before the first run), and the
word that came. Exit code 1 when one came that was not expected.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--candidates", default="optimized,shm,commit")
    parser.add_argument("--gate", default="release")
    parser.add_argument("--out", type=Path, default=None, help="where the runs are kept; default a folder in /tmp")
    options = parser.parse_args()
    out = options.out or Path(tempfile.mkdtemp(prefix="mmload-release-gate-"))
    expected = tomllib.loads((HERE / "release_gate.toml").read_text(encoding="utf-8"))[options.gate]
    surprises = 0
    for candidate in options.candidates.split(","):
        verdict = judged(candidate, options.gate, out)
        print(f"\n{candidate}: {verdict['verdict']}, expected {' or '.join(expected['verdict'][candidate])}")
        surprises += verdict["verdict"] not in expected["verdict"][candidate]
        surprises += sum(line(criterion, candidate, expected["criteria"]) for criterion in verdict["criteria"])
    print(f"\n{surprises} words that were not expected; runs in {out}")
    return int(surprises > 0)


def judged(candidate: str, gate: str, out: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "mmload", "gate", "--run", "--gate", gate, "--candidate", candidate]
    done = subprocess.run([*command, "--out", str(out), "--json"], stdout=subprocess.PIPE, text=True, check=False)
    if not done.stdout:
        sys.exit(f"no verdict on {candidate}: exit code {done.returncode}")
    verdict: dict[str, Any] = json.loads(done.stdout)
    return verdict


def line(criterion: dict[str, Any], candidate: str, expected: list[dict[str, Any]]) -> bool:
    """Print one criterion; whether its word was not expected."""
    about = next((one for one in expected if asked_for(one) == judged_on(criterion)), None)
    words = [] if about is None else about[candidate]
    surprise = criterion["verdict"] not in words
    text = f"{criterion['metric']} {criterion['op']} {criterion['limit']:g}"
    text += f" vs {criterion['baseline']}" if criterion["baseline"] else ""
    figures = " ".join(f"{'-' if f is None else format(f, '.4g'):>9}" for f in bounds(criterion))
    print(f"  {criterion['on']:12} {text:42} {figures}  {criterion['verdict']:12} {'UNEXPECTED' if surprise else ''}")
    print(
        f"    expected {' or '.join(words) or 'nothing'}: {about['because'] if about else 'nothing was written down'}"
    )
    return surprise


def asked_for(one: dict[str, Any]) -> tuple[Any, ...]:
    """What an expectation is of, as `judged_on` says it: `0.70` and `0.7` are one limit."""
    metric, op, limit, *vs_baseline = one["check"].split()
    baseline = vs_baseline[1] if vs_baseline else None
    return metric, op, float(limit), baseline, one.get("on", "main"), one.get("baseline_on")


def judged_on(criterion: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(criterion[key] for key in ("metric", "op", "limit", "baseline", "on", "baseline_on"))


def bounds(criterion: dict[str, Any]) -> tuple[float | None, ...]:
    return criterion["value"], criterion["low"], criterion["high"]


if __name__ == "__main__":
    sys.exit(main())
