"""Which processes of this host an agent may look at: those that it was told of, and those of SGLang servers."""

from __future__ import annotations

from collections.abc import Iterable

from mmload.discover import ServerProcess, discover, find_listener, from_pids, server_roots
from mmload.errors import MmloadError, ServerError
from mmload.observe.agent_protocol import ProcessId, Sought
from mmload.observe.local import LocalObserver, identity


class Refused(MmloadError):
    """A request that is not granted. status: of HTTP. reason: for the agent's own log, where it says more."""

    def __init__(self, status: int, message: str, hint: str = "", reason: str = "") -> None:
        super().__init__(message, hint)
        self.status = status
        self.reason = reason or message


class Permits:
    """pids: granted whatever they are, as long as each is the process that it was at the start. ports: where given,
    servers that listen on others are not granted; one that listens on these is, whatever it is.

    Raises ServerError for a pid that is not there.
    """

    def __init__(self, pids: Iterable[int] = (), ports: Iterable[int] = ()) -> None:
        self._told = {(process.pid, process.start_ticks) for process in from_pids(pids)}
        self._ports = frozenset(ports)
        self._servers: dict[int, tuple[int, int]] = {}  # by port: to find a listener takes tens of milliseconds

    def observer(self, sought: Sought) -> LocalObserver:
        """Of the sought processes, if all are granted. Raises Refused, with the same words whether something that is
        not granted is there or not."""
        if sought.pids:
            foreign = sorted(set(sought.pids) - self._granted(sought.pids))
            if foreign:
                raise Refused(
                    403,
                    f"pid {foreign[0]} is none that this agent may look at",
                    "start the agent with --pid for it; ranks of SGLang, and what they belong to, need none",
                )
            return LocalObserver(pids=sought.pids)
        if sought.port is None:
            raise Refused(400, "neither a port nor a pid is given")
        return LocalObserver(root=self._root(sought.port))

    def _root(self, port: int) -> int:
        """Of the server on a port; the one that was granted before, for as long as it lives."""
        known = self._servers.get(port)
        if known is None or identity(known[0]) != known:
            known = identity(self._listener(port)) or (0, 0)  # gone since: nothing has the pid 0
            self._servers[port] = known
        return known[0]

    def _listener(self, port: int) -> int:
        refused = Refused(
            403,
            f"no SGLang server that this agent may look at listens on port {port}",
            "start the server first, or the agent with --port for it, or name its processes there by --pid",
        )
        if self._ports and port not in self._ports:
            refused.reason = f"not told of port {port}"
            raise refused
        try:
            root = find_listener(port)
        except ServerError as error:
            refused.reason = f"{error}: {error.hint}"
            raise refused from error
        if not self._ports and root not in server_roots():
            refused.reason = f"pid {root}, which listens on port {port}, has started no ranks of SGLang"
            raise refused
        return root

    def _granted(self, pids: Iterable[int]) -> set[int]:
        told = {pid for pid in pids if identity(pid) in self._told}
        return told | {process.pid for root in self._roots() for process in discover(root)}

    def _roots(self) -> list[int]:
        if not self._ports:
            return server_roots()
        roots = []
        for port in self._ports:
            try:
                roots.append(find_listener(port))
            except ServerError:  # nothing listens there now
                continue
        return roots


def among(found: Iterable[ServerProcess], asked: Iterable[ProcessId]) -> list[ServerProcess]:
    """Those of the found processes that are asked for; one that has ended since is left out. Raises Refused for any
    other."""
    wanted = {(one.pid, one.start_ticks) for one in asked}
    here = [process for process in found if (process.pid, process.start_ticks) in wanted]
    for pid, start_ticks in sorted(wanted - {(process.pid, process.start_ticks) for process in here}):
        if identity(pid) == (pid, start_ticks):
            raise Refused(403, f"pid {pid} is none of the server's", reason=f"pid {pid} is none of those sought")
    return here
