"""The handoff alone (`mmload handoff`): what is measured, what comes back, and what is said about it. Data only."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

CollectiveName = Literal["standin", "gloo"]
ClaimOp = Literal["about", "<=", ">="]
ClaimWord = Literal["SUPPORTED", "REFUTED", "CANNOT TELL"]

SCHEMA = 1


class Cell(msgspec.Struct, frozen=True, kw_only=True):
    """A point at which variants are compared. size_bytes: features of one request. batch: requests that are received
    together. build_ms: how long a modelled build takes, asleep; None: it is done. collective: what ranks broadcast by,
    the stand-in's own or real gloo."""

    tp: int
    size_bytes: int
    batch: int
    build_ms: float | None = None
    collective: CollectiveName = "standin"


class GroupSpec(msgspec.Struct, frozen=True, kw_only=True):
    """A tokenizer process and its ranks. parent_pid: whose end is theirs."""

    variant: str
    tp: int
    build_ms: float | None
    parent_pid: int
    collective: CollectiveName = "standin"


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """Hand over `repeats` batches, one after another, each of which is read. mark: of the first request's features;
    no two requests of a group have the same."""

    size_bytes: int
    batch: int
    repeats: int = 1
    mark: int = 1


class Up(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A group is ready. pids: of its ranks."""

    variant: str
    pids: list[int]


class Reading(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """One batch. wall_s: from the tokenizer's first step until the entry rank says that all ranks have all inputs.
    *_cpu_s: of whole processes, all threads. counters: the growth of each column (mmload.handoff.counters), over all
    processes."""

    wall_s: float
    tokenizer_cpu_s: float
    ranks_cpu_s: float
    counters: dict[str, float]


class Ended(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """A group has ended by itself: why, and the mend."""

    message: str
    hint: str = ""


Word = Up | Reading | Ended


class Observation(msgspec.Struct, frozen=True, kw_only=True):
    """What one variant showed at one cell in one round."""

    variant: str
    cell: Cell
    round: int
    readings: list[Reading]


class Estimate(msgspec.Struct, frozen=True, kw_only=True):
    """A figure with its two-sided 95 % interval; low and high are None where rounds are too few for one."""

    value: float
    low: float | None = None
    high: float | None = None


class HandoffRow(msgspec.Struct, frozen=True, kw_only=True):
    """One variant at one cell. figures: per request, by name (mmload.analyse.handoff_alone)."""

    variant: str
    cell: Cell
    rounds: int
    requests: int
    figures: dict[str, Estimate]


class ClaimResult(msgspec.Struct, frozen=True, kw_only=True):
    """A claim and what was measured. low, high: what `measured` may be where each process has a core, as far as this
    host can say; the interval of `measured` where it has enough. note: why the word is not a plain one."""

    source: str
    says: str
    figure: str
    variant: str
    versus: str | None
    cell: Cell
    op: ClaimOp
    claimed: float
    tolerance: float
    measured: Estimate
    low: float | None
    high: float | None
    verdict: ClaimWord
    note: str = ""


class HandoffReport(msgspec.Struct, frozen=True, kw_only=True):
    """All that `mmload handoff` says. complete: False where it was ended early. unmeasured: claims about other cells or
    variants than these."""

    schema: Annotated[int, msgspec.Meta(ge=1)] = SCHEMA
    version: str
    complete: bool
    cores: int
    warnings: list[str]
    rows: list[HandoffRow]
    claims: list[ClaimResult]
    unmeasured: int
