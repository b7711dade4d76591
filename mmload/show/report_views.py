"""What the report's templates are given: every part of the page as facts, tables, bars and plots, in plain text."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from mmload.judge.report import Report, ReportedRun
from mmload.model.campaign import MAIN_SCENE
from mmload.model.result import Quantiles, Summary
from mmload.show.report_about import Banner, banners, commands, flags, headline, ranks, what_was_run
from mmload.show.report_comparison import ComparisonView, comparison_view
from mmload.show.report_cpu import (
    cpu_table,
    functions,
    handoff_facts,
    handoff_table,
    looking_facts,
    phase_bars,
    phase_table,
)
from mmload.show.report_curves import curve_plots
from mmload.show.report_held import memory_facts, memory_table, server_facts, server_tables
from mmload.show.report_load import load_facts, load_tables, outcomes
from mmload.show.report_panels import axis_of, overlaid, panels_of
from mmload.show.report_plots import CurvePlot, Panel, Plots, side_colours
from mmload.show.report_shapes import Bars, Fact, Table, Tone
from mmload.show.report_slow import slow_table
from mmload.show.report_verdict import VerdictView, verdict_view
from mmload.show.terminal_figures import MISSING, figure, figures, plain

_UNKNOWN = "it says nothing of whether to ship it"
_UNFIT = "it is no valid run with a load, so none can"


class RunView(msgspec.Struct, frozen=True, kw_only=True):
    """One run; what it knows nothing of is empty. key: its own in the page. bin: how long those of its plots are."""

    key: str
    label: str
    run_id: str
    row: RunRow
    banners: list[Banner]
    headline: list[Fact]
    commands: list[Fact]
    about: list[Fact]
    flags: list[Fact]
    ranks: Table | None
    curves: list[CurvePlot]
    panels: list[Panel]
    bin: str
    figures: FiguresView | None
    slow: list[str]
    slow_table: Table | None
    findings: list[str]
    warnings: list[str]


class FiguresView(msgspec.Struct, frozen=True, kw_only=True):
    """What was measured. The first four are of a load: empty in a profile without one."""

    load_tables: list[Table]
    load_facts: list[Fact]
    outcomes: Table | None
    outcome_bars: Bars | None
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

    conditions: str
    achieved: str
    p50: str
    p99: str
    wrong: str
    state: str
    tone: Tone


class PageView(msgspec.Struct, frozen=True, kw_only=True):
    """parts: where the links at the head lead, by id. banners: what all runs say loudly. overlaid*: of several runs."""

    title: str
    about: str
    parts: list[tuple[str, str]]
    banners: list[Banner]
    headline: list[Fact]
    verdict: VerdictView | None
    not_judged: str
    judge: list[Fact]
    runs: list[RunView]
    is_alone: bool
    comparison: ComparisonView | None
    incomparable: str
    overlaid: list[Panel]
    overlaid_curves: list[CurvePlot]
    troubles: list[str]
    plots: Plots


def page_view(report: Report) -> PageView:
    runs, is_alone = report.runs, len(report.runs) == 1
    timelines = {run.run_id: run.timeline for run in runs if run.timeline}
    axes = {run_id: place for place, run_id in enumerate(timelines)}
    colours = side_colours((run.side for run in runs), report.comparison.baseline if report.comparison else None)
    panels = {run_id: list(panels_of(timeline, axes[run_id])) for run_id, timeline in timelines.items()}
    curves = {run.run_id: list(_curves(f"run{place}", [run], colours, report)) for place, run in enumerate(runs)}
    beside = [] if is_alone else [run for run in runs if _is_main(run)]
    beside_panels = list(overlaid(beside, axes, colours))
    beside_curves = list(_curves("all", beside, colours, report)) if len(beside) > 1 else []
    views = [_run(f"run{place}", run, panels, curves) for place, run in enumerate(runs)]
    is_unfit = all(run.manifest.validity != "valid" or run.manifest.kind == "profile" for run in runs)
    loud = [one for one in views[0].banners if all(one in view.banners for view in views)]
    return PageView(
        title=title_of(report),
        about=plain(runs[0].conditions) if is_alone else f"{len(runs)} runs",
        parts=list(_parts(report, views)),
        banners=loud,
        headline=views[0].headline if is_alone else [],
        verdict=None if report.verdict is None else verdict_view(report.verdict),
        not_judged=f"no gate has judged this: {_UNFIT if is_unfit else _UNKNOWN}",
        judge=[] if is_unfit else [Fact("to judge it", plain(report.judge), is_code=True)],
        runs=[msgspec.structs.replace(v, banners=[one for one in v.banners if one not in loud]) for v in views],
        is_alone=is_alone,
        comparison=None if report.comparison is None else comparison_view(report.comparison),
        incomparable=plain(report.incomparable or ""),
        overlaid=beside_panels,
        overlaid_curves=beside_curves,
        troubles=_plain(report.troubles),
        plots=Plots(
            axes=[axis_of(timeline) for timeline in timelines.values()],
            panels=[*beside_panels, *(panel for found in panels.values() for panel in found)],
            curves=[*beside_curves, *(curve for found in curves.values() for curve in found)],
        ),
    )


def title_of(report: Report) -> str:
    if len(report.runs) == 1:
        return plain(report.runs[0].run_id)
    if report.campaign is not None:
        return plain(report.campaign)
    return f"{len(report.runs)} runs of {', '.join(dict.fromkeys(plain(run.side) for run in report.runs))}"


def _curves(name: str, runs: Sequence[ReportedRun], colours: Mapping[str, str], report: Report) -> Iterator[CurvePlot]:
    return curve_plots(name, runs, colours, report.verdict if all(map(_is_main, runs)) else None)


def _is_main(run: ReportedRun) -> bool:
    """Not of another scene of its campaign, which had another load."""
    member = run.manifest.member
    return member is None or member.scene == MAIN_SCENE


def _parts(report: Report, views: Sequence[RunView]) -> Iterator[tuple[str, str]]:
    first, is_alone = views[0], len(views) == 1
    shown = first.figures
    wanted = (
        ("verdict", "Verdict", True),
        ("runs", "Runs", not is_alone),
        ("comparison", "Side by side", not is_alone),
        ("overlaid", "All in one plot", not is_alone),
        ("run0-about", "What was run", is_alone),
        ("run0-load", "Load and response", is_alone and (first.curves or (shown and shown.load_tables))),
        ("run0-time", "Over time", is_alone and first.panels),
        ("run0-cpu", "CPU", is_alone and shown and shown.cpu),
        ("run0-memory", "Memory", is_alone and shown and (shown.memory or shown.memory_facts)),
        ("run0-server", "Server", is_alone and shown and shown.server_facts),
        ("run0-slow", "Slow requests", is_alone and first.slow_table),
        ("flames", "Flame graphs", report.flames or report.troubles),
        ("details", "Run by run", not is_alone),
        ("run0-said", "What stands out", is_alone and (first.findings or first.warnings)),
    )
    return ((part, name) for part, name, is_there in wanted if is_there)


def _run(
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
        commands=commands(run),
        about=what_was_run(run),
        flags=flags(manifest),
        ranks=ranks(manifest),
        curves=curves.get(run.run_id, []),
        panels=panels.get(run.run_id, []),
        bin=f"{run.timeline.bin_s:g} s" if run.timeline else "",
        figures=_figures(summary) if summary is not None and summary.duration_s else None,
        slow=_plain([*run.slow.sentences, *run.slow.notes]) if run.slow else [],
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
    p50, p99 = _ends(known.response_ms) if known else (MISSING, MISSING)
    is_valid = run.manifest.validity == "valid"
    states = [run.manifest.status, *([] if is_valid else ["INVALID"]), *(["damaged"] if run.troubles else [])]
    return RunRow(
        conditions=plain(run.conditions),
        achieved=figure(summary.achieved_rate_rps) if summary and summary.duration_s else MISSING,
        p50=p50,
        p99=p99,
        wrong=f"{round((known.error_rate or 0.0) * known.requests):,}" if known else MISSING,
        state=", ".join(states),
        tone="invalid" if not is_valid else "" if states == ["complete"] else "warn",
    )


def _ends(response: Quantiles) -> list[str]:
    """p50 and P99."""
    return figures([math.inf if value is None else value for value in (response.p50, response.p99)], "∞")


def _plain(texts: Mapping[str, object] | Sequence[str]) -> list[str]:
    return [plain(text) for text in texts]
