"""What looking cost, and whether the profile window still shows the load that was measured.

The profile window repeats the measured one with a profiler attached. Figures of the two are compared as ratios of means
(of service times: medians) over blocks of time (blocks.py), with the interval of two independent ones. A ratio is held
against the profile only where its whole interval lies beyond a tolerance: two windows of one run differ by themselves,
and bench/looking.py measures how often by how much.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping

import msgspec
import numpy as np
from numpy.typing import NDArray

from mmload.analyse.blocks import TWO_SIDED_95, block_edges_ns, mean_bounds, median_bounds
from mmload.analyse.cpu import Interval, ProcessSeries, block_total_pct
from mmload.analyse.cpu_work import WorkShare
from mmload.analyse.load import Window, answers_per_block
from mmload.analyse.ratio import ratio_of_intervals
from mmload.model.manifest import Manifest, Stall
from mmload.model.result import Estimate, Looking
from mmload.store.read import Run
from mmload.store.requests import ABSENT, RequestTable

# bench/looking.py: of 600 pairs of windows with nothing attached in either, no interval lay further off 1 than 0.05
# (requests, answers), 0.10 (service time), 0.11 (CPU).
LOAD_TOLERANCE = 0.1
CPU_TOLERANCE = 0.2
CPU_TOLERANCE_PCT = 3.0  # of a core: where a process does little, a clock tick now and then is a large share of it
SLOWED_TOLERANCE = 0.1

Values = NDArray[np.float64]


def looking(run: Run, processes: Mapping[str, ProcessSeries], measured: Window) -> Looking:
    """What looking at `processes` cost and, where there is a load, the profile window beside the measured one."""
    manifest, found = run.manifest, Looking()
    profiled = profile_window(manifest)
    if profiled is not None:
        spent_s = {file.process: sum(segment.cpu_s for segment in file.segments) for file in manifest.profile.files}
        if manifest.kind == "run":
            subjects = {name: processes[name] for name in spent_s if name in processes}
            found = compare(run.requests, subjects, profiled, measured)
            if reason := _stood_still(manifest.stalls, profiled, measured):
                found = msgspec.structs.replace(found, no_evidence=dict.fromkeys(subjects, reason))
        py_spy_pct = {name: 100 * cpu_s / profiled.length_s for name, cpu_s in spent_s.items()}
        found = msgspec.structs.replace(found, py_spy_pct=py_spy_pct)
    cost = manifest.looking
    if cost is None or cost.span_s <= 0:
        return found
    return msgspec.structs.replace(
        found,
        sampling_pct=100 * cost.sampling_cpu_s / cost.span_s,
        scraping_pct=100 * cost.scraping_cpu_s / cost.span_s,
        driver_pct=100 * cost.driver_cpu_s / cost.span_s,
    )


def compare(
    requests: RequestTable, processes: Mapping[str, ProcessSeries], profiled: Window, measured: Window
) -> Looking:
    """Two windows of one run: every ratio that there is enough for, and what follows from them."""
    windows = profiled, measured
    load = _ratio(_mean, *(_sent_per_block(requests, window) for window in windows))
    rate = _ratio(_mean, *(answers_per_block(requests, window) for window in windows))
    service = _ratio(_median, *(_service_per_block(requests, window) for window in windows))
    cpu = {
        name: ratio
        for name, series in processes.items()
        if (ratio := _ratio(_mean, *(block_total_pct(series, window) for window in windows)))
    }
    measured_pct = {name: float(block_total_pct(processes[name], measured).mean()) for name in cpu}
    return Looking(
        load=None if load is None else _estimate(load),
        rate=None if rate is None else _estimate(rate),
        service_p50=None if service is None else _estimate(service),
        cpu_total={name: _estimate(ratio) for name, ratio in cpu.items()},
        cpu_per_request={
            name: _estimate(ratio_of_intervals(ratio, rate)) for name, ratio in cpu.items() if rate and rate.value
        },
        slowed=_slowed(service, rate),
        no_evidence=_no_evidence(processes, load, cpu, measured_pct),
    )


def profile_window(manifest: Manifest) -> Window | None:
    """While profilers sampled; None when none ever did."""
    phase = next((phase for phase in manifest.phases if phase.name == "profile"), None)
    return Window(phase.start_ns, phase.end_ns, complete=True) if phase and phase.end_ns > phase.start_ns else None


def distrust(shares: Mapping[str, WorkShare], found: Looking) -> dict[str, WorkShare]:
    """The shares, those that are no evidence with the reason as their trouble."""
    return {
        name: msgspec.structs.replace(share, trouble=share.trouble or found.no_evidence.get(name))
        for name, share in shares.items()
    }


def looking_warnings(found: Looking) -> list[str]:
    """What a reader of the shares must know, one sentence each."""
    by_reason: dict[str, list[str]] = {}
    for name, reason in found.no_evidence.items():
        by_reason.setdefault(reason, []).append(name)
    distrusted = [f"the stacks of {', '.join(names)} are no evidence: {reason}" for reason, names in by_reason.items()]
    return [*distrusted, *found.slowed]


def _ratio(figure_of: Callable[[Values], Interval | None], profiled: Values, measured: Values) -> Interval | None:
    """None where one of them has too few blocks, or there was nothing to compare with."""
    figure, other = figure_of(profiled), figure_of(measured)
    if figure is None or other is None or other.value <= 0:
        return None
    return ratio_of_intervals(figure, other) if figure.value > 0 else Interval(0.0, 0.0, 0.0)


def _mean(blocks: Values) -> Interval | None:
    bounds = mean_bounds(blocks, TWO_SIDED_95)
    return Interval(float(blocks.mean()), *bounds) if bounds else None


def _median(blocks: Values) -> Interval | None:
    """A server that a profiler stops again and again answers in times of any shape: only their order is relied upon."""
    bounds = median_bounds(blocks, TWO_SIDED_95)
    return Interval(float(np.median(blocks)), *bounds) if bounds else None


def _sent_per_block(requests: RequestTable, window: Window) -> Values:
    """Requests sent per second in each block, whatever became of them."""
    edges = block_edges_ns(window.start_ns, window.end_ns)
    if not len(edges):
        return np.empty(0)
    sent_ns = requests.sent_ns[requests.sent_ns != ABSENT]
    return np.asarray(np.histogram(sent_ns, edges)[0] / (np.diff(edges) / 1e9), np.float64)


def _service_per_block(requests: RequestTable, window: Window) -> Values:
    """The median service time of the correct answers in each block in which there were any, by when they were done."""
    edges = block_edges_ns(window.start_ns, window.end_ns)
    if not len(edges):
        return np.empty(0)
    ok = requests.is_ok & (requests.sent_ns != ABSENT)
    done_ns, service_ns = requests.done_ns[ok], (requests.done_ns - requests.sent_ns)[ok]
    block = np.searchsorted(edges, done_ns, side="right") - 1
    medians = [np.median(own) for place in range(len(edges) - 1) if len(own := service_ns[block == place])]
    return np.asarray(medians, np.float64)


def _no_evidence(
    names: Iterable[str], load: Interval | None, cpu: Mapping[str, Interval], measured_pct: Mapping[str, float]
) -> dict[str, str]:
    if load and _is_beyond(load, LOAD_TOLERANCE):
        reason = f"the profile window had {_times(load)} the requests per second of the measured one"
        return dict.fromkeys(names, reason)
    return {
        name: f"it took {_times(ratio)} the CPU of the measured window while it was profiled"
        for name, ratio in cpu.items()
        if _is_beyond(ratio, max(CPU_TOLERANCE, CPU_TOLERANCE_PCT / measured_pct[name]))
    }


def _stood_still(stalls: Iterable[Stall], profiled: Window, measured: Window) -> str | None:
    """Why the shares of the one window say nothing of the other, where the server stood still in one of them only: the
    requests sent and the CPU of ranks that poll are the same then, but not what the CPU was burnt on."""
    stalls = list(stalls)
    profiled_s, measured_s = (
        sum(
            max(0, min(stall.end_ns or window.end_ns, window.end_ns) - max(stall.start_ns, window.start_ns)) / 1e9
            for stall in stalls
        )
        for window in (profiled, measured)
    )
    if abs(profiled_s / profiled.length_s - measured_s / measured.length_s) <= LOAD_TOLERANCE:
        return None
    return (
        f"the server stood still for {profiled_s:.1f} of the {profiled.length_s:.1f} s of the profile window, and for "
        f"{measured_s:.1f} of the {measured.length_s:.1f} s of the measured one"
    )


def _slowed(service: Interval | None, rate: Interval | None) -> list[str]:
    slower = []
    if service and service.low > 1 + SLOWED_TOLERANCE:
        slower.append(f"its median service time was {_times(service)} as long")
    if rate and rate.high < 1 - SLOWED_TOLERANCE:
        slower.append(f"it gave {_times(rate)} the answers per second")
    return [f"while it was profiled the server was slower: {how}" for how in slower]


def _is_beyond(ratio: Interval, tolerance: float) -> bool:
    return ratio.low > 1 + tolerance or ratio.high < 1 - tolerance


def _times(ratio: Interval) -> str:
    return f"{ratio.value:.2f} times ({ratio.low:.2f} to {ratio.high:.2f})"


def _estimate(ratio: Interval) -> Estimate:
    """JSON has no word for an interval that is open above."""
    return Estimate(value=ratio.value, low=ratio.low, high=ratio.high if math.isfinite(ratio.high) else None)
