"""Reports of stored runs with a planted truth, and with names that would break the page if they could."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
from factory import S, make_run
from planted_waits import serve, stamped

from mmload.commands.report_choice import asked_of
from mmload.judge.report import Report, report_of
from mmload.model.records import RequestRecord
from mmload.model.result import CriterionResult, Verdict
from mmload.store.append import LineWriter, write_document
from mmload.store.read import Run, read_lines
from mmload.store.stamped import write_stamped

HOSTILE = '</script><img src=x onerror="alert(1)">{{ 7 * 7 }};&amp;\u202eevil'


def one_run(out: Path, **truth: object) -> Run:
    return make_run(out, **{"duration_s": 20, "outcomes": {700: "timeout", 701: "http_error"}, **truth})


def judged_run(out: Path) -> Run:
    run = one_run(out)
    write_document(run.layout.verdict, verdict(run.run_id))
    return Run(run.layout.path)


def stalled_run(out: Path) -> Run:
    """Its ranks hashed for 0.6 s while stacks were stamped and requests came."""
    run, rng = one_run(out), np.random.default_rng(5)
    served = serve(rng, 20, 5.0, [(2.0, 0.6)])
    start_ns = max(phase.end_ns for phase in run.manifest.phases) + S
    for rank in ("scheduler_TP0", "scheduler_TP1"):
        write_stamped(run.layout, rank, stamped(rng, served, start_ns))
    one = next(read_lines(run.layout.requests, RequestRecord))
    with LineWriter(run.layout.requests) as lines:
        for number, spans_s in enumerate(zip(served.due_s, served.done_s, strict=True)):
            due_ns, done_ns = (start_ns + round(t_s * 1e9) for t_s in spans_s)
            times = {"due_ns": due_ns, "sent_ns": due_ns, "done_ns": done_ns}
            lines.write(msgspec.structs.replace(one, id=f"stamped-{number}", phase="profile", **times))
    return Run(run.layout.path)


def two_variants(out: Path) -> list[Run]:
    slow = make_run(out, "original", duration_s=20, cpu_pct={"scheduler_TP0": 55.0}, response_ms=[120.0] * 2000)
    return [slow, make_run(out, "optimized", number=1, duration_s=20, response_ms=[60.0] * 2000)]


def hostile_run(out: Path) -> Run:
    """Its model, its flags, its warning, a function and its gate's words are named to break out of the page."""
    run = one_run(out, model=HOSTILE)
    manifest = msgspec.structs.replace(run.manifest, warnings=[HOSTILE], flags={HOSTILE: HOSTILE})
    write_document(run.layout.manifest, manifest)
    stack = f"main (a.py:1);{HOSTILE.replace(';', ',')} (b.py:2) 900"
    run.layout.folded("scheduler_TP0").write_text(f"{stack}\n", encoding="utf-8")
    write_document(run.layout.verdict, msgspec.structs.replace(verdict(HOSTILE), warnings=[HOSTILE]))
    return Run(run.layout.path)


def report(*runs: Run, baseline: list[str] | None = None) -> Report:
    asked, _ = asked_of([str(run.layout.path) for run in runs], baseline or [], runs[0].layout.path.parent, force=False)
    return report_of(asked)


def verdict(candidate: str) -> Verdict:
    """One criterion that holds, one that does not, and one that lacks its baseline."""
    p99 = CriterionResult(
        metric="response_p99_ms",
        op="<",
        limit=120,
        baseline=None,
        required=True,
        confidence=0.95,
        value=98.2,
        low=94.1,
        high=103.6,
        n=2000,
        verdict="PASS",
        evidence="requests.jsonl: exact order statistics",
    )
    errors = msgspec.structs.replace(
        p99, metric="error_rate", limit=0.0001, value=0.001, low=0.00018, high=0.0031, verdict="FAIL"
    )
    ratio = msgspec.structs.replace(
        p99,
        metric="qps_ratio",
        op=">",
        limit=0.95,
        baseline="rollback",
        value=None,
        low=None,
        high=None,
        n=0,
        verdict="INCONCLUSIVE",
        evidence="",
        needed="no run of rollback to compare with: mmload run --variant rollback --rate 100",
    )
    return Verdict(
        verdict="FAIL",
        gate="release",
        candidate=candidate,
        baselines={},
        confidence=0.95,
        criteria=[p99, errors, ratio],
    )
