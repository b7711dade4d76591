"""The gate: every criterion against the evidence of stored runs, and the verdict over all of them."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterator

import msgspec

from mmload.errors import EXIT_GATE_FAILED, EXIT_GATE_INCONCLUSIVE, EXIT_OK, EXIT_RUN_INVALID
from mmload.judge.bench import Bench, Ruling, Sides
from mmload.judge.choice import Choice, SceneRuns
from mmload.judge.comparable import conditions_text
from mmload.judge.decision import decide, more_evidence, never_reached
from mmload.judge.definition import Gate, GateCriterion
from mmload.judge.evidence import Rounds
from mmload.judge.figures import Figure
from mmload.judge.metrics import METRICS
from mmload.model.campaign import MAIN_SCENE
from mmload.model.result import CriterionResult, JudgedRuns, Verdict, VerdictWord

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
    bench = Bench(choice)
    results = [_result(item, bench) for item in gate.criteria]
    main = choice.scenes[MAIN_SCENE]
    return Verdict(
        verdict=worst(results),
        gate=gate.name,
        gate_sha256=hashlib.sha256(gate.text.encode()).hexdigest(),
        candidate=choice.candidate.run_id,
        baselines={name: max(run.run_id for run in runs) for name, runs in main.baselines.items()},
        campaign=choice.campaign,
        scenes={name: _judged_runs(runs) for name, runs in choice.scenes.items() if runs.candidate},
        confidence=gate.confidence,
        looks=gate.looks,
        look=choice.look,
        criteria=results,
        forced=list(_forced(choice)),
        warnings=[*_too_many_looks(gate, choice), *choice.warnings],
    )


def worst(results: list[CriterionResult]) -> VerdictWord:
    """The verdict over all required criteria. One that was SKIPPED counts as INCONCLUSIVE; so does having none."""
    words = {"INCONCLUSIVE" if r.verdict == "SKIPPED" else r.verdict for r in results if r.required}
    return next((word for word in _WORST_FIRST if word in words), "INCONCLUSIVE")


def exit_code(verdict: VerdictWord) -> int:
    """The exit code of a gate that ended with this verdict."""
    return _EXIT_CODES[verdict]


def _judged_runs(runs: SceneRuns) -> JudgedRuns:
    return JudgedRuns(
        candidate=[run.run_id for run in runs.candidate],
        baselines={name: [run.run_id for run in side] for name, side in runs.baselines.items()},
        load=conditions_text(runs.candidate[0]),
    )


def _forced(choice: Choice) -> Iterator[str]:
    for scene, runs in choice.scenes.items():
        for name, reasons in runs.forced.items():
            yield f"{name} on {scene}: {'; '.join(reasons)}"


def _too_many_looks(gate: Gate, choice: Choice) -> list[str]:
    if choice.look <= gate.looks:
        return []
    allowed = f"{100 * (1 - gate.confidence):.3g} % that the gate allows"
    return [f"look {choice.look} of {gate.looks} planned: a wrong PASS is likelier than the {allowed}"]


def _result(item: GateCriterion, bench: Bench) -> CriterionResult:
    found = bench.evidence_for(item)
    if isinstance(found, Ruling):
        return _ruled(item, found)
    metric = METRICS[item.criterion.metric]
    if found.baseline is None:
        assert metric.of_one
        figure = metric.of_one(found.candidate, item.terms)
    else:
        assert metric.of_two
        figure = metric.of_two(found.candidate, found.baseline, item.terms)
    return _judged(item, figure, found)


def _judged(item: GateCriterion, figure: Figure, sides: Sides) -> CriterionResult:
    verdict, needed = _word(item, figure, sides.candidate)
    evidence = "; ".join([figure.evidence, *sides.notes])
    return msgspec.structs.replace(
        _ruled(item, Ruling(verdict, evidence, needed)),
        confidence=None if figure.is_counted else item.terms.confidence,
        value=figure.value,
        low=figure.low if math.isfinite(figure.low) else None,
        high=figure.high if math.isfinite(figure.high) else None,
        infinite=figure.infinite,
        n=figure.n,
        differences=list(figure.differences),
        more_differences=figure.more_differences,
    )


def _word(item: GateCriterion, figure: Figure, rounds: Rounds) -> tuple[VerdictWord, str | None]:
    """The verdict on a figure, and what it would take to decide it."""
    if figure.skipped:
        return "SKIPPED", figure.skipped
    if obstacle := figure.obstacle or never_reached(item.criterion, figure) or _too_little(item, figure, rounds):
        return "INCONCLUSIVE", obstacle
    verdict = decide(item.criterion, figure.low, figure.high)
    if verdict != "INCONCLUSIVE":
        return verdict, None
    return verdict, more_evidence(item.criterion, figure, rounds)


def _too_little(item: GateCriterion, figure: Figure, rounds: Rounds) -> str | None:
    """What is lacking to the evidence that the gate asks for at least; None where nothing is."""
    lacking_s = item.min_duration_s - max(run.window.length_s for run in rounds.runs)
    if lacking_s > 0:
        return f"{math.ceil(lacking_s):,} s more: it is judged over {item.min_duration_s:,.0f} s and longer"
    if figure.n < item.min_n:
        return f"{item.min_n - figure.n:,} observations more: it is judged on {item.min_n:,} and more"
    return None


def _ruled(item: GateCriterion, ruling: Ruling) -> CriterionResult:
    """A result without a figure."""
    return CriterionResult(
        metric=item.criterion.metric,
        op=item.criterion.op,
        limit=item.criterion.limit,
        margin=item.criterion.margin,
        baseline=item.criterion.baseline,
        on=item.on,
        baseline_on=item.baseline_on,
        required=item.required,
        value=None,
        low=None,
        high=None,
        n=0,
        verdict=ruling.verdict,
        evidence=ruling.evidence,
        needed=ruling.needed,
    )
