"""A campaign's runs, made one after the other. It is written anew after each of them, so that it can go on."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Protocol

import msgspec

from mmload.campaign import order
from mmload.errors import FolderError, RunInvalid, ServerError, UsageError
from mmload.judge.comparable import differences_of_servers
from mmload.judge.validity import faults_of
from mmload.model.campaign import Attempt, Campaign, HostState, Slot
from mmload.model.live import LiveView
from mmload.model.manifest import Membership
from mmload.model.plan import Plan
from mmload.observe.host_state import host_state
from mmload.plan.arrivals import build_schedule
from mmload.plan.check import check_plan
from mmload.plan.payloads import check_payloads
from mmload.serve.target import preflight
from mmload.session.crew import Show
from mmload.session.interrupt import Interruption, interruption
from mmload.session.run import run as run_session
from mmload.store.campaigns import lost_runs, making, write_campaign
from mmload.store.read import Run

Session = Callable[[Plan, Path, Show, Callable[[Run], None], Membership], Run]
PlanOf = Callable[[Campaign, Slot], Plan]


class Onlooker(Protocol):
    """Who sees the runs come. place: of the run in the campaign's order, from 0."""

    def begins(self, campaign: Campaign, place: int, plan: Plan) -> None: ...
    def shows(self, view: LiveView) -> None: ...
    def ended(self, campaign: Campaign, place: int, run: Run, faults: list[str]) -> None:
        """faults: why the run is INVALID, empty for a valid one. It is made again where the slot has no run-id yet."""


class Nobody(Onlooker):
    """Sees nothing."""

    def begins(self, campaign: Campaign, place: int, plan: Plan) -> None: ...
    def shows(self, view: LiveView) -> None: ...
    def ended(self, campaign: Campaign, place: int, run: Run, faults: list[str]) -> None: ...


class Means(msgspec.Struct, frozen=True, kw_only=True):
    """How a campaign is made: what a run is, what is looked at before it, and what a slot's plan is."""

    session: Session = run_session
    look: Callable[[], HostState] = host_state
    plan_of: PlanOf = order.plan_of


def make(campaign: Campaign, out: Path, onlooker: Onlooker | None = None, means: Means | None = None) -> Campaign:
    """Make every run that the campaign lacks; returns it as it is in the end, which is complete.

    A run that is INVALID by the generator's fault is made again, `campaign.remakes` times at most; the last one counts,
    whatever it is. A server that dies or hangs under load is evidence: its run is kept as failed, and others follow. A
    run whose folder is gone is made again too.

    Whatever ends it early, the campaign is written first and can be given to `make` again. Raises UsageError (a plan
    that can't be carried out, servers that differ in more than their variants), ServerError (a server that never came
    under load; its variant is named), RunInvalid (runs of one round that were sent different requests), FolderError or
    Interrupted.
    """
    maker = _Maker(campaign, out, onlooker or Nobody(), means or Means())
    maker.check_plans()
    with making(campaign.campaign_id, out), interruption() as interrupted:
        try:
            maker.note(status="running", error=None)
            maker.give_up_lost()
            maker.check_kept()
            for place in range(len(campaign.slots)):
                maker.fill(place, interrupted)
        except BaseException as failure:
            with contextlib.suppress(FolderError):  # a full disk is what is raised; it reads as partial all the same
                maker.note(status="failed" if isinstance(failure, ServerError) else "partial", error=str(failure))
            raise
        maker.note(status="complete")
    return maker.campaign


class _Maker:
    def __init__(self, campaign: Campaign, out: Path, onlooker: Onlooker, means: Means) -> None:
        self.campaign = campaign
        self._out = out
        self._onlooker = onlooker
        self._means = means

    def check_plans(self) -> None:
        """What a run would refuse is refused before there is a campaign."""
        for slot in self.campaign.slots:
            plan = self._means.plan_of(self.campaign, slot)
            if plan.url is not None:
                raise UsageError(f"{plan.url} is one server: it can't run one variant after another", "leave out --url")
            check_plan(plan)
            preflight(plan)
        for scene in self.campaign.scenes.values():
            build_schedule(scene.plan)
            check_payloads(scene.plan)

    def note(self, **facts: object) -> None:
        self.campaign = msgspec.structs.replace(self.campaign, **facts)
        write_campaign(self.campaign, self._out)

    def give_up_lost(self) -> None:
        lost = lost_runs(self.campaign, self._out)
        for place, slot in enumerate(self.campaign.slots):
            if slot.run_id is not None and slot.run_id in lost:
                what = "manifest" if (self._out / slot.run_id).is_dir() else "run folder"
                self._note_attempt(place, slot.run_id, [f"its {what} is gone"])
                self._note_slot(place, run_id=None, host=None)

    def check_kept(self) -> None:
        """Where the runs that are there are of different servers, no further run makes them comparable."""
        made = [slot for slot in self.campaign.slots if slot.run_id is not None]
        self._refuse_apart(
            self._apart(Run(self._out / str(slot.run_id)), slot.scene, made[:place]) for place, slot in enumerate(made)
        )

    def fill(self, place: int, interrupted: Interruption) -> None:
        """Make the run of one place until it counts. One that has a run is left as it is."""
        remakes = 0
        while self.campaign.slots[place].run_id is None:
            interrupted.check()
            host = self._means.look()
            interrupted.check()
            run = self._carry_out(place)
            faults = faults_of(run)
            if faults and remakes < self.campaign.remakes:
                remakes += 1
                self._note_attempt(place, run.run_id, faults)
            else:
                self._note_slot(place, run_id=run.run_id, host=host)
            self._onlooker.ended(self.campaign, place, run, faults)
            self._check_equality(place, run)

    def _carry_out(self, place: int) -> Run:
        """The sealed run, also one that was not to be trusted or whose server failed under load."""
        slot = self.campaign.slots[place]
        plan = self._means.plan_of(self.campaign, slot)
        self._onlooker.begins(self.campaign, place, plan)
        member = Membership(campaign=self.campaign.campaign_id, scene=slot.scene, round=slot.round, place=place)
        sealed: list[Run] = []
        try:
            return self._means.session(plan, self._out, self._onlooker.shows, sealed.append, member)
        except RunInvalid:
            if not sealed:
                raise
            return sealed[0]
        except ServerError as failure:
            if sealed and _came_under_load(sealed[0]):
                return sealed[0]
            for run in sealed:
                self._note_attempt(place, run.run_id, [str(failure)])
            raise type(failure)(f"{slot.variant}: {failure}", failure.hint) from failure
        except BaseException as failure:
            for run in sealed:
                self._note_attempt(place, run.run_id, [str(failure) or type(failure).__name__])
            raise

    def _note_attempt(self, place: int, run_id: str, reasons: list[str]) -> None:
        attempts = self.campaign.slots[place].attempts
        self._note_slot(place, attempts=[*attempts, Attempt(run_id=run_id, reasons=reasons)])

    def _note_slot(self, place: int, **facts: object) -> None:
        slots = list(self.campaign.slots)
        slots[place] = msgspec.structs.replace(slots[place], **facts)
        self.note(slots=slots)

    def _check_equality(self, place: int, run: Run) -> None:
        """What must not differ between variants, because then nothing else could be compared."""
        this = self.campaign.slots[place]
        for slot in self.campaign.slots:
            if slot.scene != this.scene or slot.run_id in {None, run.run_id}:
                continue
            other = Run(self._out / str(slot.run_id))
            ours, theirs = run.manifest, other.manifest
            if ours.idle_policy != theirs.idle_policy and not self.campaign.force:
                raise UsageError(
                    f"{this.variant} waits for work by {ours.idle_policy}, {slot.variant} by {theirs.idle_policy}: "
                    "their use of CPU can't be compared",
                    "--force compares them all the same, and says so",
                )
            digests = (ours.schedule_sha256, ours.payloads_sha256)
            if slot.round == this.round and digests != (theirs.schedule_sha256, theirs.payloads_sha256):
                raise RunInvalid(f"{run.run_id} was not sent the same requests at the same times as {other.run_id}")
        self._refuse_apart([self._apart(run, this.scene, self.campaign.slots)])

    def _apart(self, run: Run, scene: str, among: Iterable[Slot]) -> str | None:
        """How a run's server differs, in more than its variant, from the first of the scene that came under load."""
        of_scene = (slot.run_id for slot in among if slot.scene == scene)
        made = (Run(self._out / run_id) for run_id in of_scene if run_id and run_id != run.run_id)
        other = next(filter(_came_under_load, made), None)
        if other is None or not _came_under_load(run):
            return None
        apart = differences_of_servers(run, other)
        return f"{run.run_id} can't be compared with {other.run_id}: {'; '.join(apart)}" if apart else None

    def _refuse_apart(self, found: Iterable[str | None]) -> None:
        apart = [text for text in found if text]
        if apart and not self.campaign.force:
            hint = "remove the runs that should not count: mmload runs remove RUN"
            by_force = ", or compare them all the same with --force" if self.campaign.kind == "compare" else ""
            raise UsageError("; ".join(apart), hint + by_force)


def _came_under_load(run: Run) -> bool:
    return any(phase.name == "measure" for phase in run.manifest.phases)
