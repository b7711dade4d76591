"""What a run's processes, /dev/shm and GPUs held, on the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from rich.text import Text

from mmload.model.result import Estimate, GpuUse, ProcessMemory, Summary
from mmload.show.palette import LABEL
from mmload.show.terminal_figures import MISSING, figure, interval, size
from mmload.show.terminal_processes import in_order
from mmload.show.terminal_sheet import Column, Sheet, fact, grid, styled

_SHM = "/dev/shm"  # noqa: S108 (a label)


def memory(summary: Summary, sheet: Sheet) -> Iterator[Text]:
    """Each process in a row, the growth of its memory where the window was long enough; then the host's /dev/shm and
    the GPUs."""
    if summary.memory:
        yield from _table(in_order(summary.memory), sheet)
    if shm := summary.shm:
        start, most, end = (size(held) for held in (shm.start_bytes, shm.max_bytes, shm.end_bytes))
        items = (f"{start} at the start", f"max {most}", f"end {end}")
        yield from fact(_SHM, [styled(item) for item in items], sheet)
    for gpu in summary.gpus:
        yield from fact(f"GPU {gpu.index}", [styled(item) for item in _gpu(gpu)], sheet)
    if summary.gpu_trouble:
        yield from fact("GPUs", [styled((summary.gpu_trouble, LABEL))], sheet)


def _table(memory: Mapping[str, ProcessMemory], sheet: Sheet) -> Iterable[Text]:
    columns = [
        Column("memory", right=False),
        Column("RSS max"),
        Column("end", rank=1),
        Column("growth, MB/h", rank=1),
        Column("95 % interval", rank=2, right=False),
        Column("USS", rank=1),
        Column("shared", rank=2),
        Column("files", rank=3),
        Column("threads", rank=3),
    ]
    rows = [[styled("  ", name), *map(styled, _cells(held))] for name, held in memory.items()]
    if not any(held.growth_mb_per_h for held in memory.values()):
        columns, rows = [*columns[:3], *columns[5:]], [[*row[:3], *row[5:]] for row in rows]
    return grid(columns, rows, sheet)


def _cells(held: ProcessMemory) -> list[str]:
    growth = held.growth_mb_per_h or Estimate(value=float("nan"))
    return [
        size(held.rss_max_bytes),
        size(held.rss_end_bytes),
        *interval(growth.value, growth.low, growth.high, most=1),
        _size(held.uss_bytes),
        _size(held.shm_bytes),
        MISSING if held.fds_max is None else f"{held.fds_max:,}",
        f"{held.threads_max:,}",
    ]


def _gpu(gpu: GpuUse) -> Iterator[str]:
    yield gpu.name
    if gpu.kernel_ran_pct is not None:
        yield f"a kernel ran {figure(gpu.kernel_ran_pct, most=1)} % of the time"
    if gpu.memory_max_bytes is not None:
        total = f" of {size(gpu.memory_total_bytes)}" if gpu.memory_total_bytes is not None else ""
        yield f"memory max {size(gpu.memory_max_bytes)}{total}"
    if held := in_order(gpu.process_memory_bytes):
        sizes = [name if size_bytes is None else f"{name} {size(size_bytes)}" for name, size_bytes in held.items()]
        yield f"held by {', '.join(sizes)}"
    if gpu.power_mean_w is not None and gpu.power_max_w is not None:
        yield f"{gpu.power_mean_w:.0f} W, max {gpu.power_max_w:.0f}"


def _size(held: int | None) -> str:
    return MISSING if held is None else size(held)
