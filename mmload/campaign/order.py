"""Which run follows which. A host that drifts, warming up or filling its disk, must not favour a variant.

Every second round has the variants in reverse (A B C, C B A, A B C, ..): over an even number of rounds each has the
same mean place, so that what changes linearly with time is the same for all of them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from mmload.model.campaign import Campaign, Scene, Slot
from mmload.model.plan import Plan


def slots_of_scene(scene: str, variants: Sequence[str], rounds: int) -> list[Slot]:
    """The runs of one scene: each variant once a round."""
    return [
        Slot(scene=scene, round=number, variant=variant)
        for number in range(rounds)
        for variant in (reversed(variants) if number % 2 else variants)
    ]


def slots_of(variants: Sequence[str], scenes: Mapping[str, Scene]) -> list[Slot]:
    """Those of all scenes, one scene after the other, each with all variants."""
    return [slot for name, scene in scenes.items() for slot in slots_of_scene(name, variants, scene.rounds)]


def plan_of(campaign: Campaign, slot: Slot) -> Plan:
    """What one run does: its scene's plan with its variant and the seed of its round."""
    plan, (variant, _, _) = campaign.scenes[slot.scene].plan, slot.variant.partition("#")
    return msgspec.structs.replace(plan, variant=variant, seed=plan.seed + slot.round, gate=None)
