"""What the kernel says of a process: whether it runs, waits or was stopped, and where. Reads /proc; Linux only."""

from __future__ import annotations

import os

from mmload.discover import ServerProcess, read_stat
from mmload.observe.observer import KernelWord


def kernel_word(process: ServerProcess) -> KernelWord | None:
    """None when it is gone, a zombie included. Stopped by a py-spy of this program's own (native profiles stop what
    they read) is not said to be stopped."""
    stat = read_stat(process.pid)
    if stat is None or stat.start_ticks != process.start_ticks:
        return None
    is_ours = stat.state == "t" and _started_here(_tracer(process.pid))
    waits_in, ran = _read(process.pid, "wchan").strip(), _read(process.pid, "schedstat").split()
    return KernelWord(
        state="S" if is_ours else stat.state,
        waits_in="" if waits_in == "0" else waits_in,
        ran_ns=int(ran[0]) if ran else None,
    )


def _read(pid: int, name: str) -> str:
    """Empty where it is gone, or where the kernel does not say."""
    try:
        fd = os.open(f"/proc/{pid}/{name}", os.O_RDONLY)
        try:
            return os.read(fd, 8192).decode(errors="replace")
        finally:
            os.close(fd)
    except OSError:
        return ""


def _tracer(pid: int) -> int:
    """Who stopped it; 0 when nobody did."""
    lines = (line.split() for line in _read(pid, "status").splitlines())
    return next((int(line[1]) for line in lines if line[0] == "TracerPid:"), 0)


def _started_here(pid: int) -> bool:
    """By this process, itself or by a child of its own."""
    while pid > 1 and pid != os.getpid():
        stat = read_stat(pid)
        pid = stat.ppid if stat else 0
    return pid == os.getpid()
