"""`mmload gate --run`: the campaign that makes the runs a gate asks for."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from mmload.errors import FolderError, UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from mmload.judge.definition import Gate
    from mmload.model.campaign import Campaign, Slot
    from mmload.store.campaigns import StoredCampaign


def made_for(gate: Gate, candidate: str | None, out: Path, console: Console) -> StoredCampaign:
    """The campaign of this gate and candidate, complete: an interrupted one is gone on with. Raises what
    `campaign.make` raises, and UsageError where the gate can't say what is to be made."""
    from mmload.commands.make_campaign import make_campaign  # noqa: PLC0415
    from mmload.plan.variants import load_variant  # noqa: PLC0415
    from mmload.serve.engines import split_name  # noqa: PLC0415
    from mmload.store.campaigns import find_campaign, lost_runs  # noqa: PLC0415

    if candidate is None:
        raise UsageError("--run makes runs of a candidate", "say of which variant: --candidate VARIANT")
    if not gate.scenes:
        raise UsageError(f"the gate {gate.name} does not say what to run", "add a [run] table to its file")
    if load_variant(candidate).name in gate.baselines:
        hint = "judge another variant, or a variant beside itself: mmload compare"
        raise UsageError(f"the gate {gate.name} compares with {candidate}: it can't be the candidate too", hint)
    for scene in gate.scenes.values():
        split_name(scene.plan.engine or "")
    campaign = _wanted(gate, candidate)
    same = list(_same(campaign, out))
    unfinished = next((stored.campaign for stored in same if stored.campaign.status != "complete"), None)
    if unfinished is None:
        campaign = msgspec.structs.replace(campaign, earlier=_looks(same))
    else:
        campaign = unfinished
        made = sum(slot.run_id is not None for slot in campaign.slots) - len(lost_runs(campaign, out))
        console.print(f"going on with {campaign.campaign_id}: {made} of {len(campaign.slots)} runs are there")
    make_campaign(campaign, out, console)
    return find_campaign(campaign.campaign_id, out)


def _wanted(gate: Gate, candidate: str) -> Campaign:
    from mmload.model.campaign import Campaign  # noqa: PLC0415
    from mmload.store.campaigns import new_campaign_id  # noqa: PLC0415

    return Campaign(
        campaign_id=new_campaign_id("gate"),
        kind="gate",
        variants=[*gate.baselines, candidate],
        scenes={name: gate.scenes[name] for name in gate.judged_scenes},
        slots=list(_slots(gate, candidate)),
        remakes=gate.remakes,
        gate=gate.text,
        gate_name=gate.name,
        candidate=candidate,
    )


def _slots(gate: Gate, candidate: str) -> Iterator[Slot]:
    from mmload.campaign.order import slots_of_scene  # noqa: PLC0415

    for name in gate.judged_scenes:
        yield from slots_of_scene(name, [*gate.baselines_on(name), candidate], gate.scenes[name].rounds)


def _same(wanted: Campaign, out: Path) -> Iterator[StoredCampaign]:
    """Stored campaigns of the same gate, candidate and scenes, the newest first."""
    from mmload.store.campaigns import list_campaigns  # noqa: PLC0415

    for stored in list_campaigns(out):
        try:
            is_same = _asked_for(stored.campaign) == _asked_for(wanted)
        except FolderError as error:
            print(f"warning: passed over: {error}", file=sys.stderr)
            continue
        if is_same:
            yield stored


def _looks(same: Sequence[StoredCampaign]) -> list[str]:
    """Those that were judged and might have passed: an INVALID verdict could not, and one that can't be read might."""
    judged = []
    for stored in same:
        try:
            is_look = stored.verdict is not None and stored.verdict.verdict != "INVALID"
        except FolderError as error:
            print(f"warning: it counts as a look: {error}", file=sys.stderr)
            is_look = True
        if is_look:
            judged.append(stored.campaign.campaign_id)
    return sorted(judged)


def _asked_for(campaign: Campaign) -> tuple[str | None, str | None, bytes]:
    """The scenes as they are stored: what was read back has lists for tuples."""
    return campaign.gate, campaign.candidate, msgspec.json.encode(campaign.scenes)
