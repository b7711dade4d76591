"""summary.json: everything that is said about one run, computed from its folder alone.

Pure: the same folder gives the same summary, whatever the order of its records, today or on another machine.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet

import msgspec

from mmload.analyse import latency, load
from mmload.analyse.blocks import TWO_SIDED_95, mean_bounds
from mmload.analyse.cpu import host_busy_share
from mmload.analyse.cpu_work import other_evidence
from mmload.analyse.failures import failures
from mmload.analyse.findings import findings
from mmload.analyse.handoff import handoff_counters
from mmload.analyse.handoff_samples import handoff_costs
from mmload.analyse.load import Window
from mmload.analyse.load_generator import generator_faults, generator_health, generator_warnings
from mmload.analyse.looking import looking_warnings
from mmload.analyse.memory import gpu_trouble, gpu_use, lost_gpus, process_memory, shm_use
from mmload.analyse.processes import process_cpu
from mmload.analyse.run_cpu import RunCpu
from mmload.analyse.server_metrics import server_side
from mmload.model.plan import GeneratorLimits, Plan
from mmload.model.records import RequestRecord
from mmload.model.result import Failure, GeneratorHealth, Quantiles, Summary
from mmload.plan import config
from mmload.store.read import Run
from mmload.store.requests import RequestTable

_BUSY_HOST = 0.9  # share of all cores: from here on, server and generator wait for each other
_MANY_FROM_WARMUP = 0.01  # of the requests: fewer answers to warm-up requests move no figure that is shown
_MOSTLY_FAILED = 0.5
_FAILURES = 12  # kinds


class _Reuse(msgspec.Struct, frozen=True):
    reuse: float = 0.0


def summarise(run: Run) -> Summary:
    """The summary of a run: complete, partial or still going. Raises FolderError on damage."""
    window = load.measure_window(run)
    if window is None:
        return _nothing_measured(run)
    measured = load.measured_requests(run.requests, window)
    missing = load.missing_requests(run, measured, window)
    offered_rps = load.offered_rps(run, measured, window)
    bounds = mean_bounds(load.answers_per_block(run.requests, window), TWO_SIDED_95)
    answers_rps = load.achieved_rps(run.requests, window)
    known = run.once(RunCpu)
    series, looked, shares = known.series, known.looked, known.shares
    cpu = {
        name: found
        for name, one in series.items()
        if (found := process_cpu(one, shares.get(name), window, answers_rps))
    }
    handoff = handoff_costs(series, shares, window, answers_rps, handoff_counters(run.server, window))
    server = server_side(run, series, cpu, window)
    outcomes, kinds = load.outcomes(measured), failures(measured, window.start_ns)
    response_ms = latency.quantiles(latency.response_ms(measured))
    health = generator_health(measured, missing, run.generator, window, run.manifest.error)
    summary = msgspec.structs.replace(
        _nothing_measured(run),
        duration_s=window.length_s,
        offered_rate_rps=offered_rps,
        achieved_rate_rps=answers_rps,
        achieved_low=max(0.0, bounds[0]) if bounds else None,
        achieved_high=bounds[1] if bounds else None,
        requests=len(measured),
        outcomes=outcomes,
        error_rate=1 - outcomes.get("ok", 0) / len(measured) if measured else None,
        failures=kinds[:_FAILURES],
        more_failures=len(kinds[_FAILURES:]),
        response_ms=response_ms,
        service_ms=latency.quantiles(latency.service_ms(measured)),
        ttft_ms=latency.quantiles(latency.ttft_ms(measured)),
        itl_ms=latency.quantiles(latency.itl_ms(measured)),
        tpot_ms=latency.quantiles(latency.tpot_ms(measured)),
        tokens_per_s=load.tokens_per_s(run.requests, window),
        cached_token_share=load.cached_token_share(measured),
        cache_hit_share=load.cache_hit_share(measured),
        modalities=load.modalities(measured),
        cpu=cpu,
        memory={name: held for name, one in series.items() if (held := process_memory(one, window))},
        shm=shm_use(run.host, window),
        gpus=gpu_use(run.host, window),
        gpu_trouble=gpu_trouble(run.host),
        generator=health,
        looking=looked,
        server=server.figures,
        phase_cpu_ms_per_request=handoff.sampled,
        handoff=handoff.figures,
        handoff_source=handoff.source,
        warnings=[
            *_failed(measured, kinds),
            *_missing(missing, measured),
            *run.manifest.warnings,
            *_backlog(run, measured, window, offered_rps),
            *_understated(measured),
            *generator_warnings(health, response_ms.p99),
            *looking_warnings(looked),
            *filter(None, [other_evidence(run.manifest.profile.mode)]),
            *handoff.warnings,
            *lost_gpus(run.host),
            *server.warnings,
            *_strays(shares.keys() - series.keys()),
            *_warnings(run, window, series.keys() - cpu.keys()),
        ],
    )
    return msgspec.structs.replace(summary, findings=[*findings(summary), *server.findings])


def judge_generator(summary: Summary, limits: GeneratorLimits) -> list[str]:
    """Why the generator makes the run INVALID, whatever became of the server: one sentence a reason; empty when it does
    not. A run that measured nothing is not the generator's fault."""
    return generator_faults(summary.generator, limits) if summary.generator.scheduled else []


def _nothing_measured(run: Run) -> Summary:
    manifest = run.manifest
    none = Quantiles(n=0, mean=None, p50=None, p90=None, p95=None, p99=None, max=None)
    return Summary(
        kind=manifest.kind,
        run_dir=str(run.layout.path),
        run_id=run.run_id,
        status="partial" if manifest.status == "running" else manifest.status,
        validity=manifest.validity,
        variant=manifest.variant,
        engine=manifest.engine,
        tp=manifest.tp,
        workload=manifest.workload,
        duration_s=0.0,
        offered_rate_rps=None,
        achieved_rate_rps=0.0,
        requests=0,
        outcomes={},
        error_rate=None,
        response_ms=none,
        service_ms=none,
        ttft_ms=none,
        itl_ms=none,
        tpot_ms=none,
        tokens_per_s=None,
        cached_token_share=None,
        reuse=_reuse(run.plan),
        modalities={},
        cpu={},
        generator=GeneratorHealth(
            scheduled=0,
            sent=0,
            lag_p50_ms=None,
            lag_p99_ms=None,
            lag_max_ms=None,
            longest_stall_ms=None,
            cpu_pct=None,
            cpu_s_per_1000_requests=None,
        ),
        identity=_identity(run.requests.identity),
        stalls=manifest.stalls,
        warnings=manifest.warnings,
        gate=run.plan.gate,
    )


def _reuse(plan: Plan) -> float:
    """What the plan's workload asks for, whatever else of it this version knows."""
    return config.convert(plan.workload, _Reuse, "the plan's workload").reuse


def _identity(records: Iterable[RequestRecord]) -> dict[str, str]:
    answered = sorted((r.item, r.output_sha256) for r in records if r.outcome == "ok" and r.output_sha256)
    return dict(answered)


def _failed(measured: RequestTable, kinds: Sequence[Failure]) -> Sequence[str]:
    """A warning when most of the requests failed, with what most of these have in common; and, since no percentile of
    all of them says much then, how long the others took."""
    failed = sum(kind.requests for kind in kinds)
    if failed <= _MOSTLY_FAILED * len(measured):
        return []
    most = kinds[0]
    said = (
        f"{failed:,} of {len(measured):,} requests failed, {most.requests:,} of them with: {most.error or most.outcome}"
    )
    answered = latency.quantiles(latency.response_ms(measured)[measured.is_ok])
    if answered.p50 is None or answered.p99 is None:
        return [said]
    return [said, f"ok only: response p50 {answered.p50:.1f}, P99 {answered.p99:.1f} ms ({answered.n:,})"]


def _missing(missing: int, measured: RequestTable) -> Sequence[str]:
    """A warning when nobody knows what became of some requests: among them may be the slowest."""
    return [f"{missing:,} of {len(measured) + missing:,} scheduled requests have no record"] if missing else []


def _backlog(run: Run, measured: RequestTable, window: Window, offered_rps: float | None) -> Sequence[str]:
    """A warning when the server answered more than was offered, because it still owed answers from warm-up: more of
    them than chance leaves in flight, whose number is Poisson's, at one end of a window and not at the other."""
    if offered_rps is None:
        return []
    owed = load.answers_to_warmup(run.requests, window)
    more = (load.achieved_rps(run.requests, window) - offered_rps) * window.length_s
    if more <= _MANY_FROM_WARMUP * len(measured) + 2 * math.sqrt(2 * owed):
        return []
    return [f"{owed:,} of the answers in the window were due in warm-up: more were answered than were offered"]


def _understated(measured: RequestTable) -> Sequence[str]:
    answers = load.understated_answers(measured)
    return (
        [f"{answers:,} answers bring more pieces than the server says tokens: the pieces are counted"]
        if answers
        else []
    )


def _strays(names: AbstractSet[str]) -> Sequence[str]:
    return [f"the stacks of {', '.join(sorted(names))} are of no process that was sampled: left out"] if names else []


def _warnings(run: Run, window: Window, unknown: Iterable[str]) -> Sequence[str]:
    warnings = [f"CPU of {name} is unknown: it was sampled for less than a second" for name in sorted(unknown)]
    return [*warnings, *_busy_hosts(run, window)]


def _busy_hosts(run: Run, window: Window) -> Iterator[str]:
    """A warning for each host on which processes waited for a core."""
    rivals = "server and generator" if run.manifest.kind == "run" else "the processes and what looks at them"
    hosts = [("the host", run.host, rivals)]
    if run.manifest.agent is not None:
        hosts = [
            (run.manifest.agent.host, run.host, "the server's processes and others"),
            ("the driver's host", run.driver_host, "the generator and others"),
        ]
    for host, samples, rivals in hosts:
        busy = host_busy_share(samples, window)
        if busy is not None and busy > _BUSY_HOST:
            yield f"{host} was {busy:.0%} busy: {rivals} took each other's CPU; use more cores"
