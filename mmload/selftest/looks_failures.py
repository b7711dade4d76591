"""Rows in which a process, the host or the folder fails, and the tool must say which."""

from __future__ import annotations

import re
import shutil

import msgspec

from mmload.analyse.load import measure_window
from mmload.judge.validity import faults_of
from mmload.selftest import faults, plants
from mmload.selftest.hogs import hogs
from mmload.selftest.looks_figures import clean_run
from mmload.selftest.seen import Seen, by_exit, by_gate
from mmload.selftest.workbench import Made, NotJudged, Setup, Workbench, judged
from mmload.store.append import write_document
from mmload.store.layout import new_run_id
from mmload.store.read import Run

_CUT = 100
_DRAINED_MS = 500.0  # so long after a freeze its backlog is gone, on a host with a core to spare


def slow_rank(bench: Workbench) -> Seen:
    run = bench.valid(Setup(variant=plants.SlowRank.name, rate_rps=20, duration_s=5, profile_s=4))
    found = [finding for finding in run.summary.findings if "is skewed" in finding]
    named = f"scheduler_TP{plants.SLOW_RANK} is skewed"
    is_named = len(found) == 1 and found[0].startswith(named)
    if not is_named and (trouble := _profile_trouble(run)):
        raise NotJudged(trouble)
    seen = Seen(came="named" if is_named else "not named", reason="; ".join(found) or "no finding")
    return seen.but(None if is_named else f"no finding says that {named}, and nothing else")


def lost_rank(bench: Workbench) -> Seen:
    made = bench.made(Setup(duration_s=4, fault=faults.KILL_RANK))
    _must_have_struck(made, faults.KILL_RANK)
    return by_exit(made.ended_by, rf"(?i)\brank {plants.LOST_RANK}\b")


def lying_variant(bench: Workbench) -> Seen:
    lie = ("--rank-variant", f"{plants.LYING_RANK}=commit")
    made = bench.made(Setup(variant="optimized", duration_s=4, arguments=lie))
    seen = by_exit(made.ended_by, f"rank {plants.LYING_RANK} runs commit")
    return seen.but("it was measured all the same" if len(made.run.requests) else None)


def starved_generator(bench: Workbench) -> Seen:
    made = bench.made(Setup(duration_s=3, fault=faults.STOP_GENERATOR))
    _must_have_struck(made, faults.STOP_GENERATOR)
    seen = by_gate(judged("response_p99_ms < 1000", [made.run]), "INVALID").saying("the generator stood still for")
    stopped_ms, said = _struck_ms(made), re.search(r"stood still for (\d+) ms", seen.reason)
    near = said is not None and abs(float(said[1]) - stopped_ms) < 0.5 * stopped_ms
    return seen.but(None if near else f"it was stopped for {stopped_ms:.0f} ms")


def frozen_server(bench: Workbench) -> Seen:
    made = bench.made(Setup(duration_s=6, rate_rps=50, fault=faults.FREEZE_SERVER))
    if found := faults_of(made.run):
        raise NotJudged("; ".join(found))
    _must_have_struck(made, faults.FREEZE_SERVER)
    least_ms = _p99_of_frozen_ms(made)
    result = judged("response_p99_ms < 250", [made.run])
    truth = f"an open loop sees a P99 of {least_ms:,.0f} ms and hardly more"
    seen = by_gate(result, "FAIL").also("; ".join(made.run.manifest.warnings))
    seen = seen.but(None if least_ms <= (result.value or 0) <= least_ms + _DRAINED_MS else truth)
    return seen.but(None if made.run.manifest.stalls else "the stall is not in the record")


def cut_records(bench: Workbench) -> Seen:
    """A clean run of which some records are taken away."""
    whole = clean_run(bench)
    cut = bench.out / new_run_id(whole.manifest.variant)
    shutil.copytree(whole.layout.path, cut)
    write_document(cut / whole.layout.manifest.name, msgspec.structs.replace(whole.manifest, run_id=cut.name))
    bench.used.append(cut.name)
    lines = whole.layout.requests.read_text(encoding="utf-8").splitlines(keepends=True)
    first = len(lines) // 2
    del lines[first : first + _CUT]
    (cut / whole.layout.requests.name).write_text("".join(lines), encoding="utf-8")
    return by_gate(judged("error_rate < 0.05", [Run(cut)]), "INVALID").saying(rf"\b{_CUT} of ")


def busy_host(bench: Workbench) -> Seen:
    run = bench.valid(Setup(duration_s=5, rate_rps=50, beside=hogs))
    busy = [warning for warning in run.summary.warnings if "busy" in warning]
    seen = Seen(came="a warning" if busy else "nothing", reason="; ".join(busy) or "no warning")
    return seen.but(None if busy else "no warning says that the host was busy")


def _profile_trouble(run: Run) -> str:
    """Why a profile shows nothing: not permitted here, or poor."""
    if run.manifest.profile.mode == "none":
        return "; ".join(run.manifest.warnings) or "no profile was permitted"
    return "; ".join(cpu.profile_trouble for cpu in run.summary.cpu.values() if cpu.profile_trouble)


def _p99_of_frozen_ms(made: Made) -> float:
    """The least P99: the slowest 1 % of all requests were due in the first 1 % of a window's length of the freeze, and
    one more gap between requests; they waited for the rest of it."""
    window = measure_window(made.run)
    assert window
    gap_ms = 1000 / (made.run.summary.offered_rate_rps or 1)
    return _struck_ms(made) - 10 * window.length_s - 2 * gap_ms


def _struck_ms(made: Made) -> float:
    """Between the first blow and the second."""
    return (made.struck_ns[1] - made.struck_ns[0]) / 1e6


def _must_have_struck(made: Made, fault: faults.Fault) -> None:
    if len(made.struck_ns) < len(fault.blows):
        raise NotJudged("the run ended before all was done to it that was planned")
