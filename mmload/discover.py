"""A server's processes, their roles and ranks: by the port they listen on, by title, and by who started whom.

Linux only, as are the titles, the profiler's nonblocking mode and start times in clock ticks.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import msgspec
import psutil

from mmload.errors import ServerError
from mmload.model.records import Role

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
# sglang/srt/managers/scheduler.py: sglang::scheduler_DP0_PP0_TP1_EP1, in newer versions with _ATTN_CP0 and _MOE_DP0
_SCHEDULER = re.compile(r"^sglang::scheduler((?:(?:_[A-Z]+)+\d+)*)$")
_TP = re.compile(r"_TP(\d+)")
_CONTROLLER = "sglang::data_parallel_controller"


class ServerProcess(msgspec.Struct, frozen=True, kw_only=True):
    """One process of a server, or of the generator. A process is (pid, start_ticks): pids are used again.

    rank: the tensor-parallel rank of a scheduler, else None. name: unique in one server and the same in every run of
    it: 'tokenizer', 'scheduler_TP0' (also at TP 1; 'scheduler_DP0_TP1' with data parallelism), 'detokenizer',
    'other-1'.
    """

    pid: int
    start_ticks: int
    role: Role
    rank: int | None
    name: str


class ProcStat(NamedTuple):
    """/proc/PID/stat in part. cpu_s: cpu_user_s + cpu_system_s, of all threads; start_ticks: clock ticks since boot;
    state: of the main thread, a letter."""

    ppid: int
    start_ticks: int
    cpu_s: float
    cpu_user_s: float
    cpu_system_s: float
    threads: int
    rss_bytes: int
    state: str


def read_stat(pid: int) -> ProcStat | None:
    """None when the process is gone, a zombie included."""
    try:
        fd = os.open(f"/proc/{pid}/stat", os.O_RDONLY)
        try:
            line = os.read(fd, 2048)
        finally:
            os.close(fd)
    except (FileNotFoundError, ProcessLookupError, PermissionError):  # gone before or while it was read; hidden
        return None
    state, *field = line[line.rindex(b")") + 2 :].split()  # the name before it may hold blanks and brackets
    if state in b"ZXx":
        return None
    user_ticks, system_ticks = int(field[10]), int(field[11])
    return ProcStat(
        ppid=int(field[0]),
        start_ticks=int(field[18]),
        cpu_s=(user_ticks + system_ticks) / _TICKS_PER_S,
        cpu_user_s=user_ticks / _TICKS_PER_S,
        cpu_system_s=system_ticks / _TICKS_PER_S,
        threads=int(field[16]),
        rss_bytes=int(field[20]) * _PAGE_BYTES,
        state=state.decode(),
    )


def find_listener(port: int) -> int:
    """The pid that listens on a TCP port of this host: of several that share the socket, the one that started the
    others. Where the kernel hides whose a socket is, the one process with `--port PORT` on its command line that
    started a scheduler. Raises ServerError when there is none."""
    listening = [
        connection
        for connection in psutil.net_connections("tcp")
        if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port
    ]
    if not listening:
        raise ServerError(
            f"no process on this host listens on port {port}",
            "start the server, or correct --url; for one in a container name its processes with --pid",
        )
    pid, fd = listening[0].pid, listening[0].fd
    if pid is not None:
        return _first_holder(pid, fd)
    told = _told_to_listen_on(port)
    if len(told) != 1:
        raise ServerError(
            f"the process that listens on port {port} belongs to another user or container",
            "run mmload as that user or as root, or name the server's processes with --pid",
        )
    return told[0]


def _told_to_listen_on(port: int) -> list[int]:
    """The pids that started a scheduler and whose command line names the port, which everybody may read."""
    return [pid for pid in sorted(_starters(_all_stats())) if _names_port(_arguments(pid), port)]


def server_roots() -> list[int]:
    """The pids of the processes that started ranks, or the data-parallel controller that did; the roots of this host's
    servers. Who only adopted ranks, as init does when their starter ends, is in another session and no root."""
    stats = _all_stats()
    starters = {stats[pid].ppid if _title(pid) == _CONTROLLER else pid for pid in _starters(stats)}
    return sorted(starters & stats.keys())


def _starters(stats: dict[int, ProcStat]) -> set[int]:
    ranks = [(pid, stat.ppid) for pid, stat in stats.items() if _SCHEDULER.match(_title(pid))]
    return {ppid for pid, ppid in ranks if ppid in stats and _session(pid) == _session(ppid)}


def _session(pid: int) -> int | None:
    """None when it is gone."""
    with suppress(ProcessLookupError, PermissionError):
        return os.getsid(pid)
    return None


def _names_port(arguments: list[str], port: int) -> bool:
    return f"--port={port}" in arguments or ["--port", str(port)] in [list(pair) for pair in pairwise(arguments)]


def discover(root_pid: int) -> list[ServerProcess]:
    """The process `root_pid`, which listens, and all below it, the oldest first; empty when it is gone.

    Reads one small file a process of the host: a millisecond a hundred, so once a second is cheap.
    """
    stats = _all_stats()
    if root_pid not in stats:
        return []
    children: dict[int, list[int]] = {}
    for pid, stat in stats.items():
        children.setdefault(stat.ppid, []).append(pid)
    found, ahead = [], [root_pid]
    while ahead:
        pid = ahead.pop()
        found.append(pid)
        ahead += children.get(pid, [])
    return _named({pid: stats[pid] for pid in found}, root_pid)


def from_pids(pids: Iterable[int]) -> list[ServerProcess]:
    """The given processes alone; one without a title that started another of them is the tokenizer. Raises
    ServerError for a pid that is not there."""
    stats: dict[int, ProcStat] = {}
    for pid in pids:
        stat = read_stat(pid)
        if stat is None:
            raise ServerError(f"no process has the pid {pid}", "look the pids up again: --pid takes running processes")
        stats[pid] = stat
    parents = [stat.ppid for stat in stats.values() if stat.ppid in stats]
    return _named(stats, parents[0] if parents else None)


def verify_same(before: Iterable[ServerProcess], now: Iterable[ServerProcess]) -> list[str]:
    """A sentence for each scheduler, tokenizer or detokenizer that was lost, restarted or added between two
    discoveries; empty when they are the same. Helper processes may come and go."""
    old = {process.name: process for process in before if process.role != "other"}
    new = {process.name: process for process in now if process.role != "other"}
    changes = []
    for name, process in old.items():
        if name not in new:
            changes.append(f"{name} (pid {process.pid}) is gone")
        elif (process.pid, process.start_ticks) != (new[name].pid, new[name].start_ticks):
            changes.append(f"{name} was restarted: pid {process.pid} became {new[name].pid}")
    changes += [f"{name} (pid {process.pid}) appeared" for name, process in new.items() if name not in old]
    return changes


def _all_stats() -> dict[int, ProcStat]:
    pids = (int(entry) for entry in os.listdir("/proc") if entry.isdecimal())  # noqa: PTH208 (names only)
    return {pid: stat for pid in pids if (stat := read_stat(pid))}


def _first_holder(pid: int, fd: int) -> int:
    """The first of a line of ancestors that all have the socket `fd` of `pid` open: workers inherit it."""
    socket = _links(pid).get(fd)
    while socket and (stat := read_stat(pid)) and socket in _links(stat.ppid).values():
        pid = stat.ppid
    return pid


def _links(pid: int) -> dict[int, str]:
    """fd -> what it is, e.g. 'socket:[4711]'; empty where the kernel does not say."""
    links = {}
    with suppress(OSError):
        for entry in Path(f"/proc/{pid}/fd").iterdir():
            with suppress(FileNotFoundError):  # closed since
                links[int(entry.name)] = str(entry.readlink())
    return links


def _named(stats: dict[int, ProcStat], tokenizer_pid: int | None) -> list[ServerProcess]:
    processes: list[ServerProcess] = []
    taken: set[str] = set()
    for pid, stat in sorted(stats.items(), key=lambda item: (item[1].start_ticks, item[0])):
        role, rank, name = _classify(_title(pid), is_root=pid == tokenizer_pid)
        if role == "other" or name in taken:
            name = next(numbered for n in range(1, len(stats) + 2) if (numbered := f"{name}-{n}") not in taken)
        taken.add(name)
        processes.append(ServerProcess(pid=pid, start_ticks=stat.start_ticks, role=role, rank=rank, name=name))
    return processes


def _classify(title: str, *, is_root: bool) -> tuple[Role, int | None, str]:
    scheduler = _SCHEDULER.match(title)
    if scheduler:
        suffix = scheduler.group(1)
        tp = _TP.search(suffix)
        return "scheduler", int(tp.group(1)) if tp else 0, f"scheduler{suffix}{'' if tp else '_TP0'}"
    if title == "sglang::detokenizer":
        return "detokenizer", None, "detokenizer"
    if is_root or title.startswith("sglang::tokenizer_worker"):
        return "tokenizer", None, "tokenizer"
    return "other", None, "other"


def _title(pid: int) -> str:
    """What the process calls itself: setproctitle writes it over the whole command line and pads it with NULs."""
    return _arguments(pid, 256)[0]


def _arguments(pid: int, most_bytes: int = 65536) -> list[str]:
    """Its command line; one empty word when it can't be read."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:  # noqa: PTH123 (a quarter of the cost of Path)
            return file.read(most_bytes).decode(errors="replace").split("\0")
    except OSError:
        return [""]
