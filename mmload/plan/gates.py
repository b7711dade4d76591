"""configs/gates/NAME.toml: the acceptance criteria of a gate, as written; mmload.judge.criteria reads the checks."""

from __future__ import annotations

from typing import Annotated

import msgspec

Confidence = Annotated[float, msgspec.Meta(gt=0.5, lt=1)]
DesignEffect = Annotated[float, msgspec.Meta(ge=1)]


class CriterionFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One `[[criteria]]` table.

    check: `metric op limit [vs BASELINE]`. required: without it the criterion is shown and decides nothing.
    min_duration_s: a shorter measure window is too little evidence. design_effect: instead of the gate's.
    """

    check: str
    required: bool = True
    about: str = ""
    min_duration_s: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    design_effect: DesignEffect | None = None


class GateFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """confidence: of each one-sided bound. design_effect: by how much more requests vary than independent ones would,
    as far as a run is too short to show it (mmload.judge.statistics); 40 stands for bursts of 20 in the mean.
    """

    about: str = ""
    confidence: Confidence = 0.95
    design_effect: DesignEffect = 40.0
    criteria: Annotated[list[CriterionFile], msgspec.Meta(min_length=1)]
