"""Whether two stored runs were made under the same conditions, so that what differs between their figures is the
variant's doing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence

from mmload.errors import UsageError
from mmload.model.plan import ClosedLoop, NoLoad, OpenLoop, Plan
from mmload.plan.load_text import load_text
from mmload.store.read import Run

_OF_A_ROUND = ("seed", "schedule digest", "payload digest")
_OF_A_SCENE = ("tp", "workload", "load", "warm-up", "requests", "timeout")
_DIGITS = 16  # of a digest, which is read by people here
_SAME_HOST = ("name", "cpu", "cores")
_FLAGS = (  # of SGLang's own: those that shape figures, and that neither a place nor chance nor a variant sets
    "dtype",
    "quantization",
    "kv_cache_dtype",
    "context_length",
    "max_running_requests",
    "chunked_prefill_size",
    "max_prefill_tokens",
    "schedule_policy",
    "schedule_conservativeness",
    "stream_interval",
    "tokenizer_worker_num",
    "pp_size",
    "dp_size",
    "attention_backend",
    "mm_attention_backend",
    "sampling_backend",
    "speculative_algorithm",
    "num_continuous_decode_steps",
    "disable_radix_cache",
    "disable_cuda_graph",
    "disable_overlap_schedule",
    "disable_fast_image_processor",
    "enable_mixed_chunk",
    "enable_torch_compile",
)
_SAME_ON_THE_STAND_IN = {"stock", "original"}  # as it is, it hands over as SGLang did before the commit


def names_of(run: Run) -> set[str]:
    """The variant of a run, by each of its names."""
    same = run.manifest.engine == "standin" and run.manifest.variant in _SAME_ON_THE_STAND_IN
    return _SAME_ON_THE_STAND_IN if same else {run.manifest.variant}


def differences(run: Run, other: Run) -> list[str]:
    """What keeps two runs from being compared, one phrase each: `tp: 4, not 2` (the other's first)."""
    return _differences(run, other)


def differences_of_rounds(runs: Sequence[Run]) -> list[str]:
    """What keeps runs of one variant from being rounds of each other, which differ in their seeds alone."""
    found = (phrase for run in runs[1:] for phrase in _differences(runs[0], run, but=_OF_A_ROUND))
    seeds = Counter(run.manifest.seed for run in runs)
    again = (f"seed {seed} {_times(count)}: the same requests again" for seed, count in seeds.items() if count > 1)
    return list(dict.fromkeys([*found, *again]))


def refuse_copies(runs: Sequence[Run]) -> None:
    """Raise UsageError where one run was given twice, under whatever names: it is evidence once, and no force makes it
    more."""
    known: dict[object, Run] = {}
    for run in runs:
        manifest = run.manifest
        born = (manifest.clock.monotonic_ns, tuple((rank.pid, rank.start_ticks) for rank in manifest.ranks))
        first = known.get(manifest.run_id) or known.get(born)
        if first is not None:
            about = "is given twice" if first.run_id == run.run_id else f"is the same run as {first.run_id}"
            raise UsageError(f"{run.run_id} {about}", "a copy is no further evidence: give each run once")
        known[manifest.run_id] = known[born] = run


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


def conditions_text(run: Run) -> str:
    """What a run had: `images-small, 100 req/s, TP 4, standin 1, stand-in`, which is workload, offered load, TP, engine
    and version, model."""
    manifest = run.manifest
    engine = " ".join(filter(None, (manifest.engine, manifest.engine_version)))
    asked = declared_text(manifest.workload, run.plan.load, manifest.tp)
    return ", ".join([asked, engine, *([manifest.model] if manifest.model else [])])


def declared_text(workload: str, load: OpenLoop | ClosedLoop | NoLoad, tp: int | None) -> str:
    """`images-small, 100 req/s, TP 4`."""
    return f"{workload}, {load_text(load)}, TP {'unknown' if tp is None else tp}"


def _times(count: int) -> str:
    return "twice" if count == 2 else f"{count} times"


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
        "engine arguments": " ".join(plan.engine_args) or "none",
        **{f"server's {flag}": manifest.flags.get(flag) for flag in _FLAGS if flag in manifest.flags},
        "workload": manifest.workload,
        "load": load_text(plan.load),
        **(_conditions_of_closed_loop(plan) if isinstance(plan.load, ClosedLoop) else {}),
        "timeout": f"{plan.timeout_s:g} s",
        "seed": manifest.seed,
        "schedule digest": (manifest.schedule_sha256 or "none")[:_DIGITS],
        "payload digest": manifest.payloads_sha256[:_DIGITS],
        "idle policy": manifest.idle_policy,
        **{f"host {key}": host.get(key) for key in _SAME_HOST},
        "driver's host": manifest.host.get("name") if manifest.agent else None,
    }


def _conditions_of_closed_loop(plan: Plan) -> dict[str, object]:
    """What the digest of its schedule says of an open loop."""
    return {"warm-up": f"{plan.warmup_s:g} s", "requests": plan.requests}
