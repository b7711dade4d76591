"""configs/claims/NAME.toml: what somebody says of the handoff, as data; mmload.judge.claims judges it."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from mmload.model.handoff import ClaimOp
from mmload.plan.config import load, names

Positive = Annotated[float, msgspec.Meta(gt=0)]
Figure = Literal["wall_ms", "cpu_ms", "build_cpu_ms", "modelled_cpu_ms", "overhead_ms", "throughput_rps", "moved_mb"]


class Claim(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One `[[claims]]` table.

    figure: what is claimed, per request. versus: the figure is a ratio to that variant's; `others`: to that of each
    other variant that is measured, the worst one counting. size_mb: None where the claim names none: it is judged at
    every size. build_ms: the modelled build; None: a real one. tolerance: "about" is up to so many times more or less.
    says: the claim in its own words.
    """

    figure: Figure
    variant: str
    versus: str | None = None
    tp: int = 4
    size_mb: Positive | None = None
    batch: int = 1
    build_ms: Positive | None = None
    op: ClaimOp = "about"
    value: Positive
    tolerance: Annotated[float, msgspec.Meta(ge=1)] = 1.0
    says: str = ""


class Claims(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """about: whose claims these are. this_host: they are about the host that measures, however few cores it has; else
    about one with a core for each process. name: the file's name."""

    name: str = ""
    about: str
    this_host: bool = False
    claims: Annotated[list[Claim], msgspec.Meta(min_length=1)]


def load_claims() -> list[Claims]:
    """All of them, by name. Raises ConfigError (wrong)."""
    return [msgspec.structs.replace(load("claims", name, Claims), name=name) for name in names("claims")]
