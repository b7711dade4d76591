"""Run folders made up by the million, in mmload's own words and with its own writer: answers in some 60 ms to arrivals
at 100/s, four ranks, everything sampled as often as in a real run."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mmload.model.manifest import Clock, Manifest, Phase, RankInfo
from mmload.model.plan import OpenLoop, Plan
from mmload.model.records import GeneratorSample, ProcessSample, RequestRecord, ServerScrape
from mmload.store.append import LineWriter, create_run_folder, write_document
from mmload.store.layout import RunLayout, new_run_id
from mmload.store.scrapes import ScrapeWriter

RATE_RPS = 100.0
VARIANTS = ("original", "rollback", "optimized")
_STAGES = ("receive", "build", "hash", "pickle", "broadcast")
_PROCESSES = ("tokenizer", "scheduler_TP0", "scheduler_TP1", "scheduler_TP2", "scheduler_TP3", "generator-0")


def write_run(out: Path, number: int, requests: int, tokens: int) -> tuple[RunLayout, float]:
    """A complete run and the CPU seconds that its requests' records took to encode and write."""
    variant, length_ns = VARIANTS[number], round(requests / RATE_RPS * 1e9)
    start_ns = time.monotonic_ns() - length_ns  # it has just ended
    layout = create_run_folder(out, new_run_id(variant, token=f"{number:04x}"))
    plan = Plan(
        variant=variant,
        workload_name="images-small",
        workload={},
        load=OpenLoop(rate_rps=RATE_RPS),
        duration_s=length_ns / 1e9,
        warmup_s=0.0,
        tp=4,
    )
    write_document(layout.plan, plan)
    write_document(layout.manifest, _manifest(layout, plan, start_ns, length_ns))
    _write_samples(layout, range(start_ns, start_ns + length_ns + 1, 1_000_000_000))
    cpu_s = 0.0
    with LineWriter(layout.requests) as writer:
        for batch in _records(requests, tokens, start_ns, seed=number):
            before_s = time.process_time()
            for one in batch:
                writer.write(one)
            cpu_s += time.process_time() - before_s
    return layout, cpu_s


def _records(requests: int, tokens: int, start_ns: int, seed: int) -> Iterator[list[RequestRecord]]:
    """Answers in some 60 ms to arrivals at RATE_RPS, ten thousand at a time."""
    rng = np.random.default_rng(seed)
    for first in range(0, requests, 10_000):
        count = min(10_000, requests - first)
        due_ns = start_ns + ((first + np.sort(rng.random(count) * count)) / RATE_RPS * 1e9).astype(np.int64)
        service_ns = (60e6 * np.exp(0.3 * rng.standard_normal(count))).astype(np.int64)
        failed = rng.random(count) < 1e-4
        yield [_record(first + n, *map(int, (due_ns[n], service_ns[n], tokens)), failed[n]) for n in range(count)]


def _record(number: int, due_ns: int, service_ns: int, tokens: int, failed: bool) -> RequestRecord:
    sent_ns = due_ns + 200_000
    token_ns = [] if failed else [sent_ns + service_ns * step // tokens for step in range(1, tokens + 1)]
    return RequestRecord(
        id=f"9f3c-m{number}",
        phase="measure",
        item=f"images-small-{number:06d}",
        modality="image",
        due_ns=due_ns,
        sent_ns=sent_ns,
        first_byte_ns=token_ns[0] if token_ns else None,
        first_token_ns=token_ns[0] if token_ns else None,
        done_ns=sent_ns + service_ns,
        status=None if failed else 200,
        outcome="timeout" if failed else "ok",
        error="no complete answer within 30 s" if failed else None,
        bytes_up=51_765,
        bytes_down=5_631,
        prompt_tokens=None if failed else 81,
        completion_tokens=None if failed else tokens,
        cached_tokens=None if failed else 1,
        token_ns=token_ns,
        output_sha256=None if failed else f"{number:064x}",
    )


def _manifest(layout: RunLayout, plan: Plan, start_ns: int, length_ns: int) -> Manifest:
    return Manifest(
        run_id=layout.run_id,
        status="complete",
        variant=str(plan.variant),
        workload=plan.workload_name,
        seed=0,
        schedule_sha256="one schedule",
        payloads_sha256="one pool",
        engine="standin",
        tp=plan.tp,
        ranks=[RankInfo(rank=rank, pid=101 + rank, start_ticks=1) for rank in range(plan.tp)],
        phases=[Phase(name="measure", start_ns=start_ns, end_ns=start_ns + length_ns)],
        clock=Clock(monotonic_ns=start_ns, utc_ns=0),
    )


def _write_samples(layout: RunLayout, seconds: range) -> None:
    """Processes five times a second, the generator four times, the server's metrics once."""
    with LineWriter(layout.processes) as processes, LineWriter(layout.generator) as generator:
        for t_ns in seconds:
            elapsed_s = (t_ns - seconds.start) / 1e9
            for part in range(5):
                for pid, name in enumerate(_PROCESSES, 100):
                    processes.write(_process_sample(t_ns + part * 200_000_000, pid, name, elapsed_s + part / 5))
            for part in range(4):
                done = round((elapsed_s + part / 4) * RATE_RPS)
                generator.write(
                    GeneratorSample(
                        t_ns=t_ns + part * 250_000_000,
                        worker=0,
                        due=done,
                        sent=done,
                        done=min(done, round(RATE_RPS * len(seconds)) - 200),
                        in_flight=6,
                        stall_ms=1.5,
                        cpu_s=elapsed_s / 20,
                    )
                )
    with ScrapeWriter(layout.server) as server:
        for t_ns in seconds:
            server.write(_scrape(t_ns, (t_ns - seconds.start) / 1e9 * RATE_RPS))


def _process_sample(t_ns: int, pid: int, name: str, elapsed_s: float) -> ProcessSample:
    role, _, rank = name.partition("_TP")
    return ProcessSample(
        t_ns=t_ns,
        pid=pid,
        start_ticks=1,
        role=role.removesuffix("-0"),
        rank=int(rank) if rank else None,
        cpu_s=round(elapsed_s * 0.3, 2),
        cpu_user_s=round(elapsed_s * 0.25, 2),
        cpu_system_s=round(elapsed_s * 0.05, 2),
        rss_bytes=500_000_000,
        uss_bytes=None,
        threads=8,
        ctx_voluntary=int(elapsed_s * 900),
        ctx_involuntary=int(elapsed_s * 40),
        fds=40,
        name=name,
    )


def _scrape(t_ns: int, met: float) -> ServerScrape:
    metrics = {f"sglang:metric_{n}": met + n for n in range(40)}
    for process in _PROCESSES[:-1]:
        metrics |= {f'mmload_handoff_{s}_cpu_seconds_total{{process="{process}"}}': met / 1000 for s in _STAGES}
        metrics[f'mmload_handoff_requests_total{{process="{process}"}}'] = met
    return ServerScrape(t_ns=t_ns, metrics=metrics)
