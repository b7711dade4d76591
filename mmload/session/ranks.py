"""The scheduler ranks of a server, as the manifest names them."""

from __future__ import annotations

from collections.abc import Iterable

from mmload.discover import ServerProcess
from mmload.model.manifest import RankInfo
from mmload.serve.client import ServerInfo


def rank_infos(processes: Iterable[ServerProcess], info: ServerInfo | None) -> list[RankInfo]:
    """Each rank that was found, with what it says of itself. Data-parallel ranks have the same number in each replica,
    so a rank is known by its pid; by its number where the server counts pids from another beginning (a container)."""
    words = info.announcement.ranks if info and info.announcement else []
    by_pid = {word.pid: word.variant for word in words}
    by_rank = {word.rank: word.variant for word in words}
    processes = list(processes)
    same_pids = any(process.pid in by_pid for process in processes)
    return [
        RankInfo(
            rank=process.rank,
            pid=process.pid,
            start_ticks=process.start_ticks,
            variant=by_pid.get(process.pid) if same_pids else by_rank.get(process.rank),
            name=process.name,
        )
        for process in processes
        if process.rank is not None
    ]
