"""The evidence that each criterion is judged on: the rounds of the candidate and of its baseline, read once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from mmload.judge.choice import Choice, SceneRuns
from mmload.judge.comparable import paired
from mmload.judge.definition import GateCriterion
from mmload.judge.evidence import Rounds
from mmload.judge.stored import command_for
from mmload.judge.validity import faults_of, unfit_as_baseline
from mmload.model.result import VerdictWord
from mmload.store.read import Run


class Ruling(NamedTuple):
    """A verdict without a figure, and why."""

    verdict: VerdictWord
    evidence: str
    needed: str | None = None


class Sides(NamedTuple):
    """What a figure rests on. notes: what its evidence must say besides."""

    candidate: Rounds
    baseline: Rounds | None = None
    notes: tuple[str, ...] = ()


class Bench:
    """Raises FolderError where a run folder is damaged."""

    def __init__(self, choice: Choice) -> None:
        self._choice = choice
        self._rounds: dict[tuple[str, ...], Rounds] = {}
        self._faults: dict[str, Ruling | None] = {}
        self._unfit: dict[str, list[str]] = {}

    def evidence_for(self, item: GateCriterion) -> Sides | Ruling:
        """The sides that a criterion compares, or the verdict where there is nothing to compare."""
        scene = self._choice.scenes.get(item.on, SceneRuns())
        if not scene.candidate:
            why = "; ".join(scene.absent.values()) or f"no run on the scene {item.on}"
            return Ruling("INCONCLUSIVE", "no run", why)
        if item.on not in self._faults:
            self._faults[item.on] = _untrusted(scene.candidate)
        return self._faults[item.on] or self._sides(item, scene)

    def _sides(self, item: GateCriterion, scene: SceneRuns) -> Sides | Ruling:
        against = item.criterion.baseline
        own = [reason for name, reasons in scene.forced.items() if name not in scene.baselines for reason in reasons]
        notes = [f"judged although its rounds differ: {reason}" for reason in own]
        if against is None:
            return Sides(self._read(scene.candidate), None, tuple(notes))
        where = self._choice.scenes.get(item.baseline_on or item.on, SceneRuns())
        baseline = where.baselines.get(against, ())
        if not baseline:
            lacking = f"no run of {against} to compare with: {command_for(against, scene.candidate[0].plan)}"
            return Ruling("INCONCLUSIVE", "no baseline", where.absent.get(against, lacking))
        reasons = [reason for run in baseline for reason in self._reasons(run)]
        if reasons:
            return Ruling("INVALID", "; ".join(reasons))
        differ = where.forced.get(against, ())
        notes += [f"judged although they differ: {reason}" for reason in differ]
        ours, theirs = paired(scene.candidate, baseline, by_seed=item.baseline_on is not None)
        if not ours and item.baseline_on is not None:
            return Ruling("INCONCLUSIVE", "no common round", f"no run of {against} of the same seed")
        if not ours:  # whoever chose them knows that they can be compared
            ours, theirs = list(scene.candidate), list(baseline)
        if len(ours) < len(scene.candidate):
            notes.append(f"the {len(ours)} of {len(scene.candidate)} rounds that both have")
        return Sides(self._read(ours), self._read(theirs), tuple(notes))

    def _read(self, runs: Sequence[Run]) -> Rounds:
        key = tuple(run.run_id for run in runs)
        if key not in self._rounds:
            self._rounds[key] = Rounds(runs)
        return self._rounds[key]

    def _reasons(self, run: Run) -> list[str]:
        if run.run_id not in self._unfit:
            self._unfit[run.run_id] = [f"baseline {run.run_id}: {reason}" for reason in unfit_as_baseline(run)]
        return self._unfit[run.run_id]


def _untrusted(candidate: Sequence[Run]) -> Ruling | None:
    """The verdict where the runs say nothing of the server, or that it failed; None where they can be judged."""
    faults = [f"{_manifest(run, candidate)}: {'; '.join(found)}" for run in candidate if (found := faults_of(run))]
    if faults:
        return Ruling("INVALID", "; ".join(faults))
    failed = [
        f"{_manifest(run, candidate)}: the server failed: {run.manifest.error or 'no reason recorded'}"
        for run in candidate
        if run.manifest.status == "failed"
    ]
    return Ruling("FAIL", "; ".join(failed)) if failed else None


def _manifest(run: Run, among: Sequence[Run]) -> str:
    return "manifest.json" if len(among) == 1 else f"manifest.json of {run.run_id}"
