"""The process of one rank: `python -m mmload.standin.rank_process SPEC`, started and ended by the front end."""

from __future__ import annotations

import signal
import socket
import sys
from pathlib import Path
from typing import Any

import msgspec
import setproctitle
import zmq

from mmload.errors import ServerDied
from mmload.handoff.counters import CounterTable
from mmload.handoff.registry import strategy_class
from mmload.standin.collective import Collective
from mmload.standin.config import DeviceModel
from mmload.standin.gloo import GlooCollective, join_groups
from mmload.standin.host import RankHost
from mmload.standin.memory import keep_freed_memory
from mmload.standin.rank import Scheduler
from mmload.tether import die_with_parent


class TreeFds(msgspec.Struct, frozen=True):
    """A rank's inherited ends of one tree of sockets (collective.py). parent: None on rank 0. children: rank -> end."""

    parent: int | None
    children: dict[int, int]

    def all(self) -> list[int]:
        return [*self.children.values(), *([] if self.parent is None else [self.parent])]

    def collective(self, rank: int, group: Any = None) -> Collective:
        """The rank's end of a Collective, made of them. group: of gloo, to broadcast in."""
        parent = None if self.parent is None else socket.socket(fileno=self.parent)
        children = {child: socket.socket(fileno=fd) for child, fd in self.children.items()}
        if group is None:
            return Collective(rank, parent, children)
        return GlooCollective(rank, parent, children, group)


class RankSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What a rank is told at its start. tree: of the scheduler's own collectives. second_tree: for a background thread
    of its strategy. modelled_s: how long a build takes, asleep; None: it is done. gloo_store: where ranks find one
    another that broadcast by gloo (`join_groups`); None: they do it over their trees."""

    rank: int
    size: int
    variant: str
    requests_address: str
    replies_address: str
    counters_path: str
    parent_pid: int
    tree: TreeFds
    second_tree: TreeFds
    poll_on_idle: bool
    device: DeviceModel
    modelled_s: float | None = None
    gloo_store: str | None = None


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
    groups = join_groups(spec.rank, spec.size, Path(spec.gloo_store), count=2) if spec.gloo_store else (None, None)
    collective = spec.tree.collective(spec.rank, groups[0])
    second = spec.second_tree.collective(spec.rank, groups[1])
    counters = CounterTable(Path(spec.counters_path)).counters(process_name(spec.rank))
    host = RankHost(spec.rank, spec.size, collective, second, counters, spec.modelled_s)
    strategy = strategy_class(spec.variant)(host)
    host.strategy_is_made()
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
            second.shut_down()


if __name__ == "__main__":
    main()
