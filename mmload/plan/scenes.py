"""The scenes of a gate: what its `[run]` table, and each table in it, asks to be run."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeVar

import msgspec

from mmload.errors import ConfigError, UsageError
from mmload.model.campaign import MAIN_SCENE, Scene
from mmload.model.plan import ClosedLoop, OpenLoop, Plan, ProfilePlan
from mmload.plan import config
from mmload.plan.check import check_plan
from mmload.plan.config_hints import at
from mmload.plan.config_lines import line_of
from mmload.plan.gates import RunTable, SceneTable
from mmload.plan.load_words import arrival_process, open_loop, seconds
from mmload.plan.workload import load_workload

_OF_ALL_SCENES = ("remakes", "scenes")
_EITHER = {"rate": ("concurrency",), "concurrency": ("rate", "arrival")}

Value = TypeVar("Value")


class Overrides(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line says instead of `[run]`; a scene that has its own word keeps it. None: as the file says."""

    engine: str | None = None
    model: str | None = None
    tp: int | None = None
    engine_args: tuple[str, ...] | None = None


class Source(NamedTuple):
    """The file that the tables are from, for errors: its name and its text."""

    where: str
    text: str


def scenes_of(run: RunTable, source: Source, overrides: Overrides | None = None) -> dict[str, Scene]:
    """The scenes by name, the main one first. Raises ConfigError, naming file, key and line."""
    given = msgspec.structs.asdict(overrides or Overrides())
    said = {key: value for key, value in given.items() if value is not None}
    base = {key: value for key, value in msgspec.structs.asdict(run).items() if key not in _OF_ALL_SCENES} | said
    scenes = {MAIN_SCENE: _Place(source, ("run",)).scene(base)}
    for name, own in run.scenes.items():
        place = _Place(source, ("run", "scenes", name))
        if name == MAIN_SCENE:
            raise place.error("`[run]` itself is the main scene", "give this one another name")
        left_out = {other for key in own for other in _EITHER.get(key, ())}
        scenes[name] = place.scene({key: value for key, value in base.items() if key not in left_out} | own)
    return scenes


class _Place(NamedTuple):
    """One table of the file."""

    source: Source
    steps: tuple[str, ...]

    def scene(self, raw: dict[str, object]) -> Scene:
        table = config.convert(raw, SceneTable, *self.source, within=self.steps)
        workload_name, workload = self._read("workload", lambda: load_workload(table.workload))
        plan = Plan(
            variant=None,
            workload_name=workload_name,
            workload=msgspec.to_builtins(workload),
            load=self._load(table, workload.rate_rps),
            duration_s=self._read("duration", lambda: seconds(str(table.duration), "duration", shortest_s=1.0)),
            warmup_s=self._read("warmup", lambda: seconds(str(table.warmup), "warmup")),
            seed=table.seed,
            timeout_s=self._read("timeout", lambda: seconds(str(table.timeout), "timeout", shortest_s=0.1)),
            engine=table.engine,
            tp=table.tp,
            model=table.model,
            engine_args=table.engine_args,
            profile=ProfilePlan(
                enabled=table.profile,
                duration_s=self._read(
                    "profile_duration",
                    lambda: seconds(str(table.profile_duration), "profile_duration", shortest_s=1.0),
                ),
            ),
        )
        self._read("", lambda: check_plan(plan))
        return Scene(plan=plan, rounds=table.rounds)

    def _load(self, table: SceneTable, meant_rps: float) -> OpenLoop | ClosedLoop:
        if table.concurrency is not None:
            if table.rate is not None:
                raise self.error("`rate` and `concurrency` exclude each other", "one is an open loop, one a closed one")
            return ClosedLoop(concurrency=table.concurrency)
        process, cv = self._read("arrival", lambda: arrival_process(table.arrival, "arrival"))
        rate = meant_rps if table.rate is None else table.rate
        return self._read("rate", lambda: open_loop(str(rate), process, cv, "rate"))

    def _read(self, key: str, read: Callable[[], Value]) -> Value:
        try:
            return read()
        except UsageError as error:
            raise self.error(str(error), error.hint, key) from error

    def error(self, message: str, hint: str, key: str = "") -> ConfigError:
        steps = (*self.steps, *((key,) if key else ()))
        return ConfigError(
            f"{self.source.where}: {message}{at('.'.join(steps), line_of(self.source.text, steps))}", hint
        )
