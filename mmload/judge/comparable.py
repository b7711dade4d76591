"""Whether two stored runs were made under the same conditions, so that what differs between their figures is the
variant's doing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

from mmload.model.plan import ClosedLoop, Plan
from mmload.plan.load_text import load_text
from mmload.store.read import Run

_OF_A_ROUND = ("seed", "schedule digest", "payload digest")
_OF_A_SCENE = ("tp", "workload", "load", "warm-up", "requests", "timeout")
_SAME_HOST = ("name", "cpu", "cores")


def differences(run: Run, other: Run) -> list[str]:
    """What keeps two runs from being compared, one phrase each: `tp: 4, not 2` (the other's first)."""
    return _differences(run, other)


def differences_of_rounds(runs: Sequence[Run]) -> list[str]:
    """What keeps runs of one variant from being rounds of each other, which differ in their seeds alone."""
    found = (phrase for run in runs[1:] for phrase in _differences(runs[0], run, but=_OF_A_ROUND))
    return list(dict.fromkeys(found))


def differences_of_sides(candidate: Sequence[Run], baseline: Sequence[Run]) -> list[str]:
    """What keeps the rounds of two variants from being compared: their conditions, and which rounds there are."""
    if len(candidate) == len(baseline) == 1:
        return differences(candidate[0], baseline[0])
    return [*_differences(candidate[0], baseline[0], but=_OF_A_ROUND), *_of_seeds(candidate, baseline)]


def differences_of_servers(run: Run, other: Run) -> list[str]:
    """What keeps runs under two loads from being of the same server: engine, version, model, idle policy, host."""
    return _differences(run, other, but=(*_OF_A_ROUND, *_OF_A_SCENE))


def paired(candidate: Sequence[Run], baseline: Sequence[Run], *, by_seed: bool = False) -> tuple[list[Run], list[Run]]:
    """The runs of both sides that met the same requests (by_seed: that were made of the same seed), in the same order;
    none where no two did."""
    free: dict[object, list[Run]] = {}
    for run in baseline:
        free.setdefault(_round(run)[: 1 if by_seed else None], []).append(run)
    ours, theirs = [], []
    for run in candidate:
        same = free.get(_round(run)[: 1 if by_seed else None])
        if same:
            ours.append(run)
            theirs.append(same.pop(0))
    return ours, theirs


def in_order(runs: Sequence[Run]) -> tuple[Run, ...]:
    """By round: seed, then time."""
    return tuple(sorted(runs, key=lambda run: (run.manifest.seed, run.run_id)))


def _round(run: Run) -> tuple[int, str | None, str]:
    return run.manifest.seed, run.manifest.schedule_sha256, run.manifest.payloads_sha256


def _of_seeds(candidate: Sequence[Run], baseline: Sequence[Run]) -> list[str]:
    ours, theirs = (Counter(_round(run) for run in runs) for runs in (candidate, baseline))
    if ours == theirs:
        return []
    our_seeds, their_seeds = (sorted(seed for seed, *_ in rounds.elements()) for rounds in (ours, theirs))
    if our_seeds != their_seeds:
        return [f"seeds: {', '.join(map(str, their_seeds))}, not {', '.join(map(str, our_seeds))}"]
    apart = ", ".join(str(seed) for seed, *_ in sorted((ours - theirs).elements(), key=str))
    return [f"other requests or other times with seed {apart}"]


def _differences(run: Run, other: Run, but: Collection[str] = ()) -> list[str]:
    ours, theirs = _conditions(run), _conditions(other)
    names = (name for name in ours if name not in but)
    return [f"{name}: {theirs[name]}, not {ours[name]}" for name in names if ours[name] != theirs.get(name, ours[name])]


def _conditions(run: Run) -> dict[str, object]:
    manifest, plan = run.manifest, run.plan
    host = manifest.agent.about if manifest.agent else manifest.host
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
        "idle policy": manifest.idle_policy,
        **{f"host {key}": host.get(key) for key in _SAME_HOST},
        "driver's host": manifest.host.get("name") if manifest.agent else None,
    }


def _conditions_of_closed_loop(plan: Plan) -> dict[str, object]:
    """What the digest of its schedule says of an open loop."""
    return {"warm-up": f"{plan.warmup_s:g} s", "requests": plan.requests}
