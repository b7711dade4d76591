"""How a host is just before a run is started on it, so that a reader can tell whether two runs met the same host."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from mmload.model.campaign import HostState
from mmload.observe.cpu import sample_host

_LOOK_S = 1.0
_THROTTLED = "sys/devices/system/cpu/cpu*/thermal_throttle/core_throttle_count"


def host_state(wait: Callable[[float], None] = time.sleep, root: Path = Path("/")) -> HostState:
    """The host over the next second. wait: lets so many seconds pass. root: where the kernel's files are."""
    before = sample_host()
    wait(_LOOK_S)
    after = sample_host()
    available_s = max(1, after.t_ns - before.t_ns) / 1e9 * after.cores
    busy = min(1.0, (after.cpu_busy_s - before.cpu_busy_s) / available_s)
    return HostState(
        t_ns=after.t_ns,
        load_1m=after.load_1m,
        cpu_busy_pct=round(100 * busy, 1),
        memory_available_bytes=after.memory_available_bytes,
        cpu_mhz=_cpu_mhz(),
        throttled=_throttled(root),
    )


def _cpu_mhz() -> float | None:
    with contextlib.suppress(OSError, NotImplementedError):
        clock = psutil.cpu_freq()
        return float(clock.current) if clock and clock.current > 0 else None
    return None


def _throttled(root: Path) -> int | None:
    """Over all cores; None where the kernel counts none."""
    files = sorted(root.glob(_THROTTLED))
    with contextlib.suppress(OSError, ValueError):
        return sum(int(file.read_text(encoding="ascii")) for file in files) if files else None
    return None
