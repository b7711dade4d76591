"""What was held and what the server says of itself, in a report: memory, GPUs, its own gauges and latencies."""

from __future__ import annotations

from collections.abc import Iterator

from mmload.model.result import Estimate, Summary
from mmload.model.server import Edges, ServerFigures
from mmload.show.report_shapes import Cell, Fact, Table, facts, table
from mmload.show.terminal_figures import MISSING, figure, figures, interval, percent, size
from mmload.show.terminal_processes import in_order, short_name

_SHM = "/dev/shm of the host"  # noqa: S108 (a label)
_NAMES = {"e2e": "end to end", "ttft": "TTFT", "itl": "ITL", "queue": "in its queue"}
_COMPARED = {"e2e": "sent to done", "ttft": "sent to the first token", "itl": "between tokens"}
_GAUGES = {
    "running": ("running", "", 1),
    "queued": ("queued", "", 1),
    "generation_tokens_per_s": ("tokens/s", "", 1),
    "token_usage": ("token usage", " %", 100),
    "cache_hit_rate": ("cache hit rate", " %", 100),
}


def memory_table(summary: Summary) -> Table | None:
    rows: list[list[str | Cell]] = []
    for name, held in in_order(summary.memory).items():
        growth = held.growth_mb_per_h or Estimate(value=float("nan"))
        mended, bounds = interval(growth.value, growth.low, growth.high, most=1)
        rows.append(
            [
                short_name(name),
                Cell(size(held.rss_max_bytes), "strong"),
                size(held.rss_end_bytes),
                mended,
                Cell(bounds, "muted"),
                _size(held.uss_bytes),
                _size(held.shm_bytes),
                MISSING if held.fds_max is None else f"{held.fds_max:,}",
                f"{held.threads_max:,}",
            ]
        )
    head = ("memory", "RSS max", "at the end", "growth, MB/h", "95 % interval", "USS", "shared", "files", "threads")
    note = "growth: over the second half of a window of ten minutes and more"
    return table("memory", head, rows, note=note) if rows else None


def memory_facts(summary: Summary) -> list[Fact]:
    found: dict[str, object] = {}
    if shm := summary.shm:
        start, most, end = (size(held) for held in (shm.start_bytes, shm.max_bytes, shm.end_bytes))
        found[_SHM] = f"{start} at the start, max {most}, end {end}"
    for gpu in summary.gpus:
        parts = [gpu.name]
        ran = figure(gpu.kernel_ran_pct, most=1)
        parts += [] if gpu.kernel_ran_pct is None else [f"a kernel ran {ran} % of the time"]
        parts += [] if gpu.memory_max_bytes is None else [f"memory max {size(gpu.memory_max_bytes)}"]
        parts += [] if gpu.power_mean_w is None else [f"{gpu.power_mean_w:.0f} W"]
        found[f"GPU {gpu.index}"] = f"{', '.join(parts)} (n {gpu.samples:,})"
    found["GPUs"] = summary.gpu_trouble
    return facts(found)


def _size(held: int | None) -> str:
    return MISSING if held is None else size(held)


def server_tables(server: ServerFigures, summary: Summary) -> Iterator[Table]:
    """What the server counted in the measure window; what it does not export is left out."""
    if server.latencies:
        yield _latencies(server)
    if server.schedulers:
        yield _schedulers(server, summary)


def _latencies(server: ServerFigures) -> Table:
    rows: list[list[str | Cell]] = []
    for name, one in server.latencies.items():
        mean, client = figures([one.mean_ms, one.client_ms])
        within = [_within(edges) for edges in (one.p50_ms, one.p90_ms, one.p99_ms)]
        said = Cell(_COMPARED.get(name, ""), "muted")
        rows.append([_NAMES.get(name, name), f"{one.n:,}", mean, client, *within, said])
    head = ("by the server, ms", "n", "mean", "client's mean", "p50 within", "p90 within", "p99 within", "")
    return table("latencies by the server", head, rows, left=(0, 7), note="percentiles as far as its buckets tell")


def _within(edges: Edges) -> str:
    low, high = edges
    return f"over {figure(low, most=1)}" if high is None else f"{figure(low, most=1)} to {figure(high, most=1)}"


def _schedulers(server: ServerFigures, summary: Summary) -> Table:
    rows = []
    for name, own in server.schedulers.items():
        sampled = summary.cpu.get(name)
        cpu, total = figures([own.cpu_pct, sampled.total_pct if sampled else None], most=1)
        stages = sorted(own.stages.items(), key=lambda item: -item[1])
        said = ", ".join(f"{stage} {percent(share, most=0)} %" for stage, share in stages)
        rows.append((short_name(name), cpu, total, figure(own.idle_pct, most=1), said))
    head = ("scheduler's own count", "CPU, %", "sampled, %", "idle, % of the time", "its loop's time")
    return table("schedulers", head, rows, left=(0, 4))


def server_facts(server: ServerFigures) -> list[Fact]:
    found: dict[str, object] = {}
    for name, (label, unit, scale) in _GAUGES.items():
        if gauge := server.gauges.get(name):
            mean, most = figures([scale * gauge.mean, scale * gauge.max], most=1)
            found[label] = f"mean {mean}{unit}, at most {most}{unit}"
    for label, name in (("finished", "requests"), ("aborted", "aborted_requests")):
        if rate := server.rates.get(name):
            found[label] = f"{figure(rate)}/s"
    failed = f", failed {server.failed:,}" if server.failed else ""
    found["scrapes"] = f"{server.scrapes:,}{failed}, at most {figure(server.longest_gap_s)} s apart"
    return facts(found)
