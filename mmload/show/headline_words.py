"""What the two lines that matter say, the same on the terminal and on a page."""

from __future__ import annotations

import math

from mmload.model.records import CUT_OFF
from mmload.model.result import ProcessCpu, Quantiles, Summary
from mmload.show.terminal_figures import figure, figures
from mmload.show.terminal_processes import short_name

_HANDOFF = "handoff_cpu_ms_per_request"


def busiest_rank(summary: Summary) -> tuple[str, ProcessCpu] | None:
    """By work; where no profile tells it from waiting, by all that it burnt. Its short name, and what it burnt."""
    ranks = {short_name(name): cpu for name, cpu in summary.cpu.items() if name.startswith("scheduler")}
    return max(ranks.items(), key=lambda entry: work_or_total(entry[1]), default=None)


def work_or_total(cpu: ProcessCpu) -> float:
    return cpu.total_pct if cpu.work_pct is None else cpu.work_pct


def handoff_cost(summary: Summary) -> tuple[str, str] | None:
    """CPU milliseconds, and the unit with what they are known from."""
    cost_ms = summary.handoff.get(_HANDOFF)
    if cost_ms is None:
        return None
    return figure(cost_ms, most=2), f"ms a request{' by stack samples' if summary.handoff_source == 'samples' else ''}"


def achieved_of_offered(summary: Summary) -> tuple[str, str, str]:
    """Offered rate, achieved rate and the latter's interval (empty if not known), with the same decimals."""
    low, high = summary.achieved_low, summary.achieved_high
    offered, achieved, least, greatest = figures([summary.offered_rate_rps, summary.achieved_rate_rps, low, high])
    return offered, achieved, "" if low is None and high is None else f"{least} to {greatest}"


def p50_and_p99(response: Quantiles, infinity: str = "∞") -> tuple[str, str]:
    p50, p99 = figures([math.inf if value is None else value for value in (response.p50, response.p99)], infinity)
    return p50, p99


def why_infinite(summary: Summary) -> str:
    """Of a P99; empty where it is none."""
    if summary.response_ms.n == 0 or summary.response_ms.p99 is not None:
        return ""
    failed = sum(requests for outcome, requests in summary.outcomes.items() if outcome != "ok")
    if failed and own_doing(summary) == failed:
        return "over 1 in 100 requests was cut off when the run was ended"
    return "over 1 in 100 requests was not ok"


def own_doing(summary: Summary) -> int:
    """How many of the requests that are not ok mmload did not wait for: it was ended itself, the server was not."""
    if summary.status != "partial":
        return 0
    return sum(one.requests for one in summary.failures if one.outcome == "dropped" or one.error == CUT_OFF)
