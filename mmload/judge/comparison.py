"""Variants side by side: what each costs, how that differs from the baseline, and a word for each of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mmload.errors import UsageError
from mmload.judge.comparable import paired
from mmload.judge.comparison_figures import CONFIDENCE, FIGURE_CONFIDENCE, answers_against, differences_of, levels_of
from mmload.judge.comparison_sides import Side, matched, side_of, what_differs
from mmload.judge.evidence import Rounds
from mmload.judge.figures import Figure
from mmload.model.comparison import AnswersWord, ComparedSide, Comparison, Difference, SideWord
from mmload.plan.load_text import load_text
from mmload.store.read import Run


def compare(
    sides: Mapping[str, Sequence[Run]],
    baseline: str,
    *,
    force: bool = False,
    campaign: str | None = None,
    warnings: Sequence[str] = (),
) -> Comparison:
    """What the runs of each side say, and how that differs from the baseline's, which is one of the sides. campaign,
    warnings: as in the result. Raises UsageError when the runs can't be compared and are not forced to be, with every
    difference; FolderError where a run folder is damaged."""
    found = {name: side_of(name, runs) for name, runs in sides.items()}
    ordered = [found[baseline], *(side for name, side in found.items() if name != baseline)]
    forced = what_differs(ordered, found[baseline])
    if forced and not force:
        raise UsageError(
            f"these runs can't be compared with {baseline}'s: {' | '.join(forced)}",
            "--force compares them all the same, and says so",
        )
    rounds = max(len(side.runs) for side in ordered)
    return Comparison(
        campaign=campaign,
        baseline=baseline,
        confidence=CONFIDENCE,
        figure_confidence=FIGURE_CONFIDENCE,
        rounds=rounds,
        conditions=_conditions(ordered),
        sides=[_compared(side, found[baseline]) for side in ordered],
        forced=forced,
        warnings=[*warnings, *_warnings(ordered, found[baseline], rounds)],
    )


def _conditions(sides: Sequence[Side]) -> dict[str, str | int | float | None]:
    run = next((run for side in sides for run in side.runs), None)
    if run is None:
        return {}
    manifest = run.manifest
    return {
        "engine": manifest.engine,
        "engine_version": manifest.engine_version,
        "model": manifest.model,
        "tp": manifest.tp,
        "workload": manifest.workload,
        "load": load_text(run.plan.load),
        "measured_s": round(Rounds([run]).length_s, 3),
        "host": str(manifest.host.get("name")),
    }


def _warnings(sides: Sequence[Side], baseline: Side, rounds: int) -> list[str]:
    found = []
    if rounds == 1:
        found.append("one run of each: what looks like a variant's doing may be that of one start (--rounds 4)")
    if rounds == 2:
        found.append("two rounds hardly show how starts differ, so the intervals are very wide (--rounds 4)")
    for side in sides:
        alone = len(side.runs) - len(paired(side.runs, baseline.runs)[0])
        if alone and baseline.runs:
            found.append(f"{side.name}: {alone} of {len(side.runs)} runs without one of {baseline.name} beside it")
    return found


def _compared(side: Side, baseline: Side) -> ComparedSide:
    differences: list[Difference] = []
    answers: AnswersWord = "not known"
    given: Figure | None = None
    if side is not baseline and side.runs and baseline.runs:
        ours, theirs = (Rounds(runs) for runs in matched(side.runs, baseline.runs))
        differences, given = differences_of(ours, theirs), answers_against(ours, theirs)
        answers = "not known" if given.value is None else "identical" if given.value else "different"
    return ComparedSide(
        name=side.name,
        variant=side.variant,
        runs=[run.run_id for run in side.runs],
        left_out=side.left_out,
        failed=list(side.failed),
        levels=levels_of(Rounds(side.runs)) if side.runs else {},
        differences=differences,
        answers=answers,
        answers_why=(given.obstacle or given.evidence) if given else "",
        answer_differences=list(given.differences) if given else [],
        more_answer_differences=given.more_differences if given else 0,
        word="baseline" if side is baseline else _overall(side, differences, answers),
    )


def _overall(side: Side, differences: Sequence[Difference], answers: AnswersWord) -> SideWord:
    words = {difference.word for difference in differences}
    seen = {difference.word for difference in differences if difference.figure != "error_rate"}
    worse = "worse" in words or answers == "different" or bool(side.failed)
    if "better" in words:
        return "mixed" if worse else "better"
    if worse:
        return "worse"
    return "no difference seen" if "no difference seen" in seen else "not known"
