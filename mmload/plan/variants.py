"""configs/variants/: what each patch variant does, as people read it. What it does in code is mmload/handoff/."""

from __future__ import annotations

import msgspec

from mmload.plan.config import load, names


class VariantCard(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One row of `mmload variants list`.

    about: one sentence. origin: where the variant comes from. materialises: who builds the inputs object. transfers:
    what travels to the ranks and how. synchronisation: what the ranks wait for beyond the existing broadcast.
    hazards: how it can go wrong, one sentence each. name: the file's name.
    """

    name: str = ""
    about: str
    origin: str
    materialises: str
    transfers: str
    synchronisation: str
    hazards: tuple[str, ...] = ()


def load_variant(name: str) -> VariantCard:
    """The card of one variant; raises UsageError (unknown, with the nearest names) or ConfigError (wrong)."""
    return msgspec.structs.replace(load("variants", name, VariantCard), name=name)


def load_variants() -> list[VariantCard]:
    """The cards of all variants, by name."""
    return [load_variant(name) for name in names("variants")]
