"""Runs and verdicts made up for drawing; every figure in them is different, so that a lost one is seen."""

from __future__ import annotations

import io
from typing import Any

import msgspec
from rich.console import Console

from mmload.model.live import LiveView
from mmload.model.manifest import Clock, Manifest, Phase, ProfileFile, ProfileInfo, RankInfo
from mmload.model.result import (
    AnswerDifference,
    CriterionResult,
    Estimate,
    Failure,
    GeneratorHealth,
    GpuUse,
    JudgedRuns,
    PhaseCpu,
    ProcessCpu,
    ProcessMemory,
    Quantiles,
    ShmUse,
    Summary,
    Verdict,
)
from mmload.plan.variants import VariantCard
from mmload.show.terminal_sheet import Sheet

RUN_ID = "20261120T031500Z-optimized-9f3c"


def quantiles(scale: float, n: int = 2000) -> Quantiles:
    return Quantiles(
        n=n,
        mean=63.13 * scale,
        p50=61.24 * scale,
        p90=88.05 * scale,
        p95=97.16 * scale,
        p99=142.37 * scale,
        max=203.18 * scale,
    )


NO_QUANTILES = Quantiles(n=0, mean=None, p50=None, p90=None, p95=None, p99=None, max=None)


def rank_cpu(total: float) -> ProcessCpu:
    return ProcessCpu(
        total_pct=total,
        total_low=total - 1.3,
        total_high=total + 1.4,
        work_pct=total * 0.87,
        work_low=total * 0.82,
        work_high=total * 0.92,
        user_pct=total * 0.81,
        system_pct=total * 0.19,
        native_pct=total * 0.043,
        rss_max_bytes=int(total * 12_100_000),
        samples=101,
        stack_samples=812,
        phases={
            "idle-poll": 0.021,
            "device-wait": 0.109,
            "receive": 0.127,
            "broadcast": 0.183,
            "pickle": 0.139,
            "schedule": 0.154,
            "forward": 0.112,
            "reply": 0.091,
            "other": 0.064,
        },
        hottest=[
            ("broadcast_pyobj (mmload/standin/collective.py:118)", 0.152),
            ("unpickle_object (mmload/standin/collective.py:61)", 0.131 + total / 10_000),
            ("get_next_batch_to_run (mmload/standin/rank.py:204)", 0.097),
            ("process_batch_result (mmload/standin/rank.py:241)", 0.071),
        ],
        by_phase={
            "broadcast": phase_cpu(0.183, 149, total * 0.018),
            "pickle": phase_cpu(0.139, 113, total * 0.014),
            "schedule": phase_cpu(0.154, 125, total * 0.0155),
        },
        other=[("ZMQbg/IO/0 (native thread)", 0.043), ("seldom (nowhere.py)", 0.004)],
    )


def phase_cpu(share: float, samples: int, ms: float) -> PhaseCpu:
    cost = Estimate(value=ms, low=ms * 0.8, high=ms * 1.2)
    return PhaseCpu(share=share, low=share - 0.03, high=share + 0.03, samples=samples, ms_per_request=cost)


def memory(size: int, **changes: Any) -> ProcessMemory:
    held = ProcessMemory(
        rss_max_bytes=size,
        rss_end_bytes=size - 1_300_000,
        uss_bytes=size // 2,
        shm_bytes=size // 7,
        fds_max=41,
        threads_max=12,
    )
    return msgspec.structs.replace(held, **changes)


def summary(**changes: Any) -> Summary:
    good = Summary(
        run_dir=f"profiles/{RUN_ID}",
        run_id=RUN_ID,
        status="complete",
        validity="valid",
        variant="optimized",
        engine="standin",
        tp=2,
        workload="images-small",
        duration_s=20.0,
        offered_rate_rps=100.0,
        achieved_rate_rps=99.61,
        achieved_low=98.87,
        achieved_high=100.24,
        requests=2000,
        outcomes={"ok": 1993, "timeout": 4, "http_error": 2, "truncated": 1, "dropped": 0},
        error_rate=0.0035,
        failures=[
            Failure(
                outcome="timeout",
                error="no complete answer within 30 s",
                requests=4,
                first_s=6.31,
                last_s=13.02,
                example="9f3c-1137",
            ),
            Failure(
                outcome="http_error",
                error='HTTP 503: {"object":"error","message":"The request queue is full (#): # is not taken","code":503}',
                requests=2,
                first_s=8.9,
                last_s=9.14,
                example="9f3c-1391",
            ),
            Failure(outcome="truncated", error="", requests=1, first_s=19.97, last_s=19.97, example="9f3c-2498"),
        ],
        response_ms=quantiles(1),
        service_ms=quantiles(0.97),
        ttft_ms=quantiles(0.41),
        itl_ms=quantiles(0.034, n=29_895),
        tpot_ms=quantiles(0.035, n=1993),
        tokens_per_s=1594.4,
        cached_token_share=0.0123,
        cache_hit_share=0.0077,
        modalities={"image": 2000},
        cpu={
            "tokenizer": ProcessCpu(
                total_pct=61.7,
                total_low=60.1,
                total_high=63.2,
                work_pct=60.9,
                work_low=59.2,
                work_high=62.6,
                rss_max_bytes=318_000_000,
                samples=102,
                stack_samples=1204,
                phases={"receive": 0.118, "materialise": 0.085, "hash": 0.213, "pickle": 0.072, "other": 0.512},
                hottest=[
                    ("resize (PIL/Image.py:2345)", 0.241),
                    ("hash_feature (mmload/standin/processor.py:98)", 0.211),
                ],
            ),
            "scheduler_TP0": rank_cpu(34.2),
            "scheduler_TP1": rank_cpu(31.8),
            "detokenizer": ProcessCpu(
                total_pct=3.4, total_low=2.9, total_high=3.9, rss_max_bytes=88_000_000, samples=100
            ),
            "generator-0": ProcessCpu(
                total_pct=22.6, total_low=21.5, total_high=23.7, rss_max_bytes=131_000_000, samples=103
            ),
        },
        memory={
            "tokenizer": memory(318_000_000, fds_max=108, threads_max=14),
            "scheduler_TP0": memory(413_820_000),
            "scheduler_TP1": memory(384_780_000),
            "generator-0": memory(131_000_000, uss_bytes=None, shm_bytes=None, fds_max=None),
        },
        shm=ShmUse(start_bytes=61_100_000, max_bytes=92_400_000, end_bytes=63_700_000),
        gpus=[
            GpuUse(
                index=0,
                name="NVIDIA H100",
                samples=20,
                kernel_ran_pct=83.4,
                memory_max_bytes=41_200_000_000,
                memory_total_bytes=85_900_000_000,
                power_mean_w=412.3,
                power_max_w=523.8,
                process_memory_bytes={"scheduler_TP0": 40_100_000_000, "scheduler_TP1": None},
            )
        ],
        gpu_trouble="GPU 1 (NVIDIA H100) is gone: GPU is lost",
        generator=GeneratorHealth(
            scheduled=2000,
            sent=2000,
            lag_p50_ms=0.212,
            lag_p99_ms=0.418,
            lag_max_ms=1.27,
            read_lag_p99_ms=0.309,
            longest_stall_ms=3.3,
            cpu_pct=22.6,
            cpu_s_per_1000_requests=0.226,
        ),
        phase_cpu_ms_per_request={
            "build": Estimate(value=0.773, low=0.704, high=0.851),
            "handoff": Estimate(value=2.108, low=1.946, high=2.277),
        },
        handoff_source="counters",
        findings=["scheduler_TP1 is skewed: its own work is 61 % (58 to 64) of a core, that of its peers 22 % at most"],
        handoff={
            "build_cpu_ms_per_request": 0.812,
            'build_cpu_ms_per_request{process="tokenizer"}': 0.812,
            'build_cpu_ms_per_request{process="scheduler_TP0"}': 0.0,
            'build_cpu_ms_per_request{process="scheduler_TP1"}': 0.0,
            "handoff_cpu_ms_per_request": 1.934,
            'handoff_cpu_ms_per_request{process="tokenizer"}': 1.021,
            'handoff_cpu_ms_per_request{process="scheduler_TP0"}': 0.511,
            'handoff_cpu_ms_per_request{process="scheduler_TP1"}': 0.402,
            "broadcast_bytes_per_request": 602_417.0,
            "broadcasts_per_request": 0.713,
            "cache_hits_per_request": 0.0,
            "hash_cpu_ms_per_request": 0.591,
        },
        identity={f"item-{i}": f"{i % 7:064x}" for i in range(8)},
    )
    return msgspec.structs.replace(good, **changes)


def manifest(**changes: Any) -> Manifest:
    good = Manifest(
        run_id=RUN_ID,
        status="complete",
        variant="optimized",
        workload="images-small",
        seed=17,
        schedule_sha256="5c" * 32,
        payloads_sha256="a1" * 32,
        engine="standin",
        engine_version="0.1.0",
        model="standin-vl",
        tp=2,
        flags={"max_running_requests": 64, "sleep_on_idle": True},
        idle_policy="sleep",
        ranks=[
            RankInfo(rank=0, pid=4211, start_ticks=881, variant="optimized"),
            RankInfo(rank=1, pid=4212, start_ticks=882, variant="optimized"),
        ],
        phases=[
            Phase(name="identity", start_ns=1_000_000_000, end_ns=2_400_000_000),
            Phase(name="warmup", start_ns=2_400_000_000, end_ns=7_400_000_000),
            Phase(name="measure", start_ns=7_400_000_000, end_ns=27_400_000_000),
            Phase(name="profile", start_ns=30_000_000_000, end_ns=40_000_000_000),
        ],
        clock=Clock(monotonic_ns=1_000_000_000, utc_ns=1_795_144_500_000_000_000),
        profile=ProfileInfo(
            mode="active",
            rate_hz=100,
            samples=2828,
            errors=3,
            files=[
                ProfileFile(process="scheduler_TP0", pid=4211, samples=812, errors=1),
                ProfileFile(process="scheduler_TP1", pid=4212, samples=0, errors=2, error="py-spy died: signal 9"),
            ],
        ),
        host={"cores": 2, "cpu": "AMD EPYC 7B13", "memory_gb": 8},
        versions={"mmload": "0.1.0", "python": "3.11.7"},
        git="5228ea9",
        warnings=["the host was 91 % busy: close other programs, or give the server cores of its own (taskset)"],
    )
    return msgspec.structs.replace(good, **changes)


def criterion(metric: str, op: Any, limit: float, **changes: Any) -> CriterionResult:
    decided = CriterionResult(
        metric=metric,
        op=op,
        limit=limit,
        baseline=None,
        required=True,
        value=limit * 0.9,
        low=limit * 0.85,
        high=limit * 0.95,
        n=2000,
        verdict="PASS",
        evidence="requests.jsonl: exact order statistics",
    )
    return msgspec.structs.replace(decided, **changes)


def verdict(**changes: Any) -> Verdict:
    judged = Verdict(
        verdict="FAIL",
        gate="release",
        candidate=RUN_ID,
        baselines={"original": "20261120T031400Z-original-77aa"},
        confidence=0.95,
        criteria=[
            criterion("response_p99_ms", "<", 500, value=142.37, low=131.2, high=187.6),
            criterion("qps", ">", 70, value=99.61, low=98.87, high=100.24),
            criterion("error_rate", "<", 0.001, value=0.0035, low=0.00139, high=0.00733, verdict="FAIL"),
            criterion("cpu_work_pct", "<", 60, value=29.8, low=28.04, high=31.46, n=812),
            criterion(
                "qps_ratio",
                ">",
                0.95,
                baseline="rollback",
                value=None,
                low=None,
                high=None,
                n=0,
                verdict="INCONCLUSIVE",
                evidence="",
                needed="no run of rollback to compare with: mmload run --variant rollback --rate 100",
            ),
            criterion(
                "build_cpu_saved",
                ">",
                0.7,
                baseline="original",
                value=0.48,
                low=0.46,
                high=0.5,
                verdict="SKIPPED",
                required=False,
                evidence="judged at TP 4 or more; 96 % of the possible 50 % at TP 2",
            ),
        ],
    )
    return msgspec.structs.replace(judged, **changes)


def rounds(variant: str, number: int) -> list[str]:
    return [f"20261120T0314{place:02}Z-{variant}-77a{place}" for place in range(number)]


def verdict_of_scenes(**changes: Any) -> Verdict:
    """Three scenes, rounds, and everything that must not be overlooked."""
    house = "The picture shows a red house on a hill with a long fence before it and "
    judged = verdict(
        campaign="20261120T031500Z-gate-9f3c",
        looks=1,
        look=3,
        forced=["original: model: stand-in, not qwen"],
        warnings=["look 3 of 1 planned: who looks again until it passes is told so too often"],
        scenes={
            "main": JudgedRuns(
                load="images-small, 100 req/s, TP 4, standin 0.1.0, stand-in",
                candidate=rounds("optimized", 4),
                baselines={"original": rounds("original", 4), "rollback": rounds("rollback", 4)},
            ),
            "modalities": JudgedRuns(candidate=rounds("optimized", 1)),
            "single-rank": JudgedRuns(candidate=rounds("optimized", 1), baselines={"original": rounds("original", 1)}),
        },
        criteria=[
            criterion("response_p99_ms", "<", 500, value=142.37, low=131.2, high=187.6),
            criterion(
                "response_p99_ratio",
                "<",
                1,
                margin=0.05,
                baseline="rollback",
                value=None,
                low=1.2,
                high=None,
                verdict="FAIL",
                evidence="requests.jsonl of 4 runs: block bootstrap, paired by round; declared design effect 40",
            ),
            criterion(
                "outputs_identical",
                "==",
                1,
                baseline="original",
                value=0.0,
                low=0.0,
                high=0.0,
                n=32,
                verdict="FAIL",
                evidence="requests.jsonl and answers.jsonl: other answers than the baseline's to 2 of 32 items: a, b",
                differences=[
                    AnswerDifference(
                        item="images-small-identity-01",
                        modality="image",
                        expected=f"{house}two cows.\nThey graze.",
                        given=f"{house}three `cows` | <script>alert(1)</script> @user #123.\nThey graze.",
                        expected_run=rounds("original", 1)[0],
                        given_run=rounds("optimized", 1)[0],
                    )
                ],
                more_differences=1,
            ),
            criterion(
                "modalities_covered",
                ">=",
                3,
                on="modalities",
                value=3.0,
                low=3.0,
                high=3.0,
                n=42,
                evidence="requests.jsonl: image: 20 answered; video: 12 answered; audio: 10 answered",
            ),
            criterion(
                "rss_growth_mb_per_h",
                "<",
                10,
                on="single-rank",
                value=4.1,
                low=None,
                high=None,
                required=False,
                verdict="INCONCLUSIVE",
                evidence="processes.jsonl: scheduler_TP0",
                confidence=0.99,
                needed="1,768 s more: it is judged over 1,800 s and longer",
            ),
            criterion(
                "outputs_identical",
                "==",
                1,
                baseline="original",
                baseline_on="main",
                on="single-rank",
                value=1.0,
                low=1.0,
                high=1.0,
                n=8,
                evidence="requests.jsonl and answers.jsonl, phase identity: 8 items, each as the baseline's",
            ),
        ],
    )
    return msgspec.structs.replace(judged, **changes)


def live(**changes: Any) -> LiveView:
    view = LiveView(
        stage="measure",
        stage_elapsed_s=12.3,
        stage_length_s=20.0,
        left_s=21.4,
        offered_rps=101.2,
        achieved_rps=98.4,
        scheduled=2500,
        sent=1743,
        done=1734,
        in_flight=9,
        response_ms=(61.24, 88.05, 142.37),
        outcomes={"ok": 1731, "timeout": 2, "http_error": 1, "dropped": 0},
        cpu_pct={
            "tokenizer": 161.2,
            "scheduler_TP0": 34.4,
            "scheduler_TP1": 31.9,
            "detokenizer": 3.2,
            "generator-0": 22.7,
        },
        lag_p99_ms=0.418,
        stall_ms=3.3,
        warnings=["the host was 91 % busy: close other programs, or give the server cores of its own (taskset)"],
    )
    return msgspec.structs.replace(view, **changes)


def drawn(view: Any, width: int = 80, colour: Any = None, encoding: str = "utf-8") -> str:
    """What a console of that width, colour system (None: no colour) and encoding writes."""
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding=encoding, errors="replace", newline="\n")
    console = Console(
        file=file, width=width, color_system=colour, force_terminal=colour is not None, highlight=False, _environ={}
    )
    console.print(view)
    file.flush()
    return raw.getvalue().decode(encoding)


def drawn_lines(view: Any, width: int) -> list[str]:
    """The lines before the console cuts them to its width."""
    console = Console(file=io.StringIO(), width=width, color_system=None, _environ={})
    return [line.plain for line in view.lines(Sheet(console, width))]


def card(name: str, **changes: Any) -> VariantCard:
    made = VariantCard(
        name=name,
        about="The entry rank builds each object and broadcasts it to the others, one blocking broadcast a request.",
        origin="SGLang commit 17a57fd86 (PR #11910)",
        materialises="the entry rank, once a request",
        transfers="the request with its dict, by the existing broadcast_pyobj; then the built object",
        synchronisation="every rank waits in one more broadcast for each request",
        hazards=("Requests serialise: while the entry rank builds, no rank schedules.", "The features travel twice."),
    )
    return msgspec.structs.replace(made, **changes)
