"""All flame views of a run, or of one against another: all ranks together, then each process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec
import numpy as np

from mmload.analyse.flame import FlameProfile, ProcessFlame
from mmload.analyse.flame_diff import changes, differences
from mmload.analyse.flame_tree import Forest, Frames, forest
from mmload.model.flame import VALUE_UNIT_MS, FlameDocument, FlameNodes, FlameUnit, FlameView
from mmload.plan.phases import PHASES

ALL_RANKS = "all-ranks"
_UNITS: dict[FlameUnit, str] = {
    "cpu_ms_per_request": "CPU milliseconds per request",
    "cpu_ms": "CPU milliseconds in the profile window",
    "wall_ms_per_request": "milliseconds per request",
}


def flame_document(this: FlameProfile, base: FlameProfile | None = None, notes: Sequence[str] = ()) -> FlameDocument:
    """Both in the same unit. notes: what else is to be said above the views."""
    sides = [this] if base is None else [this, base]
    if len({side.unit for side in sides}) > 1:
        raise ValueError("the sides of a difference have different units")
    frames = Frames()
    views = [_view(name, members, sides, frames) for name, members in _views(sides)]
    return FlameDocument(
        title=this.variant if base is None else f"{this.variant} against {base.variant}",
        notes=[f"widths are {_UNITS[this.unit]}", *_means(sides), *notes, *_troubles(sides)],
        unit=this.unit,
        this=this.name,
        base=None if base is None else base.name,
        phases=list(PHASES),
        frames=frames.frames,
        views=views,
    )


def label_of(process: str) -> str:
    """'TP0' of 'scheduler_TP0'."""
    return process.removeprefix("scheduler_")


def is_rank(view: str) -> bool:
    """Whether a view is of one rank, by its id."""
    return view.startswith("scheduler_")


def _views(sides: Sequence[FlameProfile]) -> Iterator[tuple[str, list[str]]]:
    """(view, the processes in it)."""
    processes = {name: process for side in reversed(sides) for name, process in side.processes.items()}
    names = [*dict.fromkeys(name for side in sides for name in side.processes)]
    ranks = [name for name in names if processes[name].role == "scheduler"]
    if len(ranks) > 1 and sides[0].unit != "wall_ms_per_request":  # what ranks wait for at once does not add up
        yield ALL_RANKS, ranks
    yield from ((name, [name]) for name in names)


def _view(name: str, members: Sequence[str], sides: Sequence[FlameProfile], frames: Frames) -> FlameView:
    parts = [[(side, side.processes[member]) for member in members if member in side.processes] for side in sides]
    grown = forest([[(process.stacks, side.judge) for side, process in part] for part in parts], frames)
    has_base, runs = len(sides) > 1, [side.runs for side in sides]
    samples, ms = ([int(one) for one in grown.own.samples.sum(axis=1)], grown.own.ms.sum(axis=1).tolist())
    return FlameView(
        id=name,
        label="all ranks" if name == ALL_RANKS else label_of(name),
        about=f"{len(members)} ranks together" if name == ALL_RANKS else _about(parts[0][0][1] if parts[0] else None),
        samples=samples[0],
        value_ms=ms[0],
        base_samples=samples[1] if has_base else None,
        base_value_ms=ms[1] if has_base else None,
        nodes=flame_nodes(grown, runs),
        changes=changes(grown, runs) if has_base else [],
    )


def flame_nodes(grown: Forest, runs: Sequence[int] = (1, 1)) -> FlameNodes:
    """The forest of one side, or of two with what differs between them. runs: of how many each side is the mean."""
    here = np.arange(len(grown.parent))
    values = np.rint(grown.own.ms / VALUE_UNIT_MS).astype(np.int64)
    nodes = FlameNodes(
        up=np.where(grown.parent < 0, 0, here - grown.parent).tolist(),
        frame=grown.frame.tolist(),
        phase=grown.phase.tolist(),
        samples=grown.own.samples[0].tolist(),
        value=values[0].tolist(),
    )
    if len(values) == 1:
        return nodes
    return msgspec.structs.replace(
        nodes,
        base_samples=grown.own.samples[1].tolist(),
        base_value=values[1].tolist(),
        word=differences(grown.total, runs).word.tolist(),
    )


def _about(process: ProcessFlame | None) -> str:
    return "only in the base" if process is None else process.name


def _means(sides: Sequence[FlameProfile]) -> Iterator[str]:
    if any(side.runs > 1 for side in sides):
        yield f"the mean of what each run cost: {' against '.join(side.name for side in sides)}"


def _troubles(sides: Sequence[FlameProfile]) -> Iterator[str]:
    for side in sides:
        yield from (f"{run_id} has no stacks and is left out" for run_id in side.left_out)
        for process in side.processes.values():
            if process.trouble:
                yield f"poor profile of {process.name} in {side.name}: {process.trouble}"
