"""Load and response in a report: rates, latencies, outcomes, what the generator did."""

from __future__ import annotations

from collections.abc import Iterator

from mmload.model.result import Quantiles, Summary
from mmload.show.latencies import FEWEST_FOR_P99, LATENCIES
from mmload.show.palette import OUTCOME_COLOURS
from mmload.show.report_shapes import Bars, Cell, Fact, Table, bar, facts, table
from mmload.show.terminal_figures import count, figure, figures, percent


def load_tables(summary: Summary) -> Iterator[Table]:
    """Rates and latencies of the measure window, those that there are."""
    yield _rates(summary)
    yield _latencies(summary)


def _rates(summary: Summary) -> Table:
    low, high = summary.achieved_low, summary.achieved_high
    offered, achieved, least, most = figures([summary.offered_rate_rps, summary.achieved_rate_rps, low, high])
    answers = round(summary.achieved_rate_rps * summary.duration_s)
    is_open_loop = summary.offered_rate_rps is not None
    rows = [
        *([("offered", offered, "req/s", "", f"{summary.requests:,}")] if is_open_loop else []),
        ("achieved", achieved, "req/s", "" if low is None else f"{least} to {most}", f"{answers:,}"),
        ("errors", percent(summary.error_rate), "%", "", f"{summary.requests:,}"),
        ("output", figure(summary.tokens_per_s, most=1), "tokens/s", "", ""),
    ]
    note = "achieved: correct answers complete within the window, over its length"
    if is_open_loop:
        note = f"offered: scheduled requests over the window; {note}"
    return table("rates", ("", "", "unit", "95 % interval", "n"), rows, left=(0, 2), note=note)


def _latencies(summary: Summary) -> Table:
    rows: list[list[str | Cell]] = []
    for latency in LATENCIES:
        q: Quantiles = getattr(summary, latency.field)
        if not q.n:
            continue
        values = [float("inf") if v is None else v for v in (q.mean, q.p50, q.p90, q.p95, q.p99, q.max)]
        mean, p50, p90, p95, p99, most = figures(values, "∞")
        meaning = Cell(latency.meaning, "muted")
        rows.append([latency.name, f"{q.n:,}", mean, p50, p90, p95, Cell(p99, "strong"), most, meaning])
    head = ("latency, ms", "n", "mean", "p50", "p90", "p95", "P99", "max", "")
    note = (
        "exact, from every record; a request that is not ok counts as infinite (∞); "
        f"of fewer than {FEWEST_FOR_P99} the P99 is the longest"
    )
    return table("latencies", head, rows, left=(0, 8), note=note)


def outcomes(summary: Summary) -> tuple[Table, Bars] | None:
    """What became of the requests that were due in the window; None without any."""
    occurred = {name: number for name, number in summary.outcomes.items() if number}
    if not occurred:
        return None
    rows = [(name, f"{number:,}", f"{percent(number / summary.requests)} %") for name, number in occurred.items()]
    parts = [(number, OUTCOME_COLOURS.get(name, "#888"), f"{name} {number:,}") for name, number in occurred.items()]
    drawn = bar("", f"{summary.requests:,}", parts, summary.requests)
    key = [(name, OUTCOME_COLOURS.get(name, "#888")) for name in occurred]
    return table("outcomes", ("outcome", "requests", "share"), rows), Bars("outcomes", [drawn], key)


def load_facts(summary: Summary) -> list[Fact]:
    """Modalities, what the server found in its cache, identity answers, and the generator's own health."""
    health = summary.generator
    p50, p99, longest = figures([health.lag_p50_ms, health.lag_p99_ms, health.lag_max_ms])
    hits, tokens = percent(summary.cache_hit_share), percent(summary.cached_token_share)
    different = count(len(set(summary.identity.values())), "different answer")
    return facts(
        {
            "modalities": ", ".join(f"{kind} {number:,}" for kind, number in summary.modalities.items()),
            "cache hits": ""
            if summary.cache_hit_share is None
            else f"{hits} % of requests, {tokens} % of prompt tokens; asked reuse {percent(summary.reuse)} %",
            "identity": f"{count(len(summary.identity), 'item')}, {different}" if summary.identity else "",
            "generator": f"sent {health.sent:,} of {health.scheduled:,}, undelivered {health.undelivered:,}",
            "its lag behind due": f"P99 {p99} ms (p50 {p50}, max {longest})" if health.lag_p99_ms is not None else "",
            "its longest stall": f"{figure(health.longest_stall_ms, most=1)} ms" if health.longest_stall_ms else "",
            "its CPU": f"{figure(health.cpu_pct, most=1)} % of a core" if health.cpu_pct is not None else "",
        }
    )
