"""How the figures of a comparison read in plain text, the same in every format."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mmload.model.comparison import ComparedSide, Comparison, Difference, Level
from mmload.show.terminal_figures import MISSING, count, figure

ANYTHING = "could be anything"
_ALL = 0.995  # reads as 100 %: nobody saves more than all, or answers fewer than none
_BEYOND = 10.0  # ten times as much: an interval that reaches from 0 to there says nothing

_UNIT = re.compile(r" (ms|%|ms/request)$")
NAMES = {
    "cpu_ms_per_request": "CPU ms/request",
    "response_p50_ms": "response p50 ms",
    "response_p99_ms": "response P99 ms",
    "qps": "QPS",
    "cpu_work_pct": "rank work %",
    "cpu_total_pct": "rank total %",
    "build_cpu": "build CPU ms",
    "handoff_cpu": "handoff CPU ms",
    "error_rate": "errors %",
}


def name_of(figure_name: str) -> str:
    return NAMES.get(figure_name, figure_name)


def level_text(side: ComparedSide, figure_name: str, infinity: str = "∞") -> str:
    """The figure of a side: `12.3`; `-` where there is none."""
    level = side.levels.get(figure_name, Level(value=None, why="no run"))
    if level.value is None:
        return infinity if level.why is None and level.n else MISSING
    return figure(100 * level.value if figure_name == "error_rate" else level.value, infinity, most=2)


def compared_levels(ours: ComparedSide, theirs: ComparedSide, name: str, infinity: str = "∞") -> tuple[str, str]:
    """A figure of theirs and of ours; both `-` where one was counted by the server and the other sampled."""
    sources = {side.levels[name].source for side in (ours, theirs) if name in side.levels} - {None}
    if len(sources) > 1:
        return MISSING, MISSING
    return level_text(theirs, name, infinity), level_text(ours, name, infinity)


def saving_text(side: ComparedSide) -> str:
    """What a side improves of what every variant is for, the CPU of a request: `+21 %`, in brackets where that may be
    chance; empty for the baseline."""
    saving = next((one for one in side.differences if one.figure == "cpu_ms_per_request"), None)
    if saving is None:
        return ""
    return f"({improvement_text(saving)})" if saving.word == "no difference seen" else improvement_text(saving)


def verdict_text(side: ComparedSide) -> str:
    """A side's word and of how many figures it is: `better in 1 of 7`; which, says `overall_text`."""
    words: list[str] = [one.word for one in shown_differences(side)]
    said, known = words.count(side.word), len(words) - words.count("not known")
    return f"{side.word} in {said} of {known}" if said and side.word in {"better", "worse"} else side.word


def overall_text(side: ComparedSide) -> str:
    """A side's word and the figures that it is of: `better in build CPU`; `mixed: better in QPS; worse in errors`."""
    said = []
    for word in ("better", "worse"):
        figures = [_UNIT.sub("", name_of(one.figure)) for one in side.differences if one.word == word]
        said += [f"{word} in {', '.join(figures)}"] if figures else []
    if side.word == "mixed" and said:
        return f"mixed: {'; '.join(said)}"
    return said[0] if said else side.word


def improvement_text(difference: Difference) -> str:
    """`+50 %`, better, or `-3.1 %`, worse; of an error rate in points."""
    value = difference.improvement
    return MISSING if value is None else f"{_signed(value)} {_unit(difference)}"


def bounds_text(difference: Difference) -> str:
    """`+45 to +55 %`; `up to +9 %` or `from -12 %` where only one side is bounded; in words where they say nothing;
    empty without a figure."""
    if difference.improvement is None:
        return ""
    low, high, unit = difference.low, difference.high, _unit(difference)
    if low is None:
        return ANYTHING if high is None or high > _ALL else f"up to {_signed(high)} {unit}"
    if high is None:
        return ANYTHING if low < -_ALL else f"from {_signed(low)} {unit}"
    holds_zero_and_all = low <= 0 <= high and max(-low, high) > _BEYOND
    return ANYTHING if holds_zero_and_all else f"{_signed(low)} to {_signed(high)} {unit}"


def shown_differences(side: ComparedSide) -> list[Difference]:
    """Those that say something: no handoff where nothing is known of it, no errors where none occurred."""
    return [one for one in side.differences if not (_is_extra(one) and _says_nothing(one))]


def conditions_text(comparison: Comparison) -> list[str]:
    """`4 rounds`, `standin TP 4`, `images-small`, `100 req/s`, .."""
    known = comparison.conditions
    if not known:
        return []
    engine = " ".join(str(part) for part in (known["engine"], known["engine_version"]) if part)
    measured = f"{count(comparison.rounds, 'round')} of {known['measured_s']:g} s"
    facts = [measured, f"{engine} TP {known['tp']}", known["model"], known["workload"], known["load"]]
    return [str(fact) for fact in facts if fact is not None]


def confidence_text(comparison: Comparison) -> str:
    return (
        f"+ is better; the intervals of one variant hold together at {100 * comparison.confidence:g} %, "
        f"each alone at {100 * comparison.figure_confidence:.4g} %"
    )


def notes_on(side: ComparedSide) -> Iterator[str]:
    """What is not known of a side and why, and what would narrow intervals that are too wide: one sentence a reason."""
    for run_id, reason in side.left_out.items():
        yield f"{run_id} is left out: {reason}"
    if not side.runs:
        yield "no valid run"
    reasons: dict[str, list[str]] = {}
    for one in shown_differences(side):
        for reason in filter(None, (f"not known: {one.why}" if one.why else None, one.needed)):
            reasons.setdefault(reason, []).append(name_of(one.figure))
    for reason, names in reasons.items():
        yield f"{', '.join(names)}: {reason}"


def answers_text(side: ComparedSide) -> str:
    return f"answers {side.answers}: {side.answers_why}" if side.answers_why else f"answers {side.answers}"


def _is_extra(difference: Difference) -> bool:
    return difference.figure in {"build_cpu", "handoff_cpu", "error_rate"}


def _says_nothing(difference: Difference) -> bool:
    return difference.word == "not known" or (difference.figure == "error_rate" and difference.improvement == 0)


def _unit(difference: Difference) -> str:
    return "points" if difference.figure == "error_rate" else "%"


def _signed(share: float) -> str:
    """A share as percent to two digits: +0.31, +3.1, -31, +310."""
    percent = 100 * share
    decimals = 0 if abs(percent) >= 9.95 else 1 if abs(percent) >= 0.995 or not percent else 2
    return f"{percent:+,.{decimals}f}"
