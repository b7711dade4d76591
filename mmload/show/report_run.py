"""One run in a report: every part of it as facts, tables, bars and plots, in plain text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from mmload.judge.report import ReportedRun
from mmload.model.result import Summary
from mmload.show.headline_words import p50_and_p99
from mmload.show.report_about import (
    Banner,
    banners,
    commands,
    flags,
    headline,
    ranks,
    what_was_run,
)
from mmload.show.report_cpu import (
    cpu_table,
    functions,
    handoff_facts,
    handoff_table,
    looking_facts,
    phase_bars,
    phase_table,
)
from mmload.show.report_failures import failure_table
from mmload.show.report_held import memory_facts, memory_table, server_facts, server_tables
from mmload.show.report_load import load_facts, load_tables, outcomes
from mmload.show.report_plots import CurvePlot, Panel
from mmload.show.report_shapes import Bars, Fact, Table, Tone
from mmload.show.report_slow import slow_table
from mmload.show.terminal_figures import MISSING, figure, plain


class RunView(msgspec.Struct, frozen=True, kw_only=True):
    """One run; what it knows nothing of is empty. key: its own in the page. log: the server's last words, where it
    failed. zero: what its time axis begins with, bin: how long each of its bins is."""

    key: str
    label: str
    run_id: str
    row: RunRow
    banners: list[Banner]
    headline: list[Fact]
    log: list[str]
    commands: list[Fact]
    about: list[Fact]
    flags: list[Fact]
    ranks: Table | None
    curves: list[CurvePlot]
    panels: list[Panel]
    zero: str
    bin: str
    figures: FiguresView | None
    slow: list[str]
    slow_table: Table | None
    findings: list[str]
    warnings: list[str]


class FiguresView(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured. The first five are of a load: empty in a profile without one."""

    load_tables: list[Table]
    load_facts: list[Fact]
    outcomes: Table | None
    outcome_bars: Bars | None
    failures: Table | None
    cpu: Table | None
    phase_bars: Bars | None
    phases: Table | None
    functions: Table | None
    handoff: Table | None
    handoff_facts: list[Fact]
    looking: list[Fact]
    memory: Table | None
    memory_facts: list[Fact]
    server_facts: list[Fact]
    server_tables: list[Table]


class RunRow(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the table of runs."""

    achieved: str
    p50: str
    p99: str
    wrong: str
    state: str
    tone: Tone


def run_view(
    key: str, run: ReportedRun, panels: Mapping[str, list[Panel]], curves: Mapping[str, list[CurvePlot]]
) -> RunView:
    summary, manifest = run.summary, run.manifest
    said = dict.fromkeys([*manifest.warnings, *(summary.warnings if summary else [])])
    return RunView(
        key=key,
        label=plain(run.label),
        run_id=plain(run.run_id),
        row=_row(run),
        banners=list(banners(run)),
        headline=headline(run),
        log=_plain(run.log),
        commands=commands(run),
        about=what_was_run(run),
        flags=flags(manifest),
        ranks=ranks(manifest),
        curves=curves.get(run.run_id, []),
        panels=panels.get(run.run_id, []),
        zero="profile" if manifest.kind == "profile" else "measured",
        bin=f"{run.timeline.bin_s:g} s" if run.timeline else "",
        figures=_figures(summary) if summary is not None and summary.duration_s else None,
        slow=_plain([*run.slow.said, *run.slow.notes]) if run.slow else [],
        slow_table=slow_table(run.slow) if run.slow else None,
        findings=_plain(summary.findings if summary else []),
        warnings=_plain(said),
    )


def _figures(summary: Summary) -> FiguresView:
    has_load = summary.kind == "run"
    found = outcomes(summary) if has_load else None
    server = summary.server
    return FiguresView(
        load_tables=list(load_tables(summary)) if has_load else [],
        load_facts=load_facts(summary) if has_load else [],
        outcomes=found and found[0],
        outcome_bars=found and found[1],
        failures=failure_table(summary) if has_load else None,
        cpu=cpu_table(summary),
        phase_bars=phase_bars(summary),
        phases=phase_table(summary),
        functions=functions(summary),
        handoff=handoff_table(summary),
        handoff_facts=handoff_facts(summary),
        looking=looking_facts(summary.looking),
        memory=memory_table(summary),
        memory_facts=memory_facts(summary),
        server_facts=server_facts(server) if server else [],
        server_tables=list(server_tables(server, summary)) if server else [],
    )


def _row(run: ReportedRun) -> RunRow:
    summary = run.summary
    known = summary if summary is not None and summary.response_ms.n else None
    p50, p99 = p50_and_p99(known.response_ms) if known else (MISSING, MISSING)
    is_valid = run.manifest.validity == "valid"
    states = [run.manifest.status, *([] if is_valid else ["INVALID"]), *(["damaged"] if run.troubles else [])]
    return RunRow(
        achieved=figure(summary.achieved_rate_rps) if summary and summary.duration_s else MISSING,
        p50=p50,
        p99=p99,
        wrong=f"{round((known.error_rate or 0.0) * known.requests):,}" if known else MISSING,
        state=", ".join(states),
        tone="invalid" if not is_valid else "" if states == ["complete"] else "warn",
    )


def _plain(texts: Mapping[str, object] | Sequence[str]) -> list[str]:
    return [plain(text) for text in texts]
