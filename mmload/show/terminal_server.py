"""What the server says of itself on the terminal: its latencies beside the client's, its gauges, its schedulers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from rich.text import Text

from mmload.model.result import ProcessCpu
from mmload.model.server import Edges, GaugeFigures, SchedulerCounters, ServerFigures, ServerLatency
from mmload.show.palette import LABEL
from mmload.show.terminal_figures import MISSING, figure, figures, percent
from mmload.show.terminal_sheet import EXTRA, Column, Sheet, fact, grid, separated, styled

_NAMES = {"e2e": "end to end", "ttft": "TTFT", "itl": "ITL", "queue": "in its queue"}
_COMPARED = {"e2e": "sent to done", "ttft": "sent to the first token", "itl": "between tokens"}
_RATES = (("finished", "requests"), ("aborted", "aborted_requests"))
_STAGES_SHOWN = 3


def server_figures(server: ServerFigures, cpu: Mapping[str, ProcessCpu], sheet: Sheet) -> Iterator[Text]:
    """All of it; what the server does not export is left out."""
    return separated(
        _latencies(server.latencies, sheet),
        _gauges(server, sheet),
        _schedulers(server.schedulers, cpu, sheet),
    )


def _latencies(latencies: Mapping[str, ServerLatency], sheet: Sheet) -> Iterable[Text]:
    """Means beside the client's, and the buckets that the percentiles lie in."""
    columns = (
        Column("by the server, ms", right=False),
        Column("n", rank=2),
        Column("mean"),
        Column("client's"),
        Column("p50 within", rank=1),
        Column("p90 within", rank=EXTRA),
        Column("p99 within", rank=1),
        Column("", rank=EXTRA + 1, right=False),
    )
    rows = []
    for name, one in latencies.items():
        means = figures([one.mean_ms, one.client_ms])
        within = [_within(edges) for edges in (one.p50_ms, one.p90_ms, one.p99_ms)]
        label = styled("  ", _NAMES.get(name, name))
        rows.append([label, *map(styled, (f"{one.n:,}", *means, *within)), styled((_COMPARED.get(name, ""), LABEL))])
    return grid(columns, rows, sheet) if rows else []


def _within(edges: Edges) -> str:
    """'200 to 400'; 'over 8,000' in the last bucket."""
    low, high = edges
    if high is None:
        return f"over {figure(low, most=1)}"
    return " to ".join(figure(edge, most=1) for edge in (low, high))


def _gauges(server: ServerFigures, sheet: Sheet) -> Iterator[Text]:
    gauges = server.gauges
    items = [
        *_gauge("running", gauges.get("running")),
        *_gauge("queued", gauges.get("queued")),
        *_gauge("tokens/s", gauges.get("generation_tokens_per_s")),
        *_gauge("token usage", gauges.get("token_usage"), " %", 100),
        *_gauge("cache hit rate", gauges.get("cache_hit_rate"), " %", 100),
        *[styled((label, LABEL), f" {figure(rate)}/s") for label, key in _RATES if (rate := server.rates.get(key))],
        styled(("scrapes", LABEL), f" {server.scrapes:,}{f', failed {server.failed:,}' if server.failed else ''}"),
    ]
    yield from fact("server", items, sheet)


def _gauge(label: str, gauge: GaugeFigures | None, unit: str = "", scale: float = 1) -> list[Text]:
    if gauge is None:
        return []
    mean, most = figures([scale * gauge.mean, scale * gauge.max], most=1)
    return [styled((label, LABEL), f" {mean}{unit}, at most {most}{unit}")]


def _schedulers(
    schedulers: Mapping[str, SchedulerCounters], cpu: Mapping[str, ProcessCpu], sheet: Sheet
) -> Iterable[Text]:
    """A scheduler's own count beside the samples of its process."""
    columns = (
        Column("scheduler's own count", right=False),
        Column("CPU, %"),
        Column("sampled"),
        Column("work", rank=2),
        Column("idle, %", rank=1),
        Column("its loop's time, %", rank=3, right=False),
    )
    rows = []
    for name, own in schedulers.items():
        sampled = cpu.get(name)
        ours = (sampled.total_pct, sampled.work_pct) if sampled else (None, None)
        shown = figures([own.cpu_pct, *ours], most=1)
        cells = (*shown, figure(own.idle_pct, most=1), _stages(own.stages))
        rows.append([styled("  ", name), *map(styled, cells)])
    return grid(columns, rows, sheet) if rows else []


def _stages(stages: Mapping[str, float]) -> str:
    largest: Sequence[tuple[str, float]] = sorted(stages.items(), key=lambda item: -item[1])[:_STAGES_SHOWN]
    return ", ".join(f"{name} {percent(share, most=0)}" for name, share in largest) or MISSING
