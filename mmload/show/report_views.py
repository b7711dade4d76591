"""What the report's templates are given: every part of the page as facts, tables, bars and plots, in plain text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import msgspec

from mmload.judge.report import Report, ReportedRun
from mmload.model.campaign import MAIN_SCENE
from mmload.model.result import Verdict
from mmload.show.report_about import Banner, banners
from mmload.show.report_comparison import ComparisonView, comparison_view
from mmload.show.report_curves import curve_plots
from mmload.show.report_panels import axis_of, overlaid, panels_of
from mmload.show.report_plots import CurvePlot, Panel, Plots, side_colours
from mmload.show.report_run import RunView, run_view
from mmload.show.report_shapes import Fact
from mmload.show.report_shared import conditions_apart, loud_banners, shared_facts
from mmload.show.report_verdict import VerdictView, verdict_view
from mmload.show.terminal_figures import plain

_UNKNOWN = "it says nothing of whether to ship it"
_UNFIT = "it is no valid run with a load, so none can"


class PageView(msgspec.Struct, frozen=True, kw_only=True):
    """parts: where the links at the head lead, by id. banners: what any run says loudly. judge: how, where that is left
    to do. unreadable: run-id and why nothing is known of it. Of several runs: shared: what they have in common and how
    to make them again; apart: for each run what they have not, or nothing; overlaid*: those that are sound;
    not_overlaid: the others."""

    title: str
    about: str
    parts: list[tuple[str, str]]
    banners: list[Banner]
    headline: list[Fact]
    verdict: VerdictView | None
    not_judged: str
    verdict_trouble: str
    judge: list[Fact]
    runs: list[RunView]
    unreadable: list[tuple[str, str]]
    is_alone: bool
    shared: list[Fact]
    apart: list[str]
    comparison: ComparisonView | None
    incomparable: str
    overlaid: list[Panel]
    overlaid_curves: list[CurvePlot]
    not_overlaid: str
    flame_troubles: list[str]
    plots: Plots


def page_view(report: Report) -> PageView:
    runs, is_alone = report.runs, _is_alone(report)
    timelines = {run.run_id: run.timeline for run in runs if run.timeline}
    axes = {run_id: place for place, run_id in enumerate(timelines)}
    colours = side_colours((run.side for run in runs), report.comparison.baseline if report.comparison else None)
    panels = {
        run.run_id: list(panels_of(run, f"run{place}", axes[run.run_id]))
        for place, run in enumerate(runs)
        if run.timeline
    }
    curves = {run.run_id: list(_curves(f"run{place}", [run], colours, report)) for place, run in enumerate(runs)}
    beside, left_out = ([], "") if is_alone else _beside(runs)
    beside_panels = list(overlaid(beside, axes, colours))
    beside_curves = list(_curves("all", beside, colours, report)) if len(beside) > 1 else []
    loud = list(banners(runs[0])) if is_alone else loud_banners(runs)
    views = [run_view(f"run{place}", run, panels, curves) for place, run in enumerate(runs)]
    return PageView(
        title=title_of(report),
        about=about_of(report),
        parts=list(_parts(report, views)),
        banners=loud,
        headline=views[0].headline if is_alone else [],
        verdict=None if report.verdict is None else verdict_view(report.verdict),
        not_judged=f"no gate has judged this: {_UNFIT if _is_unfit(runs) else _UNKNOWN}",
        verdict_trouble=plain(report.verdict_trouble or ""),
        judge=_judge(report),
        runs=[
            msgspec.structs.replace(view, banners=[one for one in view.banners if one not in loud]) for view in views
        ],
        unreadable=[(plain(run_id), plain(why)) for run_id, why in report.unreadable.items()],
        is_alone=is_alone,
        shared=[] if is_alone else shared_facts(report),
        apart=conditions_apart(runs),
        comparison=None if report.comparison is None else comparison_view(report.comparison),
        incomparable=plain(report.incomparable or ""),
        overlaid=beside_panels,
        overlaid_curves=beside_curves,
        not_overlaid=left_out,
        flame_troubles=[plain(trouble) for trouble in report.flame_troubles],
        plots=Plots(
            axes=[axis_of(timeline) for timeline in timelines.values()],
            panels=[*beside_panels, *(panel for found in panels.values() for panel in found)],
            curves=[*beside_curves, *(curve for found in curves.values() for curve in found)],
        ),
    )


def title_of(report: Report) -> str:
    """`optimized`; of several runs `optimized against original and rollback`, as they were judged or are compared."""
    first = report.runs[0]
    if _is_alone(report):
        return plain(first.side)
    campaign, sides = report.campaign, list(dict.fromkeys(run.side for run in report.runs))
    baselines = [report.comparison.baseline] if report.comparison else []
    if campaign is not None and campaign.candidate is not None:
        baselines = [side for side in sides if side != campaign.candidate]
    others = [side for side in sides if side not in baselines]
    ours, theirs = (listed([plain(side) for side in part]) for part in (others, baselines))
    return f"{ours} against {theirs}" if ours and theirs else f"{len(report.runs)} runs of {ours or theirs}"


def about_of(report: Report) -> str:
    """Which run, and under what; which campaign, and how many runs."""
    first = report.runs[0]
    if _is_alone(report):
        return plain(f"{first.run_id}: {first.conditions}")
    runs = f"{len(report.runs) + len(report.unreadable)} runs"
    return f"{plain(report.campaign.campaign_id)}, {runs}" if report.campaign else runs


def listed(names: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    *most, last = names or [""]
    return f"{', '.join(most)} and {last}" if most else last


def _is_alone(report: Report) -> bool:
    return len(report.runs) + len(report.unreadable) == 1


def _is_unfit(runs: Sequence[ReportedRun]) -> bool:
    return all(run.manifest.validity != "valid" or run.manifest.kind == "profile" for run in runs)


def _judge(report: Report) -> list[Fact]:
    """Nothing where a verdict stands, or none can be had."""
    is_left = report.verdict.stale if report.verdict else not _is_unfit(report.runs)
    return [Fact("to judge it", plain(report.judge), is_code=True)] if report.judge and is_left else []


def _beside(runs: Sequence[ReportedRun]) -> tuple[list[ReportedRun], str]:
    """The runs that are drawn in one plot: the sound ones under the main load, or all of that where none is sound. And
    which are left out."""
    main = [run for run in runs if _is_main(run)]
    sound = [run for run in main if run.is_sound]
    others = [run.label for run in main if not run.is_sound]
    notes = [] if len(main) == len(runs) else [f"Runs under the main load: {len(main)} of {len(runs)}."]
    if not sound or not others:
        return main, " ".join(notes)
    notes.append(f"Left out, as their figures say nothing: {plain(', '.join(others))}.")
    return sound, " ".join(notes)


def _curves(name: str, runs: Sequence[ReportedRun], colours: Mapping[str, str], report: Report) -> Iterator[CurvePlot]:
    return curve_plots(name, runs, colours, _verdict_of(report) if all(map(_is_main, runs)) else None)


def _verdict_of(report: Report) -> Verdict | None:
    """For the limits of its gate."""
    return report.verdict.verdict if report.verdict else None


def _is_main(run: ReportedRun) -> bool:
    """Not of another scene of its campaign, which had another load."""
    member = run.manifest.member
    return member is None or member.scene == MAIN_SCENE


def _parts(report: Report, views: Sequence[RunView]) -> Iterator[tuple[str, str]]:
    first, is_alone = views[0], _is_alone(report)
    shown = first.figures
    wanted = (
        ("verdict", "Verdict", True),
        ("run0-said", "What stands out", is_alone and (first.findings or first.warnings)),
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
        ("flames", "Flame graphs", report.flames or report.flame_troubles),
        ("details", "Run by run", not is_alone),
    )
    return ((part, name) for part, name, is_there in wanted if is_there)
