"""How much of each process's CPU is work, from the stacks of the profile window."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from mmload.analyse.cpu import Interval
from mmload.analyse.cpu_time import CpuTime, PhaseShare, cpu_time_judged
from mmload.analyse.phases import Judge
from mmload.analyse.stacks import hottest
from mmload.plan.phases import PhaseName, PhaseRules, rules_for
from mmload.store.read import Run
from mmload.store.stacks import ProcessThreads, ThreadStacks, read_source, read_threads

_HOTTEST = 8
_SHOWS_OTHERWISE = {
    "idle": "a profile in mode idle shows threads that wait as well: no evidence for shares of CPU",
    "gil": "a profile in mode gil shows only what holds the interpreter's lock: no evidence for shares of CPU",
}


class WorkShare(msgspec.Struct, frozen=True, kw_only=True):
    """work: share of the CPU time that is neither idle poll nor wait for the device, with its 95 % interval; None where
    the profile's mode shows something else than CPU. samples: how many it rests on. phases: their shares. hottest:
    ('function (file)', share that is its own). other: the same for what no rule knows. native: share of threads that
    run no Python. trouble: why the profile of this process is poor, None when it is good. time: all that rests on."""

    work: Interval | None
    samples: int
    phases: dict[PhaseName, PhaseShare]
    hottest: list[tuple[str, float]]
    other: list[tuple[str, float]]
    native: float
    trouble: str | None
    time: CpuTime


def other_evidence(mode: str) -> str | None:
    """Why a profile in that mode says nothing of shares of CPU; None where it does."""
    return _SHOWS_OTHERWISE.get(mode)


def work_shares(run: Run) -> dict[str, WorkShare]:
    """Process name -> its work share; processes without a profile are left out."""
    judge = Judge(rules_for(run.manifest.engine), read_source(run.layout))
    profile = run.manifest.profile
    troubles = {file.process: file.error for file in profile.files}
    found = {}
    for name, stacks in run.stacks.items():
        share = _work_share(read_threads(run.layout, name), stacks, judge)
        if share:
            trouble = other_evidence(profile.mode)
            work = None if trouble else share.work
            found[name] = msgspec.structs.replace(share, work=work, trouble=trouble or troubles.get(name))
    return found


def work_share(
    threads: ProcessThreads | None, stacks: Mapping[str, int], rules: PhaseRules, source: Mapping[str, str]
) -> WorkShare | None:
    """Of one process, without trouble. threads: None where nobody counted by thread: then all samples count alike."""
    return _work_share(threads, stacks, Judge(rules, source))


def _work_share(threads: ProcessThreads | None, stacks: Mapping[str, int], judge: Judge) -> WorkShare | None:
    if threads is None:
        if all(judge.sleeps(stack) for stack in stacks):
            return None
        threads = ProcessThreads(seconds=1.0, threads=[ThreadStacks(tid=0, name="", cpu_s=1.0, stacks=dict(stacks))])
    time = cpu_time_judged(threads, judge)
    unknown = {stack: seconds for stack, seconds in time.seconds.items() if judge.phase(stack) == "other"}
    of_all = sum(unknown.values()) / (sum(time.seconds.values()) or 1.0)
    return WorkShare(
        work=time.work,
        samples=time.samples,
        phases=time.shares,
        hottest=hottest(time.seconds, _HOTTEST),
        other=[(frame, share * of_all) for frame, share in hottest(unknown, _HOTTEST)] if unknown else [],
        native=time.native,
        trouble=None,
        time=time,
    )
