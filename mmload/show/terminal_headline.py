"""The two lines that matter: what was answered, how fast and how well; what it cost the busiest rank and a request."""

from __future__ import annotations

from collections.abc import Iterator

from rich.text import Text

from mmload.model.result import Summary
from mmload.show.headline_words import (
    achieved_of_offered,
    busiest_rank,
    handoff_cost,
    own_doing,
    p50_and_p99,
    why_infinite,
    work_or_total,
)
from mmload.show.palette import EMPHASIS, LABEL, WARNING
from mmload.show.terminal_figures import figure, percent
from mmload.show.terminal_sheet import Sheet, fact, styled


def headline(summary: Summary, sheet: Sheet) -> Iterator[Text]:
    """Of a profile without load, what was profiled in the place of the first line."""
    if not summary.duration_s:
        yield from fact("measured", [styled("nothing: the run ended before its measure window")], sheet)
    elif summary.kind == "profile":
        yield from fact("profiled", [styled((figure(summary.duration_s), EMPHASIS), " s, without load")], sheet)
    else:
        yield from fact("achieved", [_rate(summary), *_response(summary, sheet), *_errors(summary)], sheet)
    yield from fact("CPU", [*_busiest_rank(summary), *_handoff(summary)], sheet)


def _rate(summary: Summary) -> Text:
    offered, achieved, _ = achieved_of_offered(summary)
    if summary.offered_rate_rps is None:
        return styled((achieved, EMPHASIS), " req/s in a closed loop")
    return styled((achieved, EMPHASIS), f" of {offered} req/s")


def _response(summary: Summary, sheet: Sheet) -> list[Text]:
    response = summary.response_ms
    if response.n == 0:
        return [styled("no request came due in the window")]
    p50, p99 = p50_and_p99(response, sheet.glyphs.infinity)
    said = [styled(("p50 ", LABEL), f"{p50} ms"), styled(("P99 ", LABEL), (p99, EMPHASIS), " ms")]
    why = why_infinite(summary)
    return [*said, styled(why)] if why else said


def _errors(summary: Summary) -> list[Text]:
    if summary.error_rate is None:
        return []
    said = [styled(("errors ", LABEL), (f"{percent(summary.error_rate)} %", WARNING if summary.error_rate else ""))]
    ended = own_doing(summary)
    return [*said, styled(f"of which mmload did not wait for {ended:,}")] if ended else said


def _busiest_rank(summary: Summary) -> list[Text]:
    found = busiest_rank(summary)
    if found is None:
        return []
    name, cpu = found
    burnt = figure(work_or_total(cpu), most=1)
    does = "works" if cpu.work_pct is not None else "burns"
    return [styled(("busiest rank ", LABEL), f"{name} {does} ", (burnt, EMPHASIS), " % of a core")]


def _handoff(summary: Summary) -> list[Text]:
    cost = handoff_cost(summary)
    return [styled(("handoff ", LABEL), (cost[0], EMPHASIS), f" {cost[1]}")] if cost else []
