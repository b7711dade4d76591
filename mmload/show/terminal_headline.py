"""The two lines that matter: what was answered, how fast and how well; what it cost the busiest rank and a request."""

from __future__ import annotations

from collections.abc import Iterator

from rich.text import Text

from mmload.model.result import ProcessCpu, Quantiles, Summary
from mmload.show.palette import EMPHASIS, LABEL, WARNING
from mmload.show.terminal_figures import figure, figures, percent
from mmload.show.terminal_processes import short_name
from mmload.show.terminal_sheet import Sheet, fact, styled

_HANDOFF = "handoff_cpu_ms_per_request"


def headline(summary: Summary, sheet: Sheet) -> Iterator[Text]:
    """Of a profile without load, what was profiled in the place of the first line."""
    if not summary.duration_s:
        yield from fact("measured", [styled("nothing: the run ended before its measure window")], sheet)
    elif summary.kind == "profile":
        yield from fact("profiled", [styled((figure(summary.duration_s), EMPHASIS), " s, without load")], sheet)
    else:
        yield from fact("achieved", [_rate(summary), *_response(summary.response_ms, sheet), *_errors(summary)], sheet)
    yield from fact("CPU", [*_busiest_rank(summary), *_handoff(summary)], sheet)


def achieved_of_offered(summary: Summary) -> tuple[str, str, str]:
    """Offered rate, achieved rate and the latter's interval (empty if not known), with the same decimals."""
    low, high = summary.achieved_low, summary.achieved_high
    offered, achieved, least, greatest = figures([summary.offered_rate_rps, summary.achieved_rate_rps, low, high])
    return offered, achieved, "" if low is None and high is None else f"{least} to {greatest}"


def _rate(summary: Summary) -> Text:
    offered, achieved, _ = achieved_of_offered(summary)
    if summary.offered_rate_rps is None:
        return styled((achieved, EMPHASIS), " req/s in a closed loop")
    return styled((achieved, EMPHASIS), f" of {offered} req/s")


def _response(response: Quantiles, sheet: Sheet) -> list[Text]:
    if response.n == 0:
        return [styled("no request came due in the window")]
    p50, p99 = figures((float("inf") if p is None else p for p in (response.p50, response.p99)), sheet.glyphs.infinity)
    said = [styled(("p50 ", LABEL), f"{p50} ms"), styled(("P99 ", LABEL), (p99, EMPHASIS), " ms")]
    return said if response.p99 is not None else [*said, styled("over 1 in 100 requests was not ok")]


def _errors(summary: Summary) -> list[Text]:
    if summary.error_rate is None:
        return []
    return [styled(("errors ", LABEL), (f"{percent(summary.error_rate)} %", WARNING if summary.error_rate else ""))]


def _busiest_rank(summary: Summary) -> list[Text]:
    """By work; where no profile tells it from waiting, by all that it burnt."""
    ranks = {short_name(name): cpu for name, cpu in summary.cpu.items() if name.startswith("scheduler")}
    if not ranks:
        return []
    name = max(ranks, key=lambda name: _work_or_total(ranks[name]))
    cpu = ranks[name]
    burnt = figure(_work_or_total(cpu), most=1)
    does = "works" if cpu.work_pct is not None else "burns"
    return [styled(("busiest rank ", LABEL), f"{name} {does} ", (burnt, EMPHASIS), " % of a core")]


def _work_or_total(cpu: ProcessCpu) -> float:
    return cpu.total_pct if cpu.work_pct is None else cpu.work_pct


def _handoff(summary: Summary) -> list[Text]:
    cost_ms = summary.handoff.get(_HANDOFF)
    if cost_ms is None:
        return []
    source = " by stack samples" if summary.handoff_source == "samples" else ""
    return [styled(("handoff ", LABEL), (figure(cost_ms, most=2), EMPHASIS), f" ms a request{source}")]
