"""What the server's processes, the host's /dev/shm and its GPUs held in the measure window."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import TypeVar

from mmload.analyse.blocks import TWO_SIDED_95
from mmload.analyse.cpu import ProcessSeries, rss_max_bytes
from mmload.analyse.leak import rss_growth_mb_per_h
from mmload.analyse.load import Window
from mmload.model.records import GpuSample, HostSample
from mmload.model.result import Estimate, GpuUse, ProcessMemory, ShmUse

_GROWTH_FROM_S = 300.0  # of a shorter window the second half is warm-up too, and its bounds are gigabytes an hour

Number = TypeVar("Number", int, float)


def process_memory(series: ProcessSeries, window: Window) -> ProcessMemory | None:
    """None where the process was not sampled in the window."""
    inside = series.within(window)
    if not inside.any():
        return None
    fds_max = int(series.fds[inside].max())
    growth = rss_growth_mb_per_h(series, window, TWO_SIDED_95) if window.length_s >= _GROWTH_FROM_S else None
    held = [one for one in series.held if one.t_ns <= window.end_ns]
    return ProcessMemory(
        rss_max_bytes=rss_max_bytes(series, window),
        rss_end_bytes=int(series.rss_bytes[inside][-1]),
        uss_bytes=_last([one.uss_bytes for one in held]),
        shm_bytes=_last([one.shm_bytes for one in held]),
        fds_max=None if fds_max < 0 else fds_max,
        threads_max=int(series.threads[inside].max()),
        growth_mb_per_h=Estimate(value=growth.value, low=growth.low, high=growth.high) if growth else None,
    )


def shm_use(samples: Iterable[HostSample], window: Window) -> ShmUse | None:
    """Of /dev/shm, whoever holds it; None where nobody looked or the host has none."""
    used = [s.shm_used_bytes for s in _within(samples, window) if s.shm_used_bytes is not None]
    return ShmUse(start_bytes=used[0], max_bytes=max(used), end_bytes=used[-1]) if used else None


def gpu_use(samples: Iterable[HostSample], window: Window) -> list[GpuUse]:
    """Of each GPU that was sampled in the window, by index."""
    by_index: defaultdict[int, list[GpuSample]] = defaultdict(list)
    for sample in _within(samples, window):
        for gpu in sample.gpus:
            by_index[gpu.index].append(gpu)
    return [_gpu(by_index[index]) for index in sorted(by_index)]


def lost_gpus(samples: Iterable[HostSample]) -> list[str]:
    """What went wrong with GPUs that had been seen: one sentence each."""
    seen, troubles = False, []
    for sample in _by_time(samples):
        if sample.gpu_trouble and seen:
            troubles.append(sample.gpu_trouble)
        seen = seen or bool(sample.gpus)
    return troubles


def gpu_trouble(samples: Iterable[HostSample]) -> str | None:
    """Why there are no figures of GPUs, or of some; None where nothing was wrong."""
    return "; ".join(sample.gpu_trouble for sample in _by_time(samples) if sample.gpu_trouble) or None


def _gpu(samples: Sequence[GpuSample]) -> GpuUse:
    held: defaultdict[str, list[int | None]] = defaultdict(list)
    for sample in samples:
        for process, size in sample.process_memory_bytes.items():
            held[process].append(size)
    power_w = _known(sample.power_w for sample in samples)
    ran_pct = _known(sample.kernel_ran_pct for sample in samples)
    return GpuUse(
        index=samples[0].index,
        name=samples[0].name,
        samples=len(samples),
        kernel_ran_pct=sum(ran_pct) / len(ran_pct) if ran_pct else None,
        memory_max_bytes=max(_known(sample.memory_used_bytes for sample in samples), default=None),
        memory_total_bytes=_last([sample.memory_total_bytes for sample in samples]),
        power_mean_w=sum(power_w) / len(power_w) if power_w else None,
        power_max_w=max(power_w, default=None),
        process_memory_bytes={process: max(_known(sizes), default=None) for process, sizes in sorted(held.items())},
    )


def _within(samples: Iterable[HostSample], window: Window) -> list[HostSample]:
    return [sample for sample in _by_time(samples) if window.start_ns <= sample.t_ns <= window.end_ns]


def _by_time(samples: Iterable[HostSample]) -> list[HostSample]:
    return sorted(samples, key=lambda sample: sample.t_ns)


def _known(values: Iterable[Number | None]) -> list[Number]:
    return [value for value in values if value is not None]


def _last(values: Iterable[int | None]) -> int | None:
    return next(reversed(_known(values)), None)
