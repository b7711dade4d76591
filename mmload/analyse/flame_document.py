"""All flame views of a run, or of one against another: all ranks together, then each process."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from mmload.analyse.flame import FlameProfile, ProcessFlame
from mmload.analyse.flame_diff import CONFIDENCE, changes, differences
from mmload.analyse.flame_tree import Forest, Frames, forest
from mmload.model.flame import CHANGE_WORDS, VALUE_UNIT_MS, FlameDocument, FlameNodes, FlameUnit, FlameView
from mmload.plan.phases import PHASES

ALL_RANKS = "all-ranks"
_UNITS: dict[FlameUnit, str] = {
    "cpu_ms_per_request": "CPU milliseconds per request",
    "cpu_ms_per_s": "CPU milliseconds a second of the profile window",
    "wall_ms_per_request": "milliseconds per request",
}


def flame_document(this: FlameProfile, base: FlameProfile | None = None, notes: Sequence[str] = ()) -> FlameDocument:
    """Both in the same unit. notes: what else is to be said above the views."""
    sides = [this] if base is None else [this, base]
    if len({side.unit for side in sides}) > 1:
        raise ValueError("the sides of a difference have different units")
    frames = Frames()
    views = [_view(members, sides, frames) for members in _views(sides)]
    return FlameDocument(
        title=this.variant if base is None else f"{this.variant} against {base.variant}",
        notes=[f"widths are {_UNITS[this.unit]}", *_means(sides), *notes, *_troubles(sides)],
        unit=this.unit,
        this=this.name,
        base=None if base is None else base.name,
        confidence=None if base is None else CONFIDENCE,
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


class _Members(NamedTuple):
    """The processes of a view. doubted: its differences are no evidence."""

    view: str
    processes: list[str]
    doubted: bool


def _views(sides: Sequence[FlameProfile]) -> Iterator[_Members]:
    """All ranks that every side has, then each process."""
    roles = {name: process.role for side in reversed(sides) for name, process in side.processes.items()}
    names = list(dict.fromkeys(name for side in sides for name in side.processes))
    everywhere = [name for name in names if all(name in side.processes for side in sides)]
    modes = {mode for side in sides for mode in side.modes}
    doubted = {name for name in names if name not in everywhere or len(modes) > 1}
    doubted |= {name for side in sides for name, process in side.processes.items() if process.trouble}
    ranks = [name for name in everywhere if roles[name] == "scheduler"]
    if len(ranks) > 1 and sides[0].unit != "wall_ms_per_request":  # what ranks wait for at once does not add up
        yield _Members(ALL_RANKS, ranks, not doubted.isdisjoint(ranks))
    yield from (_Members(name, [name], name in doubted) for name in names)


def _view(members: _Members, sides: Sequence[FlameProfile], frames: Frames) -> FlameView:
    parts = [[(side, side.processes[name]) for name in members.processes if name in side.processes] for side in sides]
    grown = forest([[(process.stacks, side.judge) for side, process in part] for part in parts], frames)
    is_union, has_base = members.view == ALL_RANKS, len(sides) > 1
    runs = [min((process.runs for _, process in part), default=1) for part in parts]
    samples, ms = ([int(one) for one in grown.own.samples.sum(axis=1)], grown.own.ms.sum(axis=1).tolist())
    view = FlameView(
        id=members.view,
        label="all ranks" if is_union else label_of(members.view),
        about=f"{len(members.processes)} ranks together" if is_union else _about(parts),
        samples=samples[0],
        value_ms=ms[0],
        runs=runs[0],
        base_runs=runs[1] if has_base else 1,
        base_samples=samples[1] if has_base else None,
        base_value_ms=ms[1] if has_base else None,
        nodes=flame_nodes(grown, runs),
        changes=changes(grown, runs) if has_base else [],
    )
    return unjudged(view) if has_base and members.doubted else view


def is_judged(view: FlameView) -> bool:
    """Whether its words say anything."""
    return not view.changes or view.changes[0].own_word != "not judged"


def unjudged(view: FlameView) -> FlameView:
    """The same without a word on what differs."""
    words = [CHANGE_WORDS.index("not judged")] * len(view.nodes.word)
    return msgspec.structs.replace(
        view,
        nodes=msgspec.structs.replace(view.nodes, word=words),
        changes=[msgspec.structs.replace(change, word="not judged", own_word="not judged") for change in view.changes],
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


def _about(parts: Sequence[Sequence[tuple[FlameProfile, ProcessFlame]]]) -> str:
    """Of a process: its name, or which side alone has it."""
    alone = [part for part in parts if part]
    if len(alone) < len(parts):
        return "only in the base" if not parts[0] else "not in the base"
    return parts[0][0][1].name


def _means(sides: Sequence[FlameProfile]) -> Iterator[str]:
    if any(side.runs > 1 for side in sides):
        yield f"the mean of what each run cost: {' against '.join(side.name for side in sides)}"


def _troubles(sides: Sequence[FlameProfile]) -> Iterator[str]:
    for side in sides:
        yield from (f"{run_id} has no stacks and is left out" for run_id in side.left_out)
        yield from side.absent
        for process in side.processes.values():
            if process.trouble:
                yield f"poor profile of {process.name} in {side.name}: {process.trouble}"
    if len(sides) > 1:
        shared = sides[0].processes.keys() & sides[1].processes.keys()
        lone = [label_of(name) for side in sides for name in side.processes if name not in shared]
        if lone:
            yield f"not judged, for one side alone has stacks of them: {', '.join(lone)}"
