"""What the summary says of the CPU of one process."""

from __future__ import annotations

from mmload.analyse.blocks import TWO_SIDED_95
from mmload.analyse.cpu import (
    Interval,
    ProcessSeries,
    rss_max_bytes,
    system_pct,
    total_interval,
    total_pct,
    work_interval,
)
from mmload.analyse.cpu_work import WorkShare
from mmload.analyse.load import Window
from mmload.analyse.phase_costs import burnt, phase_cpu
from mmload.model.result import ProcessCpu


def process_cpu(
    series: ProcessSeries, share: WorkShare | None, window: Window, answers_rps: float
) -> ProcessCpu | None:
    """None where the process was sampled too little to say anything. answers_rps: correct answers a second."""
    value = total_pct(series, window)
    if value is None:
        return None
    total, system = total_interval(series, window), system_pct(series, window)
    work = work_interval(total or Interval(value, value, value), share.work) if share and share.work else None
    return ProcessCpu(
        total_pct=value,
        total_low=total.low if total else None,
        total_high=total.high if total else None,
        user_pct=None if system is None else value - system,
        system_pct=system,
        work_pct=work.value if work else None,
        work_low=work.low if work and total else None,
        work_high=work.high if work and total else None,
        native_pct=value * share.native if share else None,
        rss_max_bytes=rss_max_bytes(series, window),
        samples=int(series.within(window).sum()),
        stack_samples=share.samples if share else 0,
        profile_trouble=share.trouble if share else None,
        phases={phase: part.value for phase, part in share.phases.items()} if share else {},
        by_phase=phase_cpu(share, burnt(series, share, window, TWO_SIDED_95), answers_rps) if share else {},
        hottest=share.hottest if share else [],
        other=share.other if share else [],
    )
