"""The gate: every criterion against the evidence of stored runs, and the verdict over all of them."""

from __future__ import annotations

import math

import msgspec

from mmload.errors import EXIT_GATE_FAILED, EXIT_GATE_INCONCLUSIVE, EXIT_OK, EXIT_RUN_INVALID
from mmload.judge.choice import Choice, command_for
from mmload.judge.decision import decide, more_evidence, never_reached
from mmload.judge.definition import Gate, GateCriterion
from mmload.judge.evidence import Evidence, Rounds
from mmload.judge.figures import Figure
from mmload.judge.metrics import METRICS
from mmload.judge.validity import faults_of, unfit_as_baseline
from mmload.model.result import CriterionResult, Verdict, VerdictWord
from mmload.store.read import Run

_EXIT_CODES: dict[VerdictWord, int] = {
    "PASS": EXIT_OK,
    "FAIL": EXIT_GATE_FAILED,
    "INCONCLUSIVE": EXIT_GATE_INCONCLUSIVE,
    "SKIPPED": EXIT_GATE_INCONCLUSIVE,
    "INVALID": EXIT_RUN_INVALID,
}
_WORST_FIRST: tuple[VerdictWord, ...] = ("INVALID", "FAIL", "INCONCLUSIVE", "PASS")


def judge(gate: Gate, choice: Choice) -> Verdict:
    """The verdict on a chosen candidate. Raises FolderError where a run folder is damaged."""
    results = _results(gate, choice)
    return Verdict(
        verdict=worst(results),
        gate=gate.name,
        candidate=choice.candidate.run_id,
        baselines={name: run.run_id for name, run in choice.baselines.items()},
        confidence=gate.confidence,
        criteria=results,
    )


def worst(results: list[CriterionResult]) -> VerdictWord:
    """The verdict over all required criteria. One that was SKIPPED counts as INCONCLUSIVE; so does having none."""
    words = {"INCONCLUSIVE" if r.verdict == "SKIPPED" else r.verdict for r in results if r.required}
    return next((word for word in _WORST_FIRST if word in words), "INCONCLUSIVE")


def exit_code(verdict: VerdictWord) -> int:
    """The exit code of a gate that ended with this verdict."""
    return _EXIT_CODES[verdict]


def _results(gate: Gate, choice: Choice) -> list[CriterionResult]:
    faults, manifest = faults_of(choice.candidate), choice.candidate.manifest
    if faults:
        return [_ruled(item, "INVALID", f"manifest.json: {'; '.join(faults)}") for item in gate.criteria]
    if manifest.status == "failed":
        reason = f"manifest.json: the server failed: {manifest.error or 'no reason recorded'}"
        return [_ruled(item, "FAIL", reason) for item in gate.criteria]
    bench = _Bench(choice)
    return [bench.result(item) for item in gate.criteria]


class _Bench:
    """A valid candidate and its baselines; the evidence of each is read once."""

    def __init__(self, choice: Choice) -> None:
        self._choice = choice
        self._rounds = Rounds([choice.candidate])
        self._candidate = self._rounds.runs[0]
        self._baselines = {name: _usable(run) for name, run in choice.baselines.items()}

    def result(self, item: GateCriterion) -> CriterionResult:
        metric, against = METRICS[item.criterion.metric], item.criterion.baseline
        if against is None:
            assert metric.of_one
            return _judged(item, metric.of_one(self._rounds, item.terms), self._candidate)
        if against not in self._baselines:
            command = command_for(against, self._candidate.run.plan)
            return _ruled(item, "INCONCLUSIVE", "no baseline", f"{self._choice.absent[against]}: {command}")
        baseline = self._baselines[against]
        if isinstance(baseline, str):
            return _ruled(item, "INVALID", baseline)
        assert metric.of_two
        return _judged(item, metric.of_two(self._rounds, baseline, item.terms), self._candidate)


def _usable(run: Run) -> Rounds | str:
    """The evidence of a baseline, or why it is none."""
    reasons = unfit_as_baseline(run)
    return f"baseline {run.run_id}: {'; '.join(reasons)}" if reasons else Rounds([run])


def _judged(item: GateCriterion, figure: Figure, candidate: Evidence) -> CriterionResult:
    length_s, needed = candidate.window.length_s, None
    verdict = decide(item.criterion, figure.low, figure.high)
    if figure.skipped:
        verdict, needed = "SKIPPED", figure.skipped
    elif obstacle := figure.obstacle or never_reached(item.criterion, figure):
        verdict, needed = "INCONCLUSIVE", obstacle
    elif length_s < item.min_duration_s:
        verdict = "INCONCLUSIVE"
        lacking_s = math.ceil(item.min_duration_s - length_s)
        needed = f"{lacking_s:,} s more: it is judged over {item.min_duration_s:,.0f} s and longer"
    elif verdict == "INCONCLUSIVE":
        needed = more_evidence(item.criterion, figure, len(candidate.measured), length_s)
    return msgspec.structs.replace(
        _ruled(item, verdict, figure.evidence, needed),
        value=figure.value,
        low=figure.low if math.isfinite(figure.low) else None,
        high=figure.high if math.isfinite(figure.high) else None,
        n=figure.n,
    )


def _ruled(item: GateCriterion, verdict: VerdictWord, evidence: str, needed: str | None = None) -> CriterionResult:
    """A result without a figure."""
    return CriterionResult(
        metric=item.criterion.metric,
        op=item.criterion.op,
        limit=item.criterion.limit,
        baseline=item.criterion.baseline,
        required=item.required,
        value=None,
        low=None,
        high=None,
        n=0,
        verdict=verdict,
        evidence=evidence,
        needed=needed,
    )
