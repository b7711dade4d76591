"""Makes the runs that rows rest on, each once, and has the gate judge them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import msgspec

from mmload.campaign.make import Nobody, make
from mmload.campaign.order import slots_of
from mmload.errors import MmloadError, RunInvalid, ServerError
from mmload.judge.choice import on_main
from mmload.judge.comparison import compare
from mmload.judge.criteria import parse
from mmload.judge.definition import Gate, GateCriterion
from mmload.judge.figures import Terms
from mmload.judge.gate import judge
from mmload.judge.metrics import METRICS
from mmload.judge.validity import faults_of
from mmload.model.campaign import MAIN_SCENE, Campaign, Scene
from mmload.model.comparison import ComparedSide
from mmload.model.live import LiveView
from mmload.model.plan import OpenLoop, Plan, ProfilePlan
from mmload.model.result import CriterionResult
from mmload.plan.variants import PLANTED
from mmload.plan.workload import Image, Workload
from mmload.selftest.faults import Fault, Striker
from mmload.session.crew import Show
from mmload.session.run import run as run_session
from mmload.store.campaigns import new_campaign_id
from mmload.store.read import Run

_ENGINE = Path(__file__).parent / "standin.toml"
_WORKLOAD = Workload(
    about="One 56 px JPEG a request, 2 tokens out: cheap enough to leave a core to whatever is planted",
    rate_rps=100,
    items=(Image(width_px=56, prompt_words=4, max_tokens=2),),
)
_SEED = 20
_CONFIDENCE = 0.95

Beside = Callable[[], AbstractContextManager[object]]


class NotJudged(Exception):
    """Nothing was done to the generator and yet the run is INVALID: the row says nothing about the tool."""


class Setup(msgspec.Struct, frozen=True, kw_only=True):
    """One run. fault: what is done to its processes; beside: what goes on on the host meanwhile; arguments: further
    ones of the stand-in."""

    variant: str = "original"
    rate_rps: float = 200.0
    duration_s: float
    warmup_s: float = 0.5
    profile_s: float | None = None
    fault: Fault | None = None
    beside: Beside | None = None
    arguments: tuple[str, ...] = ()

    def plan(self) -> Plan:
        return Plan(
            variant=self.variant,
            workload_name="selftest",
            workload=msgspec.to_builtins(_WORKLOAD),
            load=OpenLoop(rate_rps=self.rate_rps, arrival="constant"),
            duration_s=self.duration_s,
            warmup_s=self.warmup_s,
            seed=_SEED,
            tp=2,
            engine_args=("--config", str(_ENGINE), "--variants-in", "mmload.selftest.plants", *self.arguments),
            profile=ProfilePlan(enabled=self.profile_s is not None, duration_s=self.profile_s or 1.0),
        )


class Made(msgspec.Struct, frozen=True, kw_only=True):
    """A run that was made. ended_by: what ended it early. struck_ns: when each blow of its fault fell."""

    run: Run
    ended_by: MmloadError | None = None
    struck_ns: tuple[int, ...] = ()


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """Two variants in turn, so that they can be compared. load: of every run, whatever its variant."""

    load: Setup
    baseline: str
    candidate: str
    rounds: int


class Workbench:
    """Runs in `out`, each made once. used: those that the present row rests on."""

    def __init__(self, out: Path, *, quick: bool, show: Show) -> None:
        self.quick = quick
        self.out = out
        self.used: list[str] = []
        self._show = show
        self._made: dict[Setup, Made] = {}
        self._pairs: dict[Pair, list[list[Run]]] = {}

    def begin_row(self, *, again: bool = False) -> None:
        """again: what the last attempt at it could not be judged by is made anew."""
        if again:
            self._made = {setup: made for setup, made in self._made.items() if made.run.run_id not in self.used}
            self._pairs = {pair: sides for pair, sides in self._pairs.items() if not any(map(_faults, sides))}
        self.used = []

    def forget(self, pair: Pair) -> None:
        """It is made anew when it is asked for again."""
        del self._pairs[pair]

    def made(self, setup: Setup) -> Made:
        """The run of a setup, however it ended. Raises ServerError where there is no run at all, FolderError or
        Interrupted."""
        if setup not in self._made:
            self._made[setup] = self._make(setup)
        made = self._made[setup]
        self.used.append(made.run.run_id)
        return made

    def valid(self, setup: Setup) -> Run:
        """The run of a setup that must come to its end and be VALID. Raises NotJudged where the generator alone was in
        the way, and what ended the run otherwise."""
        made = self.made(setup)
        _refuse_invalid([made.run])
        if made.ended_by is not None:
            raise made.ended_by
        return made.run

    def pair(self, pair: Pair) -> list[list[Run]]:
        """The rounds of the baseline and of the candidate. Raises as `valid`."""
        if pair not in self._pairs:
            self._pairs[pair] = self._make_pair(pair)
        sides = self._pairs[pair]
        self.used += [run.run_id for side in sides for run in side]
        for side in sides:
            _refuse_invalid(side)
        return sides

    def _make(self, setup: Setup) -> Made:
        sealed: list[Run] = []
        striker = Striker(setup.fault, self.out)

        def show(view: LiveView) -> None:
            striker.look(view)
            self._show(view)

        ended_by: MmloadError | None = None
        try:
            with setup.beside() if setup.beside else nullcontext():
                run_session(setup.plan(), self.out, show, sealed.append)
        except (ServerError, RunInvalid) as error:
            if not sealed:
                raise
            ended_by = error
        finally:
            striker.release()
        return Made(run=sealed[0], ended_by=ended_by, struck_ns=tuple(striker.struck_ns))

    def _make_pair(self, pair: Pair) -> list[list[Run]]:
        scenes = {MAIN_SCENE: Scene(plan=pair.load.plan(), rounds=pair.rounds)}
        variants = [pair.baseline, pair.candidate]
        campaign = Campaign(
            campaign_id=new_campaign_id("selftest"),
            kind="selftest",
            variants=variants,
            scenes=scenes,
            slots=slots_of(variants, scenes),
            remakes=1,
        )
        slots = make(campaign, self.out, _Glimpses(self._show)).slots
        return [[Run(self.out / str(slot.run_id)) for slot in slots if slot.variant == name] for name in variants]


class _Glimpses(Nobody):
    """Of a campaign only the present run is shown: its row comes when it is done."""

    def __init__(self, show: Show) -> None:
        self._show = show

    def shows(self, view: LiveView) -> None:
        self._show(view)


def judged(
    check: str,
    candidate: Sequence[Run],
    baselines: Mapping[str, Sequence[Run]] | None = None,
    design_effect: float = 5,
) -> CriterionResult:
    """What the gate says of `check`, and of nothing else. design_effect: bursts of 2 or 3 until a run shows its own; 1
    where what is planted comes one by one."""
    criterion = parse(check, "the gate of the selftest", METRICS, ["original", *PLANTED])
    item = GateCriterion(criterion=criterion, required=True, terms=Terms(_CONFIDENCE, design_effect))
    gate = Gate(name="selftest", text="", confidence=_CONFIDENCE, looks=1, criteria=(item,), scenes={}, remakes=0)
    (result,) = judge(gate, on_main(candidate, baselines)).criteria
    return result


def compared(candidate: Sequence[Run], baseline: Sequence[Run]) -> ComparedSide:
    """What a comparison says of the candidate."""
    _, side = compare({"baseline": baseline, "candidate": candidate}, "baseline", force=True).sides
    return side


def _refuse_invalid(runs: Sequence[Run]) -> None:
    if faults := _faults(runs):
        raise NotJudged("; ".join(faults))


def _faults(runs: Sequence[Run]) -> list[str]:
    return [fault for run in runs for fault in faults_of(run)]
