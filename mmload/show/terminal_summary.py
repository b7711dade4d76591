"""All of a run's summary on the terminal: can it be trusted, the two lines that matter, then everything else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rich.text import Text

from mmload.analyse.timeline import Timeline
from mmload.model.manifest import Manifest
from mmload.model.result import Quantiles, Summary
from mmload.show.headline_words import achieved_of_offered
from mmload.show.latencies import LATENCIES
from mmload.show.palette import LABEL
from mmload.show.terminal_about import findings, trust, warnings, way_on, what_was_run
from mmload.show.terminal_cpu import (
    cpu_table,
    hottest_functions,
    other_functions,
    phase_bars,
    phase_costs,
    phase_table,
)
from mmload.show.terminal_failures import failure_kinds
from mmload.show.terminal_figures import count, figure, figures, percent
from mmload.show.terminal_handoff import handoff_costs
from mmload.show.terminal_headline import headline
from mmload.show.terminal_looking import looking_facts
from mmload.show.terminal_memory import memory
from mmload.show.terminal_processes import in_order
from mmload.show.terminal_profile import profile_quality
from mmload.show.terminal_server import server_figures
from mmload.show.terminal_sheet import (
    EXTRA,
    Column,
    Drawn,
    Sheet,
    beside,
    fact,
    grid,
    outcome_counts,
    separated,
    styled,
)
from mmload.show.terminal_timeline import timeline_in_short


def render_summary(summary: Summary, manifest: Manifest, timeline: Timeline | None = None) -> Drawn:
    """All of a summary, for a terminal of any width; with the run's timeline its course in a few lines, too."""
    cpu, alone = in_order(summary.cpu), summary.kind == "profile"

    def measured(sheet: Sheet) -> Iterator[Text]:
        return separated(
            [] if alone else beside(_rates(summary, sheet), _latencies(summary, sheet), sheet),
            [] if alone else _facts(summary, sheet),
            failure_kinds(summary, sheet),
            looking_facts(summary.looking, sheet),
            server_figures(summary.server, cpu, sheet) if summary.server else [],
            handoff_costs(summary, sheet),
            cpu_table(cpu, sheet),
            phase_bars(cpu, sheet),
            beside(phase_table(cpu, sheet), phase_costs(cpu, sheet), sheet),
            beside(hottest_functions(cpu, sheet), other_functions(cpu, sheet), sheet),
            memory(summary, sheet),
            profile_quality(manifest.profile, sheet) if alone else [],
            timeline_in_short(timeline, sheet) if timeline else [],
        )

    def view(sheet: Sheet) -> Iterator[Text]:
        return separated(
            trust(summary, manifest, sheet),
            headline(summary, sheet),
            what_was_run(summary, manifest, sheet),
            measured(sheet) if summary.duration_s else [],
            findings(summary, sheet),
            warnings(summary, manifest, sheet),
            way_on(summary, manifest, sheet),
        )

    return Drawn(view)


def _rates(summary: Summary, sheet: Sheet) -> Iterable[Text]:
    offered, achieved, bounds = achieved_of_offered(summary)
    rows = [
        *([] if summary.offered_rate_rps is None else [("offered", offered, "req/s", "")]),
        ("achieved", achieved, "req/s", bounds),
        ("errors", percent(summary.error_rate), "%", ""),
        ("output", figure(summary.tokens_per_s, most=1), "tokens/s", ""),
    ]
    columns = (Column("rates", right=False), Column(), Column("", right=False), Column("95 % interval", right=False))
    return grid(columns, [[styled("  ", row[0]), *map(styled, row[1:])] for row in rows], sheet)


def _latencies(summary: Summary, sheet: Sheet) -> Iterable[Text]:
    columns = (
        Column("latency, ms", right=False),
        Column("n", rank=3),
        Column("mean", rank=4),
        Column("p50"),
        Column("p90", rank=2),
        Column("p95", rank=3),
        Column("p99"),
        Column("max", rank=1),
        Column("", rank=EXTRA, right=False),
    )
    rows = []
    for latency in LATENCIES:
        q: Quantiles = getattr(summary, latency.field)
        values = [q.mean, q.p50, q.p90, q.p95, q.p99, q.max]
        shown = figures([float("inf") if v is None and q.n else v for v in values], sheet.glyphs.infinity)
        label, meaning = styled("  ", latency.label), styled((latency.meaning, LABEL))
        rows.append([label, styled(f"{q.n:,}"), *map(styled, shown), meaning])
    return grid(columns, rows, sheet)


def _facts(summary: Summary, sheet: Sheet) -> Iterator[Text]:
    yield from fact("outcomes", outcome_counts(summary.outcomes), sheet)
    if summary.modalities:
        kinds = [styled(f"{kind} {number:,}") for kind, number in summary.modalities.items()]
        yield from fact("modalities", kinds, sheet)
    yield from fact("cache hits", _cache(summary), sheet)
    yield from fact("generator", _generator(summary), sheet)
    if summary.identity:
        different = len(set(summary.identity.values()))
        asked = count(len(summary.identity), "item")
        yield from fact("identity", [styled(f"{asked}, {count(different, 'different answer')}")], sheet)


def _cache(summary: Summary) -> list[Text]:
    """What the server found in its cache, beside what was to be found; nothing where neither is known."""
    asked = styled(f"asked reuse {percent(summary.reuse)} %")
    if summary.cache_hit_share is None:
        return [styled("unknown: the server does not say"), asked] if summary.reuse else []
    hits, tokens = percent(summary.cache_hit_share), percent(summary.cached_token_share)
    return [styled(f"{hits} % of requests, {tokens} % of prompt tokens"), asked]


def _generator(summary: Summary) -> list[Text]:
    health = summary.generator
    p50, p99, longest = figures([health.lag_p50_ms, health.lag_p99_ms, health.lag_max_ms])
    items = [
        f"lag p99 {p99} ms (p50 {p50}, max {longest})",
        *([] if health.read_lag_p99_ms is None else [f"read lag p99 {figure(health.read_lag_p99_ms)} ms"]),
        f"longest stall {figure(health.longest_stall_ms, most=1)} ms",
        f"{figure(health.cpu_s_per_1000_requests)} CPU-s per 1,000 requests",
        f"CPU {figure(health.cpu_pct, most=1)} %",
        f"sent {health.sent:,} of {health.scheduled:,}",
    ]
    if health.undelivered:
        items.append(f"undelivered {health.undelivered:,}")
    return [styled(item) for item in items]
