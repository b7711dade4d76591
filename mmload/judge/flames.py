"""The flame document of a run, or of one against another, with what a reader must know of how the two were made."""

from __future__ import annotations

from mmload.analyse.flame import flame_profile
from mmload.analyse.flame_document import flame_document
from mmload.judge.comparable import differences
from mmload.model.flame import FlameDocument
from mmload.store.read import Run


def flame_of(run: Run, base: Run | None = None, *, per_request: bool = True) -> FlameDocument:
    """per_request: where that can be said of both. Raises FolderError on damage and where one has no stacks."""
    this, other = flame_profile(run, per_request=per_request), None
    if base is not None:
        other = flame_profile(base, per_request=per_request)
        if this.unit != other.unit:
            this, other = (flame_profile(side, per_request=False) for side in (run, base))
    return flame_document(this, other, notes=_notes(run, base))


def _notes(run: Run, base: Run | None) -> list[str]:
    unlike = differences(run, base) if base is not None else []
    notes = [f"made under other conditions than the base ({'; '.join(unlike)})"] if unlike else []
    if any(side.manifest.engine == "standin" for side in (run, base) if side is not None):
        notes.append("the server is mmload's stand-in, not SGLang")
    return notes
