"""Which stored runs a gate judges: on each of its scenes the rounds of the candidate, and for each baseline variant the
rounds that they are compared with."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain

import msgspec

from mmload.errors import UsageError
from mmload.judge.comparable import (
    differences_of_rounds,
    differences_of_servers,
    differences_of_sides,
    in_order,
    names_of,
    refuse_copies,
)
from mmload.judge.definition import Gate, known_variants
from mmload.judge.stored import (
    candidate_of,
    command_for,
    newest_stored,
    on_scene,
    readable,
    round_like,
    rounds_left_out,
    scene_of,
    unlike_declared,
)
from mmload.model.campaign import MAIN_SCENE
from mmload.plan.config_hints import nearest
from mmload.store.read import Run

Side = tuple[Run, ...]


class SceneRuns(msgspec.Struct, frozen=True, kw_only=True):
    """The runs of one scene, each side in the order of its rounds; without a candidate there is no baseline. absent:
    variant -> why there is no run of it, and what makes one. forced: variant -> what differs between its runs, or from
    the candidate's, and was to be judged all the same."""

    candidate: Side = ()
    baselines: dict[str, Side] = {}
    absent: dict[str, str] = {}
    forced: dict[str, tuple[str, ...]] = {}


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """The runs to judge, by scene; the main one is always there and has a candidate. campaign: the one that made them.
    look: which look at this candidate it is. warnings: what a reader of the verdict must know of the choice."""

    scenes: dict[str, SceneRuns]
    campaign: str | None = None
    look: int = 1
    warnings: tuple[str, ...] = ()

    @property
    def candidate(self) -> Run:
        """The newest run of the candidate on the main scene."""
        return max(self.scenes[MAIN_SCENE].candidate, key=lambda run: run.run_id)


def on_main(
    candidate: Sequence[Run],
    baselines: Mapping[str, Sequence[Run]] | None = None,
    absent: Mapping[str, str] | None = None,
) -> Choice:
    """These runs on the main scene, unexamined: whoever made them knows that they can be compared."""
    sides = {variant: in_order(runs) for variant, runs in (baselines or {}).items()}
    scene = SceneRuns(candidate=in_order(candidate), baselines=sides, absent=dict(absent or {}))
    return Choice(scenes={MAIN_SCENE: scene})


def choose_runs(
    runs: Sequence[Run],
    gate: Gate,
    candidate: str | None = None,
    baselines: Mapping[str, Sequence[Run]] | None = None,
    also: Sequence[Run] = (),
    *,
    force: bool = False,
) -> Choice:
    """Choose from `runs`, which the user named, in any order. also: all that are stored, for what is not named.

    candidate: the variant to judge; without it that of the newest run whose variant is none of the gate's baselines (or
    of the only run there is). Of named runs all of a variant are its rounds; of stored ones the newest is judged alone.
    baselines: the main scene's, given by the user, by variant; for the others those of `runs`, else for each round of
    the candidate the newest valid stored run that is comparable. Other scenes: named runs of that scene, else the
    newest stored one of the candidate that has the load that the gate declares.

    Raises FolderError without a candidate, and UsageError when a variant is unknown, a named run is still being written
    or is a profile, or named runs can't be compared (unless `force`), with every difference.
    """
    given = dict(baselines or {})
    stored, damaged = readable(also)
    _refuse_unknown_names(gate, given, candidate, [*runs, *stored])
    _refuse_without_figures([*runs, *(run for side in given.values() for run in side)])
    named: dict[str, list[Run]] = {}
    for run in {run.layout.path: run for run in runs}.values():
        named.setdefault(scene_of(run, gate), []).append(run)
    main = named.get(MAIN_SCENE)
    newest = candidate_of(main, gate, candidate) if main else newest_stored(also, gate, candidate)
    chooser = _Chooser(gate=gate, newest=newest, given=given, named=named, stored=stored, force=force)
    scenes = {scene: chooser.scene(scene) for scene in gate.judged_scenes}
    passed_over = [f"damaged, so passed over: {', '.join(sorted(damaged))}"] if damaged else []
    told = (_left_out(runs, scenes), unlike_the_gate(scenes, gate), _rounds_left_out(scenes, stored), passed_over)
    return Choice(scenes=scenes, warnings=tuple(chain(*told)))


def unlike_the_gate(scenes: Mapping[str, SceneRuns], gate: Gate) -> Iterator[str]:
    """One warning for each scene whose candidate had another load than the gate declares."""
    found = (unlike_declared(runs.candidate, scene, gate) for scene, runs in scenes.items())
    return (warning for warning in found if warning)


class _Chooser(msgspec.Struct, frozen=True, kw_only=True):
    """newest: the newest run of the candidate on the main scene. given: baselines of the main scene. named: by
    scene."""

    gate: Gate
    newest: Run
    given: Mapping[str, Sequence[Run]]
    named: Mapping[str, Sequence[Run]]
    stored: Sequence[Run]
    force: bool

    def scene(self, scene: str) -> SceneRuns:
        candidate = self._candidate(scene)
        if isinstance(candidate, str):
            return SceneRuns(absent={self.newest.manifest.variant: candidate})
        sides: dict[str, Side] = {}
        absent: dict[str, str] = {}
        for variant in self.gate.baselines_on(scene):
            found = self._baseline(scene, variant, candidate)
            if isinstance(found, str):
                absent[variant] = found
            else:
                sides[variant] = found
        forced = forced_differences(self.newest.manifest.variant, candidate, sides, force=self.force)
        return SceneRuns(candidate=candidate, baselines=sides, absent=absent, forced=forced)

    def _candidate(self, scene: str) -> Side | str:
        names = names_of(self.newest)
        named = self._named(scene, names)
        if scene == MAIN_SCENE:
            return named or (self.newest,)
        if named:
            apart = differences_of_servers(self.newest, named[0])
            _refuse(f"{named[0].run_id} is of another server than {self.newest.run_id}", apart, force=self.force)
            return named
        found = on_scene(names, scene, self.gate, self.stored, self.newest)
        return found if isinstance(found, str) else (found,)

    def _baseline(self, scene: str, variant: str, candidate: Side) -> Side | str:
        """Its rounds, or why there are none. A stored run is no substitute for a named one: who names a run means that
        one."""
        if scene == MAIN_SCENE and variant in self.given:
            return _given(variant, self.given[variant], candidate)
        taken = {run.run_id for run in candidate}
        named = tuple(run for run in self._named(scene, {variant}) if run.run_id not in taken)
        if named:
            return named
        rounds: list[Run] = []
        for run in candidate:
            free = [stored for stored in self.stored if stored.run_id not in taken]
            found = round_like(variant, run, free, force=self.force)
            if isinstance(found, str):
                return found
            rounds.append(found)
            taken.add(found.run_id)
        return tuple(rounds)

    def _named(self, scene: str, names: set[str]) -> Side:
        return in_order([run for run in self.named.get(scene, ()) if names & names_of(run)])


def _given(variant: str, runs: Sequence[Run], candidate: Side) -> Side:
    for run in runs:
        if variant not in names_of(run):
            raise UsageError(f"{run.run_id} is a run of {run.manifest.variant}, not of {variant}")
        if run.run_id in {judged.run_id for judged in candidate}:
            raise UsageError(f"{run.run_id} is the candidate: it can't be its own baseline", "give another run")
    return in_order(runs)


def forced_differences(
    variant: str, candidate: Side, baselines: Mapping[str, Side], *, force: bool
) -> dict[str, tuple[str, ...]]:
    """What keeps the rounds of a variant, and those of its baselines, from being compared, by variant. Raises
    UsageError with it, unless they are to be compared all the same, and where one run is there twice."""
    for runs in ((), *baselines.values()):
        refuse_copies([*candidate, *runs])
    found = {variant: differences_of_rounds(candidate)}
    _refuse(f"the runs of {variant} are no rounds of each other", found[variant], force=force)
    for name, runs in baselines.items():
        found[name] = [*differences_of_rounds(runs), *differences_of_sides(candidate, runs)]
        about = f"{_names(runs)} can't be compared with {_names(candidate)}"
        hint = f"make one that can: {command_for(name, candidate[0].plan)}"
        _refuse(about, found[name], hint, force=force)
    return {name: tuple(dict.fromkeys(reasons)) for name, reasons in found.items() if reasons}


def _refuse(about: str, reasons: Sequence[str], hint: str = "name others", *, force: bool) -> None:
    if reasons and not force:
        raise UsageError(f"{about}: {'; '.join(reasons)}", f"{hint}; or judge them all the same with --force")


def _names(runs: Side) -> str:
    return ", ".join(run.run_id for run in runs)


def _left_out(runs: Sequence[Run], scenes: Mapping[str, SceneRuns]) -> Iterable[str]:
    judged = {run.run_id for of in scenes.values() for side in (of.candidate, *of.baselines.values()) for run in side}
    for run in runs:
        if run.run_id not in judged:
            yield f"{run.run_id} was named, and no criterion looks at a run of {run.manifest.variant} like that"


def _rounds_left_out(scenes: Mapping[str, SceneRuns], stored: Sequence[Run]) -> Iterator[str]:
    sides = (side for runs in scenes.values() for side in (runs.candidate, *runs.baselines.values()))
    return chain.from_iterable(rounds_left_out(side, stored) for side in sides)


def _refuse_unknown_names(gate: Gate, given: Iterable[str], candidate: str | None, runs: Sequence[Run]) -> None:
    for variant in given:
        if variant not in gate.baselines:
            _refuse_unknown(variant, runs)
            asked = ", ".join(gate.baselines) or "no other run"
            raise UsageError(f"the gate {gate.name} does not compare with {variant}", f"it compares with {asked}")
    if candidate is not None:
        _refuse_unknown(candidate, runs)


def _refuse_unknown(variant: str, runs: Sequence[Run]) -> None:
    known = known_variants()
    if variant not in known:
        known = sorted({*known, *(name for run in runs for name in names_of(run))})
        if variant not in known:
            raise UsageError(f"unknown variant {variant!r}", nearest(variant, known))


def _refuse_without_figures(runs: Iterable[Run]) -> None:
    for run in runs:
        if run.manifest.status == "running":
            raise UsageError(f"{run.run_id} is still being written", "wait until its mmload run has ended")
        if run.manifest.kind == "profile":
            raise UsageError(
                f"{run.run_id} is a profile without load: it says nothing to judge",
                "make a run with a load: mmload run",
            )
