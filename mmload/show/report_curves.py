"""The percentile curves of a report, with the limits of the gate that judged it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence

from mmload.analyse.latency import nearest_rank
from mmload.analyse.report_series import SHOWN, Curve
from mmload.judge.report import ReportedRun
from mmload.model.campaign import MAIN_SCENE
from mmload.model.result import Verdict
from mmload.show.latencies import LATENCIES
from mmload.show.report_plots import CurvePlot, DrawnCurve, Limit, colour_of, groups
from mmload.show.report_shapes import Table, table
from mmload.show.terminal_figures import MISSING, count, figures, plain

_LIMIT = re.compile(r"(?P<latency>response|service|ttft|itl)_p(?P<digits>\d+)_ms")
_NAMES = {latency.field: latency.name for latency in LATENCIES}
_TITLES = {"response_ms": "response and service time"}  # of several together
_TOGETHER: tuple[tuple[str, ...], ...] = (("response_ms", "service_ms"), ("ttft_ms",), ("itl_ms",))


def curve_plots(
    name: str, runs: Sequence[ReportedRun], colours: Mapping[str, str], verdict: Verdict | None
) -> Iterator[CurvePlot]:
    """Of one run the response and service time together, then TTFT and ITL; of several each with all runs."""
    is_alone = len(runs) == 1
    called = groups((run.label, run.side) for run in runs)
    for of in _TOGETHER if is_alone else [latencies[:1] for latencies in _TOGETHER]:
        drawn = [
            DrawnCurve(
                label=_NAMES[latency] if is_alone else run.label,
                group=_NAMES[latency] if is_alone else called[run.label],
                colour=colour_of(place) if is_alone else colours[run.side],
                curve=run.curves[latency],
                kind="thin" if place else "line",
            )
            for run in runs
            for place, latency in enumerate(of)
            if latency in run.curves
        ]
        if not drawn:
            continue
        title = _TITLES[of[0]] if len(of) > 1 else _NAMES[of[0]]
        yield CurvePlot(
            id=f"{name}-curve-{of[0].removesuffix('_ms')}",
            title=f"{title[0].upper()}{title[1:]} by percentile",
            curves=drawn,
            limits=list(_limits(verdict, of[0].removesuffix("_ms"))),
            about=_about_curves(drawn),
            text=_curve_table(title, drawn),
        )


def _limits(verdict: Verdict | None, latency: str) -> Iterator[Limit]:
    """The limits on percentiles of a latency, on the main scene."""
    for criterion in verdict.criteria if verdict else []:
        match = _LIMIT.fullmatch(criterion.metric)
        if match and match["latency"] == latency and criterion.on == MAIN_SCENE and criterion.op in {"<", "<="}:
            ms = criterion.limit + criterion.margin
            yield Limit(float(f"0.{match['digits']}"), ms, f"p{match['digits']} {criterion.op} {ms:g} ms")


def _curve_table(title: str, drawn: Sequence[DrawnCurve]) -> Table:
    rows = []
    for one in drawn:
        shown = figures([_known(one.curve, share) for share in SHOWN], "∞")
        rows.append([one.label, f"{one.curve.n:,}", f"{one.curve.n - one.curve.answered:,}", *shown])
    head = (f"{title}, ms", "n", "not ok", *(f"p{100 * share:g}" for share in SHOWN))
    note = f"exact; what was not ok took longer than any; {MISSING}: too few for it, it would be the longest of them"
    return table(title, head, rows, note=note)


def _known(curve: Curve, share: float) -> float | None:
    """None where fewer than one of so many is to be slower: the nearest rank is then that of the longest."""
    return None if nearest_rank(share, curve.n) == curve.n else at(curve, share)


def at(curve: Curve, share: float) -> float:
    """The exact percentile by the nearest rank. share: one of SHOWN, whose ranks are all kept."""
    wanted = nearest_rank(share, curve.n)
    return next((ms for rank, ms in zip(curve.rank, curve.ms, strict=True) if rank >= wanted), math.inf)


def _about_curves(drawn: Sequence[DrawnCurve]) -> str:
    parts = []
    for one in drawn:
        p50, p99 = figures([at(one.curve, 0.5), at(one.curve, 0.99)], "∞")
        parts.append(f"{plain(one.label)} p50 {p50}, P99 {p99} ms over {count(one.curve.n, 'value')}")
    return f"Percentile curve: {'; '.join(parts)}"
