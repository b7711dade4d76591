"""Which stored runs a gate judges: the candidate, and for each baseline variant a run that can be compared with it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import msgspec

from mmload.errors import FolderError, UsageError
from mmload.judge.definition import Gate, known_variants
from mmload.judge.validity import unfit_as_baseline
from mmload.model.manifest import Manifest
from mmload.model.plan import ClosedLoop, Plan
from mmload.plan.config_hints import nearest
from mmload.plan.load_text import load_text, run_command
from mmload.store.read import Run

_SAME_HOST = ("name", "cpu", "cores")
_SAME_ON_THE_STAND_IN = {"stock", "original"}  # as it is, it hands over as SGLang did before the commit


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """The runs to judge by variant; absent: baseline variant -> why there is no run of it."""

    candidate: Run
    baselines: dict[str, Run]
    absent: dict[str, str]


def choose_runs(
    runs: Sequence[Run],
    gate: Gate,
    candidate: str | None = None,
    baselines: Mapping[str, Run] | None = None,
    also: Sequence[Run] = (),
) -> Choice:
    """Choose from `runs`, which the user named, in any order. also: all that are stored, for what is not named.

    candidate: the variant to judge; without it the newest run whose variant is none of the gate's baselines (or
    the only run there is). baselines: runs given by the user, by variant; for the others the newest valid run that is
    comparable with the candidate, one with the same idle policy before one with another: only the totals of CPU can't
    be compared across that. A stored run that is still being written, or that is a profile without load, is
    passed over.

    Raises FolderError without a candidate, and UsageError when a variant is unknown, a named run is still being written
    or is a profile, or a given baseline is not asked for, is of another variant, or can't be compared, with every
    difference.
    """
    given = dict(baselines or {})
    for variant in given:
        if variant not in gate.baselines:
            _refuse_unknown(variant, [*runs, *also])
            asked = ", ".join(gate.baselines) or "no other run"
            raise UsageError(f"the gate {gate.name} does not compare with {variant}", f"it compares with {asked}")
    for run in (*runs, *given.values()):
        if run.manifest.status == "running":
            raise UsageError(f"{run.run_id} is still being written", "wait until its mmload run has ended")
        if run.manifest.kind == "profile":
            raise UsageError(
                f"{run.run_id} is a profile without load: it says nothing to judge",
                "make a run with a load: mmload run",
            )
    if candidate is not None:
        _refuse_unknown(candidate, [*runs, *also])
    judged = _candidate(_newest_first(runs or also), gate.baselines, candidate)
    chosen, absent = {}, {}
    for variant in gate.baselines:
        found = _given(variant, given[variant], judged) if variant in given else _newest(variant, runs, also, judged)
        if isinstance(found, Run):
            chosen[variant] = found
        else:
            absent[variant] = found
    return Choice(candidate=judged, baselines=chosen, absent=absent)


def differences(candidate: Run, baseline: Run) -> list[str]:
    """What keeps two runs from being compared, one phrase each: `workload: images-small, not mix`. The idle policy is
    none of it: of two that differ in it cpu_total_ratio alone says nothing, and says so."""
    ours, theirs = _conditions(candidate), _conditions(baseline)
    return [f"{name}: {theirs[name]}, not {ours[name]}" for name in ours if ours[name] != theirs.get(name, ours[name])]


def command_for(variant: str, plan: Plan) -> str:
    """The command line that makes a run of `variant` comparable with a run of this plan."""
    return run_command(msgspec.structs.replace(plan, variant=variant))


def _refuse_unknown(variant: str, runs: Iterable[Run]) -> None:
    known = known_variants()
    if variant not in known:
        known = sorted({*known, *(name for run in runs for name in _names(run.manifest))})
        if variant not in known:
            raise UsageError(f"unknown variant {variant!r}", nearest(variant, known))


def _newest_first(runs: Sequence[Run]) -> list[Run]:
    return sorted(runs, key=lambda run: run.run_id, reverse=True)


def _candidate(runs: Sequence[Run], baseline_variants: Sequence[str], wanted: str | None) -> Run:
    ended = []
    for run in runs:
        if not _has_ended(run):
            continue
        names = _names(run.manifest)
        if wanted in names or (wanted is None and names.isdisjoint(baseline_variants)):
            return run
        ended.append(run)
    if not ended:
        raise FolderError("there is no run to judge", "make one: mmload run --variant optimized --rate 100")
    if wanted is not None:
        raise FolderError(
            f"there is no run of {wanted} to judge", f"make one: mmload run --variant {wanted} --rate 100"
        )
    if len(ended) == 1:
        return ended[0]
    raise FolderError(
        f"there are only runs of the baselines ({', '.join(baseline_variants)})",
        "say which of them is to be judged with --candidate VARIANT",
    )


def _given(variant: str, run: Run, candidate: Run) -> Run:
    if variant not in _names(run.manifest):
        raise UsageError(f"{run.run_id} is a run of {run.manifest.variant}, not of {variant}")
    if run.run_id == candidate.run_id:
        raise UsageError(f"{run.run_id} is the candidate: it can't be its own baseline", "give another run")
    found = differences(candidate, run)
    if found:
        raise UsageError(
            f"{run.run_id} can't be compared with {candidate.run_id}: {'; '.join(found)}",
            f"make one that can: {command_for(variant, candidate.plan)}",
        )
    return run


def _newest(variant: str, runs: Sequence[Run], also: Sequence[Run], candidate: Run) -> Run | str:
    """The newest valid, comparable run of a variant, or why there is none. A stored run is no substitute for a named
    one that won't do: who names a run means that one."""
    refused = ""
    found = _of(variant, runs, candidate) or _of(variant, also, candidate)
    for run in sorted(found, key=lambda run: run.manifest.idle_policy != candidate.manifest.idle_policy):
        reasons = differences(candidate, run) or unfit_as_baseline(run)
        if not reasons:
            return run
        refused = refused or f" (not {run.run_id}: {'; '.join(reasons)})"
    return f"no run of {variant} to compare with{refused}"


def _has_ended(run: Run) -> bool:
    """Also: it is a run, and no profile without load."""
    return run.manifest.status != "running" and run.manifest.kind == "run"


def _of(variant: str, runs: Sequence[Run], candidate: Run) -> list[Run]:
    """The ended runs of a variant but the candidate, the newest first."""
    return [
        run
        for run in _newest_first(runs)
        if run.run_id != candidate.run_id and variant in _names(run.manifest) and _has_ended(run)
    ]


def _names(manifest: Manifest) -> set[str]:
    """The variant of a run, by each of its names."""
    same = manifest.engine == "standin" and manifest.variant in _SAME_ON_THE_STAND_IN
    return _SAME_ON_THE_STAND_IN if same else {manifest.variant}


def _conditions(run: Run) -> dict[str, object]:
    manifest, plan = run.manifest, run.plan
    return {
        "model": manifest.model,
        "tp": manifest.tp,
        "engine": manifest.engine,
        "engine version": manifest.engine_version,
        "workload": manifest.workload,
        "load": load_text(plan.load),
        **(_conditions_of_closed_loop(plan) if isinstance(plan.load, ClosedLoop) else {}),
        "timeout": f"{plan.timeout_s:g} s",
        "seed": manifest.seed,
        "schedule digest": manifest.schedule_sha256,
        "payload digest": manifest.payloads_sha256,
        **{f"host {key}": (manifest.agent.about if manifest.agent else manifest.host).get(key) for key in _SAME_HOST},
        "driver's host": manifest.host.get("name") if manifest.agent else None,
    }


def _conditions_of_closed_loop(plan: Plan) -> dict[str, object]:
    """What the digest of its schedule says of an open loop."""
    return {"warm-up": f"{plan.warmup_s:g} s", "requests": plan.requests}
