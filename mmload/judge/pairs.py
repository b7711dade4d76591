"""What the runs of a candidate and those of its baseline are to each other."""

from __future__ import annotations

import numpy as np

from mmload.judge.evidence import Evidence, Rounds

Generators = tuple[list[np.random.Generator], list[np.random.Generator]]


def compared(candidate: Rounds, baseline: Rounds) -> str:
    """What is held against what, and whether the bounds cover how starts of a server differ, in words."""
    ours, theirs = len(candidate.runs), len(baseline.runs)
    if ours == theirs == 1:
        runs = "one run of each, so not how two starts differ"
    elif ours == theirs:
        runs = f"{ours} pairs of runs, how starts differ included"
    else:
        runs = f"{ours} of its runs, {theirs} of the baseline's, how starts differ included"
    policies = differing_policies(candidate, baseline)
    return f"{runs}; {policies}" if policies else runs


def differing_policies(candidate: Rounds, baseline: Rounds) -> str | None:
    """How the servers wait for work, where they do it differently: one that polls burns a core at rest."""
    ours, theirs = (sorted({run.run.manifest.idle_policy for run in side.runs}) for side in (candidate, baseline))
    if ours == theirs and len(ours) == 1:
        return None
    return f"idle policies differ ({', '.join(ours)}, the baseline's {', '.join(theirs)})"


def generators(candidate: Rounds, baseline: Rounds) -> Generators:
    """For each run of both, of fixed seeds, so that judging again gives the same bytes; of the same seed for two that
    are compared and had the same schedule."""
    theirs = [0 if _same_schedule(*pair) else 1 for pair in zip(candidate.runs, baseline.runs, strict=False)]
    theirs += [1] * (len(baseline.runs) - len(theirs))
    return [np.random.default_rng(0) for _ in candidate.runs], [np.random.default_rng(seed) for seed in theirs]


def _same_schedule(ours: Evidence, theirs: Evidence) -> bool:
    schedule = ours.run.manifest.schedule_sha256
    return schedule is not None and schedule == theirs.run.manifest.schedule_sha256
