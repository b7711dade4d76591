"""What a flame view shows: trees of functions with samples and milliseconds, of one run or of two."""

from __future__ import annotations

from typing import Literal, get_args

import msgspec

FLAME_SCHEMA = 1
VALUE_UNIT_MS = 1e-5  # of FlameNodes.value: 10 ns of a request's share are more digits than anybody has samples for

FlameUnit = Literal["cpu_ms_per_request", "cpu_ms_per_s", "wall_ms_per_request"]
UNIT_WORDS: dict[FlameUnit, str] = {
    "cpu_ms_per_request": "CPU ms per request",
    "cpu_ms_per_s": "CPU ms per second",
    "wall_ms_per_request": "ms per request",
}
ChangeWord = Literal["within noise", "more", "less", "appeared", "vanished", "not judged"]
CHANGE_WORDS: tuple[ChangeWord, ...] = get_args(ChangeWord)  # in the order of FlameNodes.word
SAYS_NOTHING: frozenset[ChangeWord] = frozenset({"within noise", "not judged"})


class FlameFrame(msgspec.Struct, frozen=True):
    """A function, all its lines together. package: of its file, for colours; '' for what is no Python."""

    function: str
    file: str
    package: str


class FlameNodes(msgspec.Struct, frozen=True, kw_only=True):
    """A forest in columns with an entry for each node, parents before their children, depth first.

    up: how many places before the node its parent stands; 0 for a root. frame, phase: indices into those of the
    document; the phase is that of the stack which ends here, so two siblings may have one frame. samples, value: those
    that are innermost here, without its children's; value in VALUE_UNIT_MS. base_*: the other side's. word: an index
    into CHANGE_WORDS, of the node with its children. The last three are empty where there is no other side."""

    up: list[int]
    frame: list[int]
    phase: list[int]
    samples: list[int]
    value: list[int]
    base_samples: list[int] = []
    base_value: list[int] = []
    word: list[int] = []


class FlameChange(msgspec.Struct, frozen=True, kw_only=True):
    """A function on both sides, in milliseconds: with what it called, each time counted once (total), and alone (own).
    low_ms, high_ms: bounds of the difference, this less base; word: what they say, 'not judged' where the stacks
    of a side are no evidence."""

    frame: int
    total_ms: float
    base_total_ms: float
    own_ms: float
    base_own_ms: float
    low_ms: float
    high_ms: float
    word: ChangeWord
    own_low_ms: float
    own_high_ms: float
    own_word: ChangeWord


class FlameView(msgspec.Struct, frozen=True, kw_only=True):
    """One process, or the union of several. samples: all of this side, as many as its folded files hold. value_ms: what
    they stand for, in the document's unit. changes: by function, the largest difference of its own first. is_part: some
    of its stacks are left out on purpose. runs, base_runs: of how many runs each side is the mean."""

    id: str
    label: str
    about: str
    samples: int
    value_ms: float
    nodes: FlameNodes
    base_samples: int | None = None
    base_value_ms: float | None = None
    changes: list[FlameChange] = []
    is_part: bool = False
    runs: int = 1
    base_runs: int = 1


class FlameDocument(msgspec.Struct, frozen=True, kw_only=True):
    """All views of one side, or of one against another. this, base: their run-ids, or what else the sides are.
    confidence: of the bounds of what differs."""

    schema: int = FLAME_SCHEMA
    title: str
    notes: list[str] = []
    unit: FlameUnit
    this: str
    base: str | None = None
    confidence: float | None = None
    phases: list[str]
    frames: list[FlameFrame]
    views: list[FlameView]
