"""Which runs a gate judges where a campaign made them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from mmload.errors import FolderError, UsageError
from mmload.judge.choice import Choice, SceneRuns, Side, forced_differences, unlike_the_gate
from mmload.judge.comparable import names_of, paired
from mmload.judge.comparison_sides import host_warnings
from mmload.judge.definition import Gate
from mmload.judge.stored import check_slots, newest_stored
from mmload.model.campaign import MAIN_SCENE, Campaign
from mmload.plan.config_hints import nearest
from mmload.store.read import Run


def campaign_of_newest(stored: Sequence[Run], gate: Gate, candidate: str | None = None) -> str | None:
    """The campaign that the candidate was made in, where no run is named; None for one that was made alone. Raises
    FolderError without a candidate."""
    member = newest_stored(stored, gate, candidate).manifest.member
    return None if member is None else member.campaign


def choice_of_campaign(
    campaign: Campaign, runs: Mapping[str, Run], gate: Gate, candidate: str | None = None, *, force: bool = False
) -> Choice:
    """The runs of a campaign, by run-id, as it made them. candidate: one of its variants; without it the campaign's
    own, else the last that is none of the gate's baselines. Raises FolderError where the candidate has no run on the
    main scene or a run is not what the campaign has it for, and UsageError where runs can't be compared (unless
    `force`)."""
    check_slots(campaign, runs)
    others = [variant for variant in campaign.variants if variant not in gate.baselines]
    judged = candidate or campaign.candidate or (others or campaign.variants)[-1]
    if judged not in campaign.variants:
        raise UsageError(f"{campaign.campaign_id} has no run of {judged}", nearest(judged, campaign.variants))
    scenes = {name: _of_scene(name, campaign, runs, gate, judged, force=force) for name in campaign.scenes}
    if MAIN_SCENE not in scenes or not scenes[MAIN_SCENE].candidate:
        on = f"compare --continue {campaign.campaign_id}" if campaign.kind == "compare" else "gate --run"
        raise FolderError(f"{campaign.campaign_id} has no run of {judged} yet", f"mmload {on} goes on with it")
    return Choice(
        scenes=scenes,
        campaign=campaign.campaign_id,
        look=len(campaign.earlier) + 1,
        warnings=(*_warnings(campaign), *unlike_the_gate(scenes, gate)),
    )


def _of_scene(
    scene: str, campaign: Campaign, runs: Mapping[str, Run], gate: Gate, judged: str, *, force: bool
) -> SceneRuns:
    slots = [slot for slot in campaign.slots if slot.scene == scene]
    made = [(slot.variant, runs[slot.run_id]) for slot in slots if slot.run_id is not None]
    candidate = tuple(run for variant, run in made if variant == judged)
    if not candidate:
        return SceneRuns(absent={judged: f"{campaign.campaign_id} has no run of {judged} on the scene {scene}"})
    baselines: dict[str, Side] = {}
    forced = forced_differences(judged, candidate, {}, force=force)
    for name in gate.baselines_on(scene):
        side = tuple(run for variant, run in made if variant != judged and name in names_of(run))
        if side:
            ours, theirs = paired(candidate, side)  # an interrupted campaign has rounds that not every variant has
            both = (tuple(ours), tuple(theirs)) if ours else (candidate, side)
            forced |= forced_differences(judged, both[0], {name: both[1]}, force=force)
            baselines[name] = both[1]
    return SceneRuns(candidate=candidate, baselines=baselines, forced=forced)


def _warnings(campaign: Campaign) -> Iterator[str]:
    lacking = sum(slot.run_id is None for slot in campaign.slots)
    if lacking:
        yield f"{lacking} of {len(campaign.slots)} runs of {campaign.campaign_id} were not made"
    for slot in campaign.slots:
        for attempt in slot.attempts:
            yield f"{attempt.run_id} does not count and was made again: {'; '.join(attempt.reasons)}"
    yield from host_warnings(campaign)
