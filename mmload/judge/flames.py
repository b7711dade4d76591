"""The flame document of runs, or of some against others, with what a reader must know of how they were made."""

from __future__ import annotations

from collections.abc import Sequence

from mmload.analyse.flame import flame_profile
from mmload.analyse.flame_document import flame_document
from mmload.judge.comparable import differences, differences_of_rounds, paired
from mmload.judge.validity import standing
from mmload.model.flame import FlameDocument
from mmload.store.read import Run


def flame_of(runs: Sequence[Run], base: Sequence[Run] = (), *, per_request: bool = True) -> FlameDocument:
    """Of each side a run, or several of one variant: those of several that are INVALID, or whose round the other side
    lacks, are left out and named. per_request: where that can be said of both sides. Raises FolderError on damage and
    where one has no stacks."""
    notes: list[str] = []
    ours, theirs = _in_pairs(_sound(runs, notes), _sound(base, notes), notes)
    this, other = flame_profile(*ours, per_request=per_request), None
    if theirs:
        other = flame_profile(*theirs, per_request=per_request)
        if this.unit != other.unit:
            this, other = (flame_profile(*side, per_request=False) for side in (ours, theirs))
    return flame_document(this, other, notes=[*_notes(ours, theirs), *notes])


def _sound(runs: Sequence[Run], notes: list[str]) -> list[Run]:
    """Those that a gate would take; all where it would take none."""
    faults = {run.run_id: "; ".join(standing(run)) for run in runs}
    sound = [run for run in runs if not faults[run.run_id]]
    out = " and is left out" if sound else ""
    notes += [f"{run_id} is INVALID{out}: {why}" for run_id, why in faults.items() if why]
    return sound or list(runs)


def _in_pairs(runs: list[Run], base: list[Run], notes: list[str]) -> tuple[list[Run], list[Run]]:
    """Of several runs on a side those that met the requests of one of the other; where none did, all that are rounds of
    each other."""
    if len(runs) == len(base) == 1 or not base:
        return runs, base
    ours, theirs = paired(runs, base)
    if not ours:
        return _rounds(runs), _rounds(base)
    taken = {run.run_id for run in (*ours, *theirs)}
    alone = [run.run_id for run in (*runs, *base) if run.run_id not in taken]
    notes += [f"left out, for the other side has no run of the same requests: {', '.join(alone)}"] if alone else []
    return ours, theirs


def _rounds(runs: list[Run]) -> list[Run]:
    return runs[:1] if differences_of_rounds(runs) else runs


def _notes(runs: Sequence[Run], base: Sequence[Run]) -> list[str]:
    unlike = differences(base[0], runs[0]) if base else []
    notes = [f"made under other conditions than the base ({'; '.join(unlike)})"] if unlike else []
    modes = dict.fromkeys(run.manifest.profile.mode for run in (*runs, *base))
    if len(modes) > 1:
        notes.append(f"not judged: profiles of different modes ({', '.join(modes)}) see different stacks")
    if any(run.manifest.engine == "standin" for run in (*runs, *base)):
        notes.append("the server is mmload's stand-in, not SGLang")
    return notes
