"""Run folders for tests, as a real run would write them, with whatever truth a test wants planted.

    run = make_run(tmp_path, "optimized", response_ms=np.full(4000, 80.0))

Everything not said is ordinary: 40 s at 100 requests/s on a stand-in with two ranks, answered in about 60 ms.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec
import numpy as np

from mmload.model.manifest import Clock, Manifest, Membership, Phase, ProfileFile, ProfileInfo, RankInfo, Status
from mmload.model.plan import ClosedLoop, GeneratorLimits, Modality, OpenLoop, Plan
from mmload.model.records import (
    CUT_OFF,
    AnswerRecord,
    GeneratorSample,
    HostSample,
    Outcome,
    ProcessSample,
    RequestRecord,
    ServerScrape,
)
from mmload.plan.arrivals import measured_due_ns
from mmload.store.append import LineWriter, create_run_folder, write_document
from mmload.store.layout import new_run_id
from mmload.store.read import Run

START_NS = 5_000_000_000_000  # when the run began, on its host's monotonic clock
S = 1_000_000_000
IDENTITY_ITEMS = 4
SAMPLE_S = 0.5

_EPOCH = datetime(2026, 11, 20, tzinfo=UTC)
_STAGES = ("receive", "build", "hash", "pickle", "broadcast", "sample")


class Truth(msgspec.Struct, kw_only=True):
    """What the folder is going to say.

    number: orders the runs, the higher the newer. response_ms, outcomes: of the measured requests in order of due time
    (outcomes maps an index to what became of it). cpu_pct: process name -> percent of a core. work_share: of the ranks'
    stacks. build_ms: CPU milliseconds per request for construction and hash, by process; None: a server without
    counters. met: the share of the requests that a process has got to, where a queue builds before it. answers: of the
    identity items, whose texts are kept where keeps_answers. modalities: of the requests in turn. rss_bytes:
    resident memory as a function of seconds. requests: the plan's own number of them.
    """

    number: int = 0
    rate_rps: float = 100.0
    duration_s: float = 40.0
    warmup_s: float = 2.0
    concurrency: int | None = None
    seed: int = 0
    tp: int = 2
    engine: str = "standin"
    model: str | None = "stand-in"
    workload: str = "images-small"
    host: str = "host-a"
    status: Status = "complete"
    error: str | None = None
    validity: list[str] | None = None
    response_ms: Sequence[float] | np.ndarray | None = None
    outcomes: Mapping[int, Outcome] = {}
    lag_ms: float = 0.2
    stall_ms: float = 3.0
    cpu_pct: Mapping[str, float] = {}
    work_share: float = 0.8
    stack_samples: int = 1000
    build_ms: Mapping[str, float] | None = None
    met: Mapping[str, float] = {}
    answers: Sequence[str] = ("red", "green", "blue", "grey")
    keeps_answers: bool = True
    modalities: Sequence[Modality] = ("image",)
    rss_bytes: Callable[[float], float] = lambda _s: 5e8
    ends_after_s: float | None = None
    limits: GeneratorLimits = GeneratorLimits()
    requests: int | None = None
    timeout_s: float = 30.0
    idle_policy: str = "sleep"
    member: Membership | None = None

    @property
    def planned(self) -> int:
        return round(self.rate_rps * self.duration_s)

    @property
    def ranks(self) -> list[str]:
        return [f"scheduler_TP{rank}" for rank in range(self.tp)]

    @property
    def measure_ns(self) -> tuple[int, int]:
        start_ns = START_NS + round(self.warmup_s * S)
        return start_ns, start_ns + round(self.duration_s * S)


def make_run(out: Path, variant: str = "optimized", **truth: object) -> Run:
    """Write a run folder below `out` and read it back. `truth`: fields of Truth."""
    told = Truth(**truth)
    run_id = new_run_id(variant, _EPOCH + timedelta(minutes=told.number), f"{told.number:04x}")
    layout = create_run_folder(out, run_id)
    write_document(layout.plan, _plan(told, variant))
    write_document(layout.manifest, _manifest(told, variant, run_id))
    requests = requests_of(told)
    kinds = (
        (layout.requests, requests),
        (layout.answers, _answers(requests) if told.keeps_answers else ()),
        (layout.processes, _processes(told)),
        (layout.host, _host(told)),
        (layout.generator, _generator(told, requests)),
        (layout.server, _scrapes(told)),
    )
    for path, records in kinds:
        with LineWriter(path) as writer:
            for record in records:
                writer.write(record)
    for rank in told.ranks if told.stack_samples else []:
        layout.folded(rank).write_text(_stacks(told), encoding="utf-8")
    return Run(layout.path)


def requests_of(told: Truth) -> list[RequestRecord]:
    """The records: identity, warm-up, measured, due as the plan's schedule has it. Those that had not ended when the run
    did are left out, as a kill does; where the server failed they were cut off or never sent."""
    rng = np.random.default_rng(told.seed)
    start_ns, end_ns = told.measure_ns
    scheduled_ns = measured_due_ns(_plan(told, "optimized"))
    due_ns = start_ns + (
        np.arange(told.planned) * (end_ns - start_ns) // told.planned if scheduled_ns is None else scheduled_ns
    )
    response_ms = 60 * np.exp(0.2 * rng.standard_normal(told.planned)) if told.response_ms is None else told.response_ms
    measured = [
        _request(told, "measure", number, int(due), float(ms), told.outcomes.get(number, "ok"))
        for number, (due, ms) in enumerate(zip(due_ns, response_ms, strict=True))
    ]
    warmup_due_ns = START_NS + np.arange(round(told.rate_rps * told.warmup_s)) * round(S / told.rate_rps)
    warmup = [_request(told, "warmup", n, int(due), 60.0, "ok") for n, due in enumerate(warmup_due_ns)]
    identity = [
        msgspec.structs.replace(
            _request(told, "identity", n, START_NS - (10 - n) * S, 60.0, "ok"), item=f"same-{n}", output_sha256=answer
        )
        for n, answer in enumerate(told.answers)
    ]
    ended_ns = _ended_ns(told)
    records = [*identity, *warmup, *measured]
    if told.status == "failed":
        return [_ended_by_failure(told, r, ended_ns) for r in records]
    return [r for r in records if (r.done_ns or r.due_ns) <= ended_ns]


def _answers(requests: Iterable[RequestRecord]) -> Iterable[AnswerRecord]:
    for r in requests:
        if r.phase == "identity" and r.output_sha256:
            yield AnswerRecord(id=r.id, item=r.item, modality=r.modality, text=f"It is {r.output_sha256}.")


def _ended_by_failure(told: Truth, record: RequestRecord, ended_ns: int) -> RequestRecord:
    if (record.done_ns or record.due_ns) <= ended_ns:
        return record
    unanswered = {"first_byte_ns": None, "first_token_ns": None, "status": None, "token_ns": [], "output_sha256": None}
    if record.sent_ns is None or record.sent_ns > ended_ns:
        lost = {"outcome": "dropped", "error": told.error, "sent_ns": None, "done_ns": None}
    else:
        lost = {"outcome": "connection_error", "error": CUT_OFF, "done_ns": ended_ns}
    return msgspec.structs.replace(record, **unanswered, **lost)


def _request(told: Truth, phase: str, number: int, due_ns: int, response_ms: float, outcome: Outcome) -> RequestRecord:
    sent_ns = due_ns + round(told.lag_ms * 1e6)
    done_ns = max(due_ns + round(response_ms * 1e6), sent_ns)
    tokens = [sent_ns + (done_ns - sent_ns) * step // 4 for step in (1, 2, 3, 4)]
    answered = outcome == "ok"
    return RequestRecord(
        id=f"{phase}-{number:06d}",
        phase=phase,
        item=f"{told.workload}-{number:06d}",
        modality=told.modalities[number % len(told.modalities)],
        due_ns=due_ns,
        sent_ns=None if outcome == "dropped" else sent_ns,
        first_byte_ns=tokens[0] if answered else None,
        first_token_ns=tokens[0] if answered else None,
        done_ns=done_ns if outcome != "dropped" else None,
        status=200 if answered else None,
        outcome=outcome,
        error=None if answered else f"planted: {outcome}",
        bytes_up=133_000,
        bytes_down=900,
        prompt_tokens=100 if answered else None,
        completion_tokens=4 if answered else None,
        cached_tokens=0 if answered else None,
        token_ns=tokens if answered else [],
        output_sha256=f"{number:064x}" if answered else None,
    )


def _plan(told: Truth, variant: str) -> Plan:
    closed = told.concurrency is not None
    return Plan(
        variant=variant,
        workload_name=told.workload,
        workload={},
        load=ClosedLoop(concurrency=told.concurrency) if closed else OpenLoop(rate_rps=told.rate_rps),
        duration_s=told.duration_s,
        warmup_s=told.warmup_s,
        seed=told.seed,
        tp=told.tp,
        engine=told.engine,
        limits=told.limits,
        requests=told.requests,
        timeout_s=told.timeout_s,
    )


def _manifest(told: Truth, variant: str, run_id: str) -> Manifest:
    start_ns, end_ns = told.measure_ns
    ranks = [RankInfo(rank=n, pid=100 + n, start_ticks=1, variant=variant) for n in range(told.tp)]
    files = [ProfileFile(process=name, pid=100, samples=told.stack_samples, errors=0) for name in told.ranks]
    return Manifest(
        run_id=run_id,
        member=told.member,
        status=told.status,
        validity=told.validity or "valid",
        variant=variant,
        workload=told.workload,
        seed=told.seed,
        schedule_sha256=None if told.concurrency else f"schedule {told.seed} {told.rate_rps} {told.duration_s}",
        payloads_sha256=f"payloads {told.workload} {told.seed}",
        engine=told.engine,
        engine_version="1",
        model=told.model,
        tp=told.tp,
        idle_policy=told.idle_policy,
        ranks=ranks,
        phases=[
            Phase(name="warmup", start_ns=START_NS, end_ns=start_ns),
            Phase(name="measure", start_ns=start_ns, end_ns=end_ns),
        ],
        clock=Clock(monotonic_ns=START_NS + zlib.crc32(run_id.encode()) % 1000, utc_ns=0),  # no two runs begin at once
        profile=ProfileInfo(mode="active", rate_hz=100, samples=told.stack_samples * told.tp, files=files),
        host={"name": told.host, "cpu": "a cpu", "cores": 2},
        error=told.error,
    )


def _ended_ns(told: Truth) -> int:
    length_s = told.warmup_s + told.duration_s + 5 if told.ends_after_s is None else told.ends_after_s
    return START_NS + round(length_s * S)


def _ticks_ns(told: Truth, step_s: float) -> range:
    return range(START_NS, _ended_ns(told) + 1, round(step_s * S))


def _processes(told: Truth) -> Iterable[ProcessSample]:
    shares = dict.fromkeys(told.ranks, 30.0) | {"tokenizer": 20.0, "generator-0": 10.0} | dict(told.cpu_pct)
    for t_ns in _ticks_ns(told, SAMPLE_S):
        elapsed_s = (t_ns - START_NS) / S
        for number, (name, pct) in enumerate(shares.items()):
            role = name.rstrip("0123456789").removesuffix("_TP").removesuffix("-")
            yield ProcessSample(
                t_ns=t_ns,
                pid=100 + number,
                start_ticks=1,
                role=role,
                rank=int(name[-1]) if role == "scheduler" else None,
                cpu_s=round(50 + elapsed_s * pct / 100, 2),
                rss_bytes=round(told.rss_bytes(elapsed_s)),
                uss_bytes=None,
                threads=8,
                ctx_voluntary=0,
                ctx_involuntary=0,
                fds=20,
                name=name,
            )


def _host(told: Truth) -> Iterable[HostSample]:
    for t_ns in _ticks_ns(told, SAMPLE_S):
        yield HostSample(
            t_ns=t_ns,
            cpu_busy_s=1000 + (t_ns - START_NS) / S,
            cores=2,
            load_1m=1.0,
            memory_available_bytes=4 * 2**30,
            memory_total_bytes=8 * 2**30,
            net_bytes_sent=0,
            net_bytes_received=0,
        )


def _generator(told: Truth, requests: Sequence[RequestRecord]) -> Iterable[GeneratorSample]:
    times_ns = (
        [r.due_ns for r in requests],
        [r.sent_ns for r in requests if r.sent_ns is not None],
        [r.done_ns for r in requests if r.done_ns is not None],
    )
    times_ns = [np.sort(np.array(times, np.int64)) for times in times_ns]
    for t_ns in _ticks_ns(told, 0.25):
        due, sent, done = (int(np.searchsorted(times, t_ns, side="right")) for times in times_ns)
        yield GeneratorSample(
            t_ns=t_ns,
            worker=0,
            due=due,
            sent=sent,
            done=done,
            in_flight=sent - done,
            stall_ms=told.stall_ms,
            cpu_s=(t_ns - START_NS) / S / 10,
        )


def _scrapes(told: Truth) -> Iterable[ServerScrape]:
    if told.build_ms is None:
        return
    rng = np.random.default_rng(told.seed + 1)
    cpu_s = dict.fromkeys(["tokenizer", *told.ranks], 0.0)
    requests = 0
    for t_ns in _ticks_ns(told, 1.0):
        metrics = {"sglang:num_running_reqs": 3.0}
        for process in cpu_s:
            counted = {f"{stage}_cpu_seconds": cpu_s[process] / 2 for stage in _STAGES}
            met = requests * told.met.get(process, 1.0)
            counted |= dict.fromkeys(("requests", "broadcasts", "receive_batches"), met)
            metrics |= {f'mmload_handoff_{k}_total{{process="{process}"}}': v for k, v in counted.items()}
        yield ServerScrape(t_ns=t_ns, metrics=metrics)
        arrived = round(told.rate_rps)
        requests += arrived
        for process, ms in told.build_ms.items():
            cpu_s[process] += arrived * told.met.get(process, 1.0) * ms / 1000 * (1 + 0.05 * rng.standard_normal())


def _stacks(told: Truth) -> str:
    work = round(told.stack_samples * told.work_share)
    loop = "event_loop (mmload/standin/rank.py:10)"
    return (
        f"{loop};run_batch (mmload/standin/rank.py:20) {work}\n"
        f"{loop};wait_for_work (mmload/standin/rank.py:30) {told.stack_samples - work}\n"
    )
