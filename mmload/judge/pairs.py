"""What one run of a candidate and one of its baseline are to each other."""

from __future__ import annotations

import numpy as np

from mmload.judge.evidence import Evidence
from mmload.judge.ratios import Generators


def one_pair(candidate: Evidence, baseline: Evidence) -> str:
    """What the bounds of a comparison do not cover, in words."""
    policies = differing_policies(candidate, baseline)
    return f"one run of each, so not how two starts differ{f'; {policies}' if policies else ''}"


def differing_policies(candidate: Evidence, baseline: Evidence) -> str | None:
    """How the two servers wait for work, where they do it differently: one that polls burns a core at rest."""
    ours, theirs = (run.run.manifest.idle_policy for run in (candidate, baseline))
    return None if ours == theirs else f"idle policies differ ({ours}, the baseline's {theirs})"


def generators(candidate: Evidence, baseline: Evidence) -> Generators:
    """Of fixed seeds, so that judging again gives the same bytes; the same one for runs with the same schedule."""
    schedules = {run.run.manifest.schedule_sha256 for run in (candidate, baseline)}
    paired = len(schedules) == 1 and None not in schedules
    return np.random.default_rng(0), np.random.default_rng(0 if paired else 1)
