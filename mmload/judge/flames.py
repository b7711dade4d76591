"""The flame document of runs, or of some against others, with what a reader must know of how they were made."""

from __future__ import annotations

from collections.abc import Sequence

from mmload.analyse.flame import flame_profile
from mmload.analyse.flame_document import flame_document
from mmload.judge.comparable import differences
from mmload.model.flame import FlameDocument
from mmload.store.read import Run


def flame_of(runs: Sequence[Run], base: Sequence[Run] = (), *, per_request: bool = True) -> FlameDocument:
    """Of each side a run, or several of one variant. per_request: where that can be said of both sides. Raises
    FolderError on damage and where one has no stacks."""
    this, other = flame_profile(*runs, per_request=per_request), None
    if base:
        other = flame_profile(*base, per_request=per_request)
        if this.unit != other.unit:
            this, other = (flame_profile(*side, per_request=False) for side in (runs, base))
    return flame_document(this, other, notes=_notes(runs, base))


def _notes(runs: Sequence[Run], base: Sequence[Run]) -> list[str]:
    unlike = differences(base[0], runs[0]) if base else []
    notes = [f"made under other conditions than the base ({'; '.join(unlike)})"] if unlike else []
    modes = dict.fromkeys(run.manifest.profile.mode for run in (*runs, *base))
    if len(modes) > 1:
        notes.append(f"not judged: profiles of different modes ({', '.join(modes)}) see different stacks")
    if any(run.manifest.engine == "standin" for run in (*runs, *base)):
        notes.append("the server is mmload's stand-in, not SGLang")
    return notes
