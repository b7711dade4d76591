"""Flame documents whose truth is known: from stacks given one by one, or as many made ones as one likes."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from mmload.model.flame import FlameChange, FlameDocument, FlameFrame, FlameNodes, FlameView
from mmload.plan.phases import PHASES

VALUE_A_SAMPLE = 2000  # in units of 1e-5 ms: 0.02 ms a sample
WORDS = {"within noise": 0, "more": 1, "less": 2, "appeared": 3, "vanished": 4, "not judged": 5}


@dataclass
class Stack:
    """frames: 'function (file)', the root first. word: of the innermost node; those above are within noise."""

    frames: Sequence[str]
    samples: int
    phase: str = "other"
    base_samples: int = 0
    word: str = "within noise"


@dataclass
class _Node:
    frame: int
    phase: int
    samples: int = 0
    base_samples: int = 0
    word: int = 0
    kids: dict[int, _Node] = field(default_factory=dict)


class Planter:
    """Documents from stacks; frames are shared by all views of one."""

    def __init__(self, *, is_diff: bool = False) -> None:
        self.is_diff = is_diff
        self.frames: dict[str, int] = {}

    def view(self, id_: str, stacks: Sequence[Stack], changes: Sequence[FlameChange] = ()) -> FlameView:
        top = _Node(-1, 0)
        ends = {tuple(stack.frames): PHASES.index(stack.phase) for stack in stacks}  # type: ignore[arg-type]
        for stack in stacks:
            self._plant(top, stack, ends)
        samples, base_samples = sum(s.samples for s in stacks), sum(s.base_samples for s in stacks)
        return FlameView(
            id=id_,
            label=id_.removeprefix("scheduler_").replace("-", " "),
            about=f"What {id_} was seen doing.",
            samples=samples,
            value_ms=samples * VALUE_A_SAMPLE * 1e-5,
            base_samples=base_samples if self.is_diff else None,
            base_value_ms=base_samples * VALUE_A_SAMPLE * 1e-5 if self.is_diff else None,
            nodes=self._columns(top),
            changes=list(changes),
        )

    def document(self, views: Sequence[FlameView], title: str = "A planted profile", **fields: object) -> FlameDocument:
        planted = FlameDocument(
            title=title,
            unit="cpu_ms_per_request",
            this="this-run",
            base="base-run" if self.is_diff else None,
            confidence=0.99 if self.is_diff else None,
            phases=list(PHASES),
            frames=[_frame(text) for text in self.frames],
            views=list(views),
        )
        return msgspec.structs.replace(planted, **fields)

    def frame(self, text: str) -> int:
        return self.frames.setdefault(text, len(self.frames))

    def _plant(self, top: _Node, stack: Stack, ends: Mapping[tuple[str, ...], int]) -> None:
        """A node above others has the phase of the stack that ends there, else that of the first that passes."""
        at, frames = top, tuple(stack.frames)
        for depth, text in enumerate(frames):
            frame = self.frame(text)
            phase = ends.get(frames[: depth + 1], ends[frames])
            at = at.kids.setdefault(frame, _Node(frame, phase))
        at.samples += stack.samples
        at.base_samples += stack.base_samples
        at.word = WORDS[stack.word]

    def _columns(self, top: _Node) -> FlameNodes:
        columns: dict[str, list[int]] = {name: [] for name in FlameNodes.__struct_fields__}
        waiting = [(kid, -1) for kid in reversed(top.kids.values())]
        while waiting:
            node, parent = waiting.pop()
            index = len(columns["up"])
            columns["up"].append(index - parent if parent >= 0 else 0)
            columns["frame"].append(node.frame)
            columns["phase"].append(node.phase)
            columns["samples"].append(node.samples)
            columns["value"].append(node.samples * VALUE_A_SAMPLE)
            if self.is_diff:
                columns["base_samples"].append(node.base_samples)
                columns["base_value"].append(node.base_samples * VALUE_A_SAMPLE)
                columns["word"].append(node.word)
            waiting += [(kid, index) for kid in reversed(node.kids.values())]
        return FlameNodes(**columns)


def _frame(text: str) -> FlameFrame:
    function, _, file = text.rpartition(" (")
    if not function:
        return FlameFrame(function=text, file="", package="")
    file = file.removesuffix(")")
    return FlameFrame(function=function, file=file, package=file.split("/")[0])


def made_stacks(count: int, *, functions: int = 3000, deepest: int = 40, seed: int = 1) -> list[Stack]:
    """Distinct stacks like a scheduler's: one loop, then calls that grow apart; about three nodes a stack."""
    rng = random.Random(seed)
    names = [f"Layer{i % 97}.step_{i} (package{i % 23}/module_{i % 211}.py)" for i in range(functions)]
    known: dict[tuple[str, ...], Stack] = {}
    paths = [("<module> (launch.py)", "Scheduler.event_loop (sglang/scheduler.py)")]

    def samples() -> int:
        return 1 + int(rng.paretovariate(1.1)) % 500

    while len(known) < count:
        base = paths[int(len(paths) * rng.random() ** 2)]
        path = (*base, *(names[int(functions * rng.random() ** 2)] for _ in range(rng.randint(1, 5))))
        if len(path) > deepest or path in known:
            continue
        known[path] = Stack(path, samples(), rng.choice(PHASES), samples())
        paths.append(path)
    return list(known.values())


def changes_of(planter: Planter, differences: Mapping[str, tuple[float, float, str]]) -> list[FlameChange]:
    """'function (file)' -> (ms of this side, of the base, word), as a view has them."""
    return [
        FlameChange(
            frame=planter.frame(text),
            total_ms=this_ms,
            base_total_ms=base_ms,
            own_ms=this_ms,
            base_own_ms=base_ms,
            low_ms=this_ms - base_ms - 0.01,
            high_ms=this_ms - base_ms + 0.01,
            word=word,  # type: ignore[arg-type]
            own_low_ms=this_ms - base_ms - 0.01,
            own_high_ms=this_ms - base_ms + 0.01,
            own_word=word,  # type: ignore[arg-type]
        )
        for text, (this_ms, base_ms, word) in differences.items()
    ]
