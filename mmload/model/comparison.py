"""What is said of variants side by side: comparison.json. Data only."""

from __future__ import annotations

from typing import Literal

import msgspec

from mmload.model.plan import SCHEMA
from mmload.model.result import AnswerDifference

DifferenceWord = Literal["better", "worse", "no difference seen", "not known"]
SideWord = Literal["baseline", "better", "worse", "mixed", "no difference seen", "not known"]
AnswersWord = Literal["identical", "different", "not known"]
LevelSource = Literal["counters", "samples"]


class Level(msgspec.Struct, frozen=True, kw_only=True):
    """A figure of one side over all its runs, with its 95 % interval. value: None where it is infinite (n says over how
    many observations) or where there is none (why says the reason). low, high: None where nothing bounds it (why may
    say the reason). source: of build and handoff CPU, what it was taken from; two of different sources are not
    compared."""

    value: float | None
    low: float | None = None
    high: float | None = None
    n: int = 0
    why: str | None = None
    source: LevelSource | None = None


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One figure of a side against the baseline's. improvement: the share by which it is better (less CPU, less time,
    more answers), negative where it is worse; of the error rate, the difference itself. low, high: bounds of the
    improvement, which hold for all figures of the side together; None where nothing bounds it.

    evidence: files and how it was computed. why: the reason for 'not known'. needed: of 'no difference seen' within
    bounds too wide to be of use, what would narrow them.
    """

    figure: str
    improvement: float | None
    low: float | None
    high: float | None
    word: DifferenceWord
    n: int = 0
    evidence: str = ""
    why: str | None = None
    needed: str | None = None


class ComparedSide(msgspec.Struct, frozen=True, kw_only=True):
    """A variant in a comparison. name: its variant; a second side of the same variant ends in `#2`. runs: its rounds in
    order, those that the figures rest on. left_out: run-id -> why it is none of them. failed: those left out whose
    server died or hung under load: that is said of the variant. levels: by figure. differences: none for the baseline.
    answers: whether every identity item got the baseline's answer; answers_why: how that is known, or why not."""

    name: str
    variant: str
    runs: list[str]
    left_out: dict[str, str] = {}
    failed: list[str] = []
    levels: dict[str, Level] = {}
    differences: list[Difference] = []
    answers: AnswersWord = "not known"
    answers_why: str = ""
    answer_differences: list[AnswerDifference] = []
    more_answer_differences: int = 0
    word: SideWord


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """comparison.json, the same as `mmload compare --json`.

    baseline: the side that the others are compared with. confidence: with which all intervals of one side together hold
    their true differences; figure_confidence: that of each of them alone. conditions: what all runs have in common.
    forced: what differs between runs that were compared all the same. warnings: what a reader must know besides.
    """

    schema: int = SCHEMA
    campaign: str | None = None
    baseline: str
    confidence: float
    figure_confidence: float
    rounds: int
    conditions: dict[str, str | int | float | None]
    sides: list[ComparedSide]
    forced: list[str] = []
    warnings: list[str] = []
