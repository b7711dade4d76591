"""configs/gates/NAME.toml: the acceptance criteria of a gate, as written, and the runs that `mmload gate --run` makes
for it. mmload.judge.criteria reads the checks, mmload.plan.scenes the `[run]` table.

    confidence = 0.95
    looks = 1

    [[criteria]]
    check = "response_p99_ms < 500"

    [[criteria]]
    check = "outputs_identical == 1 vs original"
    on = "single-rank"              # judged on the runs of this scene instead of the main one

    [run]                           # the main scene
    tp = 4
    rate = 100
    rounds = 4

    [run.scenes.single-rank]        # another: what it does not say is as `[run]` says
    tp = 1
    rounds = 1
"""

from __future__ import annotations

from typing import Annotated

import msgspec

from mmload.model.campaign import MAIN_SCENE

Confidence = Annotated[float, msgspec.Meta(gt=0.5, lt=1)]
DesignEffect = Annotated[float, msgspec.Meta(ge=1)]
NotNegative = Annotated[float, msgspec.Meta(ge=0)]
Duration = str | int | float  # as on the command line: "32s", "2m"; a number is seconds


class CriterionFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One `[[criteria]]` table.

    check: `metric op limit [vs BASELINE]`. required: without it the criterion is shown and decides nothing.
    on: the scene whose runs are judged. baseline_on: that of the baseline's runs (outputs_identical only), None: the
    same. margin: the limit is moved by it in the lenient direction, as a share of the baseline's figure (comparisons
    only). min_duration_s: with a shorter measure window, of the longest run, there is too little evidence; min_n: with
    fewer observations. confidence, design_effect: instead of the gate's.
    """

    check: str
    required: bool = True
    about: str = ""
    on: str = MAIN_SCENE
    baseline_on: str | None = None
    margin: Annotated[float, msgspec.Meta(ge=0, lt=1)] = 0.0
    min_duration_s: NotNegative = 0.0
    min_n: Annotated[int, msgspec.Meta(ge=0)] = 0
    confidence: Confidence | None = None
    design_effect: DesignEffect | None = None


class SceneTable(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One load: the words of `mmload run`. rate: as there (100, "20..200"); without rate and concurrency the one that
    the workload is meant for. rounds: how often each variant is run."""

    engine: str = "standin"
    model: str | None = None
    engine_args: tuple[str, ...] = ()
    tp: Annotated[int, msgspec.Meta(ge=1, le=64)] = 2
    workload: str = "images-small"
    rate: float | str | None = None
    arrival: str = "poisson"
    concurrency: Annotated[int, msgspec.Meta(ge=1, le=20_000)] | None = None
    duration: Duration = "40s"
    warmup: Duration = "5s"
    timeout: Duration = "30s"
    seed: Annotated[int, msgspec.Meta(ge=0, le=2**62)] = 0
    profile: bool = True
    profile_duration: Duration = "10s"
    rounds: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 1


class RunTable(SceneTable, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`[run]`: the main scene. remakes: how often a run that is INVALID, through no fault of the server, is made again.
    scenes: the others by name; mmload.plan.scenes reads each on top of this one."""

    remakes: Annotated[int, msgspec.Meta(ge=0, le=100)] = 2
    scenes: dict[str, dict[str, object]] = {}


class GateFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """confidence: of each one-sided bound. design_effect: by how much more requests vary than independent ones would,
    as far as a run is too short to show it (mmload.judge.statistics); 40 stands for bursts of 20 in the mean.
    looks: how often a candidate may be judged: each bound is then at 1 - (1 - confidence) / looks.
    """

    about: str = ""
    confidence: Confidence = 0.95
    design_effect: DesignEffect = 40.0
    looks: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 1
    criteria: Annotated[list[CriterionFile], msgspec.Meta(min_length=1)]
    run: RunTable | None = None
