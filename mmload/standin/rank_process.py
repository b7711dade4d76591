"""The process of one rank: `python -m mmload.standin.rank_process SPEC`, started and ended by the front end."""

from __future__ import annotations

import signal
import socket
import sys
from pathlib import Path

import msgspec
import setproctitle
import zmq

from mmload.errors import ServerDied
from mmload.handoff.counters import CounterTable
from mmload.handoff.registry import strategy_class
from mmload.standin.collective import Collective
from mmload.standin.config import DeviceModel
from mmload.standin.host import RankHost
from mmload.standin.memory import keep_freed_memory
from mmload.standin.rank import Scheduler
from mmload.tether import die_with_parent


class RankSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What a rank is told at its start. parent_fd, child_fds: its inherited ends of the tree of sockets."""

    rank: int
    size: int
    variant: str
    requests_address: str
    replies_address: str
    counters_path: str
    parent_pid: int
    parent_fd: int | None
    child_fds: dict[int, int]
    poll_on_idle: bool
    device: DeviceModel


def process_name(rank: int) -> str:
    """The name of a rank in metrics and files."""
    return f"scheduler_TP{rank}"


def main() -> None:
    spec = msgspec.json.decode(sys.argv[1], type=RankSpec)
    if sys.platform.startswith("linux"):
        die_with_parent(spec.parent_pid, signal.SIGKILL)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the front end ends its ranks
    keep_freed_memory()
    setproctitle.setproctitle("sglang::scheduler" + (f"_TP{spec.rank}" if spec.size > 1 else ""))
    collective = Collective(
        spec.rank,
        None if spec.parent_fd is None else socket.socket(fileno=spec.parent_fd),
        {rank: socket.socket(fileno=fd) for rank, fd in spec.child_fds.items()},
        spin=spec.poll_on_idle,
    )
    counters = CounterTable(Path(spec.counters_path)).counters(process_name(spec.rank))
    host = RankHost(spec.rank, spec.size, collective, counters)
    strategy = strategy_class(spec.variant)(host)
    with zmq.Context() as context, context.socket(zmq.PULL) as inbox, context.socket(zmq.PUSH) as outbox:
        outbox.set(zmq.LINGER, 1000)
        outbox.connect(spec.replies_address)
        if host.is_entry:
            inbox.set(zmq.RCVHWM, 0)
            inbox.bind(spec.requests_address)
        try:
            Scheduler(host, strategy, spec.device, inbox, outbox, spec.poll_on_idle).event_loop()
        except ServerDied as error:
            sys.exit(f"mmload stand-in: {error}")
        finally:
            strategy.close()
            collective.close()


if __name__ == "__main__":
    main()
