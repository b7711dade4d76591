"""How much of each process's CPU is work, from the stacks of the profile window."""

from __future__ import annotations

import msgspec

from mmload.analyse.cpu import Interval
from mmload.analyse.phases import awake, phase_shares
from mmload.analyse.stacks import hottest
from mmload.plan.phases import rules_for
from mmload.store.read import Run
from mmload.store.stacks import read_source

_HOTTEST = 8


class WorkShare(msgspec.Struct, frozen=True, kw_only=True):
    """work: share of the on-CPU samples that is neither idle poll nor wait for the device, with its 95 % interval.
    samples: how many it rests on. phases: their shares. hottest: (function, share that is its own). trouble: why the
    profile of this process is poor, None when it is good."""

    work: Interval
    samples: int
    phases: dict[str, float]
    hottest: list[tuple[str, float]]
    trouble: str | None


def work_shares(run: Run) -> dict[str, WorkShare]:
    """Process name -> its work share; processes without stack samples are left out."""
    rules, source = rules_for(run.manifest.engine), read_source(run.layout)
    troubles = {file.process: file.error for file in run.manifest.profile.files}
    found = {}
    for name, stacks in run.stacks.items():
        profile = phase_shares(stacks, rules, source)
        if profile.work is None:
            continue
        found[name] = WorkShare(
            work=Interval(profile.work.value, profile.work.low, profile.work.high),
            samples=profile.samples,
            phases={phase: share.value for phase, share in profile.shares.items()},
            hottest=hottest(awake(stacks, rules, source), _HOTTEST),
            trouble=troubles.get(name),
        )
    return found
