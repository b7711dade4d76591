"""Which stored runs a gate judges: the candidate, and for each baseline variant a run that can be compared with it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence

import msgspec

from mmload.errors import FolderError, UsageError
from mmload.judge.definition import Gate
from mmload.judge.validity import unfit_as_baseline
from mmload.model.plan import Plan
from mmload.model.result import Manifest
from mmload.plan.load_text import load_options, load_text
from mmload.store.read import Run

_SAME_HOST = ("name", "cpu", "cores")


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
    """Choose from `runs`, in any order. also: more runs that a baseline, but not the candidate, may be taken from.

    candidate: the variant to judge; without it the newest run whose variant is none of the gate's baselines (or
    the only run there is). baselines: runs given by the user, by variant; for the others the newest valid run that is
    comparable with the candidate. Raises FolderError without a candidate, and UsageError when a given baseline is not
    asked for, is of another variant, or can't be compared, with every difference.
    """
    given = dict(baselines or {})
    for variant in given:
        if variant not in gate.baselines:
            asked = ", ".join(gate.baselines) or "no other run"
            raise UsageError(f"the gate {gate.name} does not compare with {variant}", f"it compares with {asked}")
    judged = _candidate(_newest_first(runs), gate.baselines, candidate)
    others = [run for run in _newest_first([*runs, *also]) if run.run_id != judged.run_id]
    chosen, absent = {}, {}
    for variant in gate.baselines:
        found = _given(variant, given[variant], judged) if variant in given else _newest(variant, others, judged)
        if isinstance(found, Run):
            chosen[variant] = found
        else:
            absent[variant] = found
    return Choice(candidate=judged, baselines=chosen, absent=absent)


def differences(candidate: Run, baseline: Run) -> list[str]:
    """What keeps two runs from being compared, one phrase each: `workload: images-small, not mix`."""
    ours, theirs = _conditions(candidate), _conditions(baseline)
    return [f"{name}: {theirs[name]}, not {value}" for name, value in ours.items() if theirs[name] != value]


def command_for(variant: str, plan: Plan) -> str:
    """The command line that makes a run of `variant` comparable with a run of this plan."""
    words = ["mmload", "run", "--variant", variant, "--workload", plan.workload_name, *load_options(plan.load)]
    words += ["--requests", str(plan.requests)] if plan.requests is not None else []
    words += ["--duration", f"{plan.duration_s:g}s", "--warmup", f"{plan.warmup_s:g}s", "--seed", str(plan.seed)]
    if plan.url:
        words += ["--url", plan.url]
    else:
        words += ["--engine", plan.engine or "standin", "--tp", str(plan.tp)]
    if plan.model:
        words += ["--model", plan.model]
    return shlex.join([*words, *(["--", *plan.engine_args] if plan.engine_args else [])])


def _newest_first(runs: Sequence[Run]) -> list[Run]:
    return sorted(runs, key=lambda run: run.run_id, reverse=True)


def _candidate(runs: Sequence[Run], baseline_variants: Sequence[str], wanted: str | None) -> Run:
    if not runs:
        raise FolderError("there is no run to judge", "make one: mmload run --variant optimized --rate 100")
    if wanted is None and len(runs) == 1:
        return runs[0]
    for run in runs:
        variant = _variant(run.manifest)
        if variant == wanted or (wanted is None and variant not in baseline_variants):
            return run
    if wanted is not None:
        raise FolderError(
            f"there is no run of {wanted} to judge", f"make one: mmload run --variant {wanted} --rate 100"
        )
    raise FolderError(
        f"there are only runs of the baselines ({', '.join(baseline_variants)})",
        "say which of them is to be judged with --candidate VARIANT",
    )


def _given(variant: str, run: Run, candidate: Run) -> Run:
    if _variant(run.manifest) != variant:
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


def _newest(variant: str, others: Sequence[Run], candidate: Run) -> Run | str:
    """The newest valid, comparable run of a variant, or why there is none."""
    refused = ""
    for run in others:
        if _variant(run.manifest) != variant:
            continue
        reasons = differences(candidate, run) or unfit_as_baseline(run)
        if not reasons:
            return run
        refused = refused or f" (not {run.run_id}: {'; '.join(reasons)})"
    return f"no run of {variant} to compare with{refused}"


def _variant(manifest: Manifest) -> str:
    """`stock` on the stand-in, which hands over as SGLang did before the commit, is `original`."""
    return "original" if (manifest.engine, manifest.variant) == ("standin", "stock") else manifest.variant


def _conditions(run: Run) -> dict[str, object]:
    manifest = run.manifest
    return {
        "model": manifest.model,
        "tp": manifest.tp,
        "engine": manifest.engine,
        "engine version": manifest.engine_version,
        "workload": manifest.workload,
        "load": load_text(run.plan.load),
        "seed": manifest.seed,
        "schedule digest": manifest.schedule_sha256,
        "payload digest": manifest.payloads_sha256,
        "idle policy": manifest.idle_policy,
        **{f"host {key}": manifest.host.get(key) for key in _SAME_HOST},
    }
