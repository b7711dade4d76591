"""Which stored runs there are of a variant, on a scene, that another run can be compared with."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from mmload.errors import FolderError
from mmload.judge.comparable import declared_text, differences, differences_of_servers, names_of
from mmload.judge.definition import Gate
from mmload.judge.validity import check_sanity, unfit_as_baseline
from mmload.model.campaign import MAIN_SCENE, Campaign
from mmload.model.plan import Plan
from mmload.plan.load_text import load_text, run_command
from mmload.store.read import Run


def newest_first(runs: Sequence[Run]) -> list[Run]:
    return sorted(runs, key=lambda run: run.run_id, reverse=True)


def readable(runs: Sequence[Run]) -> tuple[list[Run], dict[str, FolderError]]:
    """Those whose manifest and plan make sense; and the others by run-id, with why not."""
    found, damaged = [], {}
    for run in runs:
        try:
            check_sanity(run)
        except FolderError as error:
            damaged[run.run_id] = error
        else:
            found.append(run)
    return found, damaged


def has_ended(run: Run) -> bool:
    """Also: it is a run, and no profile without load."""
    return run.manifest.status != "running" and run.manifest.kind == "run"


def scene_of(run: Run, gate: Gate) -> str:
    """The scene of a gate that a run is of: the one that it was made for, else the one whose load it had, else the main
    one."""
    member = run.manifest.member
    if member is not None and member.scene in gate.judged_scenes:
        return member.scene
    fitting = (scene for scene in gate.judged_scenes if scene in gate.scenes and fits(run, gate.scenes[scene].plan))
    return next(fitting, MAIN_SCENE)


def fits(run: Run, plan: Plan) -> bool:
    """Whether a run had the load of a scene, whatever its length, on as many ranks."""
    return (run.manifest.tp, run.manifest.workload, run.plan.load) == (plan.tp, plan.workload_name, plan.load)


def unlike_declared(runs: Sequence[Run], scene: str, gate: Gate) -> str | None:
    """Where a run had another load than the gate declares for its scene, what was asked and what was had; None where
    all fit, or nothing is declared."""
    if scene not in gate.scenes:
        return None
    plan = gate.scenes[scene].plan
    asked = declared_text(plan.workload_name, plan.load, plan.tp)
    for run in runs:
        if not fits(run, plan):
            had = declared_text(run.manifest.workload, run.plan.load, run.manifest.tp)
            return f"the gate asks for {asked}; {run.run_id} had {had}"
    return None


def check_slots(campaign: Campaign, runs: Mapping[str, Run]) -> None:
    """Raise FolderError where a run in a campaign's record is not of the variant, or was not made for the scene and
    round, that it stands for there."""
    for slot in campaign.slots:
        if slot.run_id is None:
            continue
        run = runs[slot.run_id]
        member = run.manifest.member
        place = (campaign.campaign_id, slot.scene, slot.round)
        is_other = member is not None and (member.campaign, member.scene, member.round) != place
        if is_other or slot.variant.partition("#")[0] not in names_of(run):
            wanted = f"round {slot.round} of {slot.variant} on {slot.scene}"
            raise FolderError(
                f"{campaign.campaign_id} is damaged: it has {run.run_id} as its {wanted}, which that run is not",
                "judge the runs that are sound by naming them",
            )


def rounds_left_out(side: Sequence[Run], stored: Sequence[Run]) -> Iterator[str]:
    """Where a campaign made more rounds of a side than are judged: who chooses among rounds chooses the verdict."""
    made = _rounds_by_campaign(stored)
    for of, judged in _rounds_by_campaign(side).items():
        if len(judged) < len(made.get(of, ())):
            campaign, _, variant = of
            yield f"{len(judged)} of the {len(made[of])} rounds of {variant} that {campaign} made are judged"


def _rounds_by_campaign(runs: Sequence[Run]) -> dict[tuple[str, str, str], set[int]]:
    """Campaign, scene and variant -> its rounds."""
    rounds: dict[tuple[str, str, str], set[int]] = {}
    for run in runs:
        if member := run.manifest.member:
            rounds.setdefault((member.campaign, member.scene, run.manifest.variant), set()).add(member.round)
    return rounds


def newest_stored(runs: Sequence[Run], gate: Gate, candidate: str | None) -> Run:
    """The newest stored run of the candidate on the main scene. A damaged one that is newer might be the one that was
    meant: its FolderError is raised."""
    sound, damaged = readable(runs)
    main = [run for run in sound if scene_of(run, gate) == MAIN_SCENE]
    newest = candidate_of(main, gate, candidate) if main or not damaged else None
    for run_id, error in damaged.items():
        if newest is None or run_id > newest.run_id:
            raise error
    assert newest
    return newest


def candidate_of(runs: Sequence[Run], gate: Gate, wanted: str | None) -> Run:
    """The newest ended run of the wanted variant; without one, of a variant that is none of the gate's baselines, or
    the only run there is. Raises FolderError where there is none."""
    ended = [run for run in newest_first(runs) if has_ended(run)]
    for run in ended:
        names = names_of(run)
        if wanted in names or (wanted is None and names.isdisjoint(gate.baselines)):
            return run
    if not ended:
        raise FolderError("there is no run to judge", "make one: mmload run --variant optimized --rate 100")
    if wanted is not None:
        raise FolderError(
            f"there is no run of {wanted} to judge", f"make one: mmload run --variant {wanted} --rate 100"
        )
    if len(ended) == 1:
        return ended[0]
    raise FolderError(
        f"there are only runs of the baselines ({', '.join(gate.baselines)})",
        "say which of them is to be judged with --candidate VARIANT",
    )


def on_scene(variants: set[str], scene: str, gate: Gate, runs: Sequence[Run], main: Run) -> Run | str:
    """The newest ended run of a variant (by any of its names) on a scene, of the same server as `main`, or why there is
    none and what makes one."""
    plan = _plan_like(gate.scenes[scene].plan, main)
    for run in newest_first(runs):
        if not has_ended(run) or variants.isdisjoint(names_of(run)) or not fits(run, plan):
            continue
        if scene_of(run, gate) == scene and not differences_of_servers(main, run):
            return run
    variant = main.manifest.variant
    asked = f"{plan.workload_name} at TP {plan.tp}, {load_text(plan.load)}"
    return f"no run of {variant} on the scene {scene} ({asked}): {command_for(variant, plan)}"


def round_like(variant: str, run: Run, runs: Sequence[Run], *, force: bool) -> Run | str:
    """The newest valid run of a variant that is comparable with `run`, or why there is none and what makes one. force:
    where none is, the newest valid one."""
    refused = ""
    apart: Run | None = None
    for found in newest_first(runs):
        if variant not in names_of(found) or not has_ended(found):
            continue
        differ = differences(run, found)
        reasons = differ or unfit_as_baseline(found)
        if not reasons:
            return found
        refused = refused or f" (not {found.run_id}: {'; '.join(reasons)})"
        if force and apart is None and differ and not unfit_as_baseline(found):
            apart = found
    return apart or f"no run of {variant} to compare with{refused}: {command_for(variant, run.plan)}"


def command_for(variant: str, plan: Plan) -> str:
    """The command line that makes a run of `variant` comparable with a run of this plan."""
    return run_command(msgspec.structs.replace(plan, variant=variant))


def _plan_like(plan: Plan, main: Run) -> Plan:
    """A scene's plan on the server of a run; one that was attached to ran at its own TP, and has another address at
    another."""
    same = main.plan
    attached = same.url if plan.tp == main.manifest.tp else None
    return msgspec.structs.replace(
        plan,
        engine=None if attached else main.manifest.engine,
        url=attached,
        model=same.model,
        engine_args=same.engine_args,
    )
