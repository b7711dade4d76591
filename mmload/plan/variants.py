"""configs/variants/: what each patch variant does, as people read it. What it does in code is mmload/handoff/."""

from __future__ import annotations

from typing import Literal, get_args

import msgspec

from mmload.plan.config import load, names

Lane = Literal["tokenizer", "rank 0", "rank 0 thread", "rank 1..N", "rank 1..N thread"]
LANES: tuple[Lane, ...] = get_args(Lane)
# With a fault of known size; only the stand-in of `mmload selftest` knows them, and no card describes them.
PLANTED = (
    "planted-tail",
    "planted-slow-tail",
    "planted-errors",
    "planted-leak",
    "planted-slow-rank",
    "planted-stall",
    "planted-wrong-output",
    "planted-slow-start",
)


class Step(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One step of a picture, after the one before it.

    by: who does something, side by side, or sends something to others. waits: who stands still meanwhile.
    """

    by: tuple[Lane, ...]
    does: str = ""
    sends: str = ""
    to: tuple[Lane, ...] = ()
    waits: tuple[Lane, ...] = ()

    def __post_init__(self) -> None:
        if bool(self.does) == bool(self.sends) or bool(self.sends) != bool(self.to) or not self.by:
            raise ValueError("a step is `by` somebody, who `does` something or `sends` something `to` others")


class VariantCard(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One row of `mmload variants list`.

    about: one sentence. origin: where the variant comes from. materialises: who builds the inputs object. transfers:
    what travels to the ranks and how. synchronisation: what the ranks wait for beyond the existing broadcast.
    overlay, patch: the releases of SGLang that `mmload serve` and `mmload variants patch` bring it into; empty for the
    server as it is. later: what newer releases do of it themselves. picture: who does what when; pictured: for what.
    hazards: how it can go wrong, one sentence each. name: the file's name.
    """

    name: str = ""
    about: str
    origin: str
    materialises: str
    transfers: str
    synchronisation: str
    overlay: str = ""
    patch: str = ""
    later: str = ""
    pictured: str = ""
    picture: tuple[Step, ...] = ()
    hazards: tuple[str, ...] = ()


class VariantList(msgspec.Struct, frozen=True):
    """`mmload variants list --json`."""

    variants: tuple[VariantCard, ...]


def load_variant(name: str) -> VariantCard:
    """The card of one variant; raises UsageError (unknown, with the nearest names) or ConfigError (wrong)."""
    return msgspec.structs.replace(load("variants", name, VariantCard), name=name)


def load_variants() -> list[VariantCard]:
    """The cards of all variants, by name."""
    return [load_variant(name) for name in names("variants")]
