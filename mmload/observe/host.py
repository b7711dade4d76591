"""What a host is, for the manifest."""

from __future__ import annotations

import contextlib
import os
import platform
import socket
from pathlib import Path


def host_facts() -> dict[str, object]:
    """Name, processor, cores, memory and kernel of this host."""
    return {
        "name": socket.gethostname(),
        "cpu": _cpu_model(),
        "cores": os.cpu_count() or 0,
        "memory_bytes": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "kernel": platform.platform(),
    }


def _cpu_model() -> str:
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor()
