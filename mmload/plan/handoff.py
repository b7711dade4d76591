"""What `mmload handoff` is going to do: which variants at which cells, in which order, how long it takes and how much
memory it needs. Nothing is started here.

A *round* gives every variant its turn once. In a turn its processes are started anew and hand over every cell, so that
an interval over rounds also covers what differs from one start to the next. Rounds go through the variants forwards and
backwards by turns (ABBA), each pair from another beginning: what drifts on the host hits all alike.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import msgspec

from mmload.errors import UsageError
from mmload.model.handoff import Cell, CollectiveName, Order

MB = 1_000_000
_LANES = 4  # variants side by side while builds are slept
_WARM_BYTES = 20 * MB  # a reading of so much needs no company: one of 1 MB alone is a matter of luck
_MOST_REPEATS = 10
_PROCESS_BYTES = 60 * MB  # measured: 38 to 43 MB for an idle rank or tokenizer
_TORCH_BYTES, _TORCH_S = 200 * MB, 1.2  # measured: what torch adds to a rank, and to its start and end
# Copies of a batch's features that a process holds at most. Measured as peaks of resident memory, of 200 MB x 1 and of
# 10 MB x 20: a tokenizer 2.0 (raw and pickled), a rank 2.0 (received and unpickled) to 4.0 (a broadcast of its own).
_TOKENIZER_COPIES, _RANK_COPIES = 2.5, 4.5
# Seconds, from two cores at TP 4: to start and end a variant's processes, and for each megabyte to each rank.
_TURN_S, _MB_RANK_S = 1.0, 0.0019


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """Variants that are compared at the same cells. build_ms, collective: as in Cell."""

    tp: int
    variants: tuple[str, ...]
    sizes_bytes: tuple[int, ...]
    batches: tuple[int, ...]
    build_ms: float | None
    rounds: int
    collective: CollectiveName = "standin"

    @property
    def cells(self) -> list[Cell]:
        """From the least to the most."""
        return [
            Cell(tp=self.tp, size_bytes=size, batch=batch, build_ms=self.build_ms, collective=self.collective)
            for size in self.sizes_bytes
            for batch in self.batches
        ]

    @property
    def lanes(self) -> int:
        """How many variants run at once: while the builds of one are slept there is room for others, unless its own
        work fills a good part of that time."""
        work_ms = 1e3 * max(self.sizes_bytes) / MB * (self.tp + 1) * _MB_RANK_S
        return max(1, min(_LANES, len(self.variants), int((self.build_ms or 0) / (5 * work_ms))))


class HandoffPlan(msgspec.Struct, frozen=True, kw_only=True):
    parts: tuple[Part, ...]


def turns(part: Part, number: int) -> Iterator[tuple[str, ...]]:
    """The variants of round `number`, those together that run at once."""
    variants = in_turn(part.variants, number)
    for start in range(0, len(variants), part.lanes):
        yield variants[start : start + part.lanes]


def in_turn(variants: Sequence[str], number: int) -> tuple[str, ...]:
    """All of them, in the order of round `number`."""
    shift = (number // 2 * max(1, len(variants) // 3)) % len(variants)
    order = (*variants[shift:], *variants[:shift])
    return order[::-1] if number % 2 else order


def order_of(cell: Cell) -> Order:
    """How often a cell is handed over in a turn: small ones more often. The first time of several is a warm-up."""
    features = cell.size_bytes * cell.batch
    repeats = 1 if cell.build_ms is not None or features >= _WARM_BYTES else 1 + math.ceil(_WARM_BYTES / features)
    return Order(size_bytes=cell.size_bytes, batch=cell.batch, repeats=min(_MOST_REPEATS, repeats))


def expected_s(plan: HandoffPlan) -> float:
    """About how long it takes, by what was measured on two cores."""
    return sum(_turn_s(part) * math.ceil(len(part.variants) / part.lanes) * part.rounds for part in plan.parts)


def memory_bytes(part: Part) -> int:
    """The most that its processes take at once."""
    features = max(part.sizes_bytes) * max(part.batches)
    copies = _TOKENIZER_COPIES + part.tp * _RANK_COPIES
    torch = part.tp * _TORCH_BYTES if part.collective == "gloo" else 0
    return math.ceil(part.lanes * ((part.tp + 1) * _PROCESS_BYTES + torch + copies * features))


def check_memory(plan: HandoffPlan, available_bytes: int, shared_bytes: int | None) -> None:
    """Raise UsageError, with the numbers, for what does not fit. shared_bytes: free in /dev/shm, None without it."""
    for part in plan.parts:
        needed, features = memory_bytes(part), max(part.sizes_bytes) * max(part.batches)
        what = f"{max(part.batches)} x {max(part.sizes_bytes) / MB:g} MB to {part.tp} ranks"
        if needed > available_bytes:
            beside = f" ({part.lanes} variants at once)" if part.lanes > 1 else ""
            raise UsageError(
                f"{what}{beside} takes up to {needed / 1e9:.1f} GB of memory, {available_bytes / 1e9:.1f} GB is free",
                "give a smaller --size or --batch, or fewer ranks with --tp",
            )
        if "shm" in part.variants and shared_bytes is not None and features > shared_bytes:
            raise UsageError(
                f"{what} by shm takes {features / 1e9:.2f} GB of /dev/shm, {shared_bytes / 1e9:.2f} GB is free there",
                "give a smaller --size or --batch, or name other variants with --variant",
            )


def _turn_s(part: Part) -> float:
    work_s = 0.0
    for cell in part.cells:
        megabytes = cell.size_bytes * cell.batch * order_of(cell).repeats / MB
        work_s += megabytes * (part.tp + 1) * _MB_RANK_S + cell.batch * (cell.build_ms or 0) / 1e3
    torch_s = part.tp * _TORCH_S if part.collective == "gloo" else 0.0
    return part.lanes * (_TURN_S * (part.tp + 1) / 5 + torch_s) + work_s
