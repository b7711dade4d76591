"""A gate as its file defines it, checked and parsed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import msgspec

from mmload.errors import ConfigError, UsageError
from mmload.judge.criteria import Criterion, parse, with_margin
from mmload.judge.figures import Terms
from mmload.judge.metrics import METRICS
from mmload.model.campaign import MAIN_SCENE, Scene
from mmload.plan import config
from mmload.plan.config_hints import nearest
from mmload.plan.config_lines import line_of
from mmload.plan.gates import CriterionFile, GateFile, RunTable
from mmload.plan.scenes import Overrides, Source, scenes_of

_ACROSS_SCENES = ("outputs_identical",)


class GateCriterion(msgspec.Struct, frozen=True, kw_only=True):
    """A parsed criterion and the rest of its table. baseline_on: None where the baseline's runs are of the same
    scene."""

    criterion: Criterion
    required: bool
    terms: Terms
    on: str = MAIN_SCENE
    baseline_on: str | None = None
    min_duration_s: float = 0.0
    min_n: int = 0


class Gate(msgspec.Struct, frozen=True, kw_only=True):
    """A gate ready to judge. scenes: what its `[run]` table asks for, empty without one. text: of its file."""

    name: str
    text: str
    confidence: float
    looks: int
    criteria: tuple[GateCriterion, ...]
    scenes: dict[str, Scene]
    remakes: int

    @property
    def baselines(self) -> tuple[str, ...]:
        """The variants that its criteria compare with, in their order."""
        named = (item.criterion.baseline for item in self.criteria)
        return tuple(dict.fromkeys(name for name in named if name))

    def baselines_on(self, scene: str) -> tuple[str, ...]:
        """Those of which it needs runs on this scene."""
        needed = (item for item in self.criteria if (item.baseline_on or item.on) == scene)
        return tuple(dict.fromkeys(item.criterion.baseline for item in needed if item.criterion.baseline))

    @property
    def judged_scenes(self) -> tuple[str, ...]:
        """The scenes that a criterion is judged on or whose baselines it compares with, the main one first."""
        named = (scene for item in self.criteria for scene in (item.on, item.baseline_on) if scene)
        return tuple(dict.fromkeys([MAIN_SCENE, *named]))


def load_gate(name_or_file: str, overrides: Overrides | None = None) -> Gate:
    """A gate of configs/gates/ or of a file. Raises UsageError (not there) or ConfigError (wrong, and where)."""
    if not name_or_file:
        raise UsageError("--gate names no gate", f"there are {', '.join(config.names('gates'))}, and your own files")
    path = config.find("gates", name_or_file)
    return gate_of(config.read_text(path), path.stem, str(path), overrides)


def gate_of(
    text: str,
    name: str,
    where: str,
    overrides: Overrides | None = None,
    made: Mapping[str, Scene] | None = None,
) -> Gate:
    """The gate that a file's text defines. where: what its errors call the file. made: the scenes as they were when its
    runs were made, so that nothing but the text is looked at. Raises ConfigError."""
    file = config.load_text(text, GateFile, where)
    source = Source(where, text)
    run = file.run or RunTable()
    scenes = dict(made or {}) if made or not file.run else scenes_of(run, source, overrides)
    return Gate(
        name=name,
        text=text,
        confidence=file.confidence,
        looks=file.looks,
        criteria=tuple(_read(file, number, source, scenes) for number in range(len(file.criteria))),
        scenes=scenes,
        remakes=run.remakes,
    )


def known_variants() -> list[str]:
    """The variants that a run can be of: those with a card, and the server as it is."""
    return sorted({"stock", *config.names("variants")})


def _read(file: GateFile, number: int, source: Source, scenes: dict[str, Scene]) -> GateCriterion:
    item = file.criteria[number]
    where = partial(_where, source, number)
    criterion = parse(item.check, where("check"), METRICS, known_variants())
    _check_scenes(item, criterion.metric, where, scenes)
    confidence = item.confidence or file.confidence
    return GateCriterion(
        criterion=with_margin(criterion, item.margin, where("margin"), METRICS),
        required=item.required,
        terms=Terms(_of_each_look(confidence, file.looks), item.design_effect or file.design_effect),
        on=item.on,
        baseline_on=None if item.baseline_on == item.on else item.baseline_on,
        min_duration_s=item.min_duration_s,
        min_n=item.min_n,
    )


def _of_each_look(confidence: float, looks: int) -> float:
    """So that the chance of a wrong PASS is, over all looks together, what the confidence leaves (Bonferroni)."""
    return confidence if looks == 1 else 1 - (1 - confidence) / looks


def _check_scenes(item: CriterionFile, metric: str, where: Callable[[str], str], scenes: dict[str, Scene]) -> None:
    """Raise ConfigError where a criterion names a scene that is not there, or compares two that can't be."""
    known = [*dict.fromkeys([MAIN_SCENE, *scenes])]
    for key, scene in (("on", item.on), ("baseline_on", item.baseline_on)):
        if scene is not None and scene not in known:
            raise ConfigError(f"{where(key)}: unknown scene {scene!r}", nearest(scene, known))
    if item.baseline_on in {None, item.on}:
        return
    if metric not in _ACROSS_SCENES:
        hint = f"that is for {', '.join(_ACROSS_SCENES)}: figures under two loads are two figures"
        raise ConfigError(f"{where('baseline_on')}: the baseline is to be of the same scene", hint)
    workloads = {scenes[scene].plan.workload_name for scene in (item.on, item.baseline_on) if scene}
    if len(workloads) > 1:
        raise ConfigError(f"{where('baseline_on')}: {' and '.join(sorted(workloads))} don't have the same items")


def _where(source: Source, number: int, key: str) -> str:
    """File, line and key."""
    line = line_of(source.text, ("criteria", number, key))
    return f"{source.where}{f' line {line}' if line else ''} (`criteria[{number}].{key}`)"
