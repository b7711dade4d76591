"""What a run is aimed at: a URL and the processes behind it, started here or attached to."""

from __future__ import annotations

import ipaddress
import socket
import time
from collections.abc import Callable
from pathlib import Path

import psutil

from mmload.discover import ServerProcess
from mmload.errors import ServerError, UsageError
from mmload.model.plan import Access, Plan
from mmload.serve.client import ServerClient, ServerInfo
from mmload.serve.engines import start_command
from mmload.serve.process import StartedServer, free_port

_READY_TIMEOUT_S = {"sglang": 1800.0}  # by engine: a large model is read from a disk
_OTHERS_READY_TIMEOUT_S = 300.0
_STOCK_OF_STANDIN = "original"  # what its ranks say when they run nothing special


class Target:
    """A server under test. `processes` is what was found when it was ready."""

    def __init__(self, url: str, server: StartedServer | None, access: Access | None = None) -> None:
        self.client = ServerClient(url, access)
        self.processes: list[ServerProcess] = []
        self._server = server

    @property
    def url(self) -> str:
        return self.client.url

    @property
    def pid(self) -> int | None:
        """Of a server that was started here."""
        return self._server.pid if self._server else None

    @property
    def is_owned(self) -> bool:
        """True when mmload started it, and so may end it."""
        return self._server is not None

    def wait_until_ready(self, keep_going: Callable[[], object], engine: str | None = None) -> None:
        """Return when it is healthy; waits by calling `keep_going`. Raises ServerError when it ends or times out;
        a server that was attached to is given one look only."""
        timeout_s = _READY_TIMEOUT_S.get(engine or "", _OTHERS_READY_TIMEOUT_S)
        deadline = time.monotonic() + timeout_s
        while not self.client.is_healthy(timeout_s=5.0):
            self.refuse_dead()
            if self._server is None:
                self.client.info(timeout_s=5.0)  # says what is wrong, if nobody answers at all
                raise ServerError(f"{self.url} is up but not healthy (/health does not answer 200)")
            if time.monotonic() > deadline:
                raise ServerError(f"the server was not ready within {timeout_s:g} s", "see logs/server.log")
            keep_going()

    def refuse_dead(self, within_s: float = 0.0) -> None:
        """Raise ServerDied if a server that was started here has ended, or does so within that time."""
        if self._server is not None:
            self._server.refuse_dead(within_s)

    def stop(self) -> None:
        """End it if it was started here; a server that was attached to is left alone."""
        if self._server is not None:
            self._server.stop()


def preflight(plan: Plan) -> str:
    """Whether the plan's server can be aimed at, before anything is made or started; its variant.

    That of an attached server is its own word unless the plan asks for one; stock when nobody says. Raises UsageError
    or ServerError.
    """
    if plan.url is not None:
        server = ServerClient(plan.url, plan.access)
        server.is_healthy(timeout_s=5.0)  # SGLang answers /server_info only after the first request of another kind
        announcement = server.info().announcement
        return plan.variant or (announcement.variant if announcement else "stock")
    _start_command(plan, plan.port or 1)
    if plan.port is not None:
        _refuse_taken(plan.port)
    return plan.variant or "stock"


def aim(plan: Plan, log: Path) -> Target:
    """Start the plan's engine, or point at its URL. Raises ServerError; does not wait for readiness."""
    if plan.url is not None:
        return Target(plan.url, server=None, access=plan.access)
    port = plan.port or free_port()
    return Target(f"http://127.0.0.1:{port}", StartedServer(_start_command(plan, port), log))


def _start_command(plan: Plan, port: int) -> list[str]:
    engine, variant = plan.engine or "", plan.variant or "stock"
    return start_command(engine, port=port, tp=plan.tp, variant=variant, model=plan.model, args=plan.engine_args)


def check_ready_for(info: ServerInfo, modalities: set[str], variant: str | None) -> None:
    """Raise UsageError when the server can't take what the workload sends, ServerError when a rank runs another
    variant than asked for."""
    if modalities & {"image", "images", "video", "mixed"} and info.images is False:
        raise UsageError(
            f"the server's model {info.model} takes text only, and the workload sends images or video",
            "serve a vision-language model, or choose a text workload: --workload text",
        )
    if "audio" in modalities and info.audio is False:
        raise UsageError(f"the server's model {info.model} takes no audio", "choose another workload")
    if info.announcement is None:
        if variant not in (None, "stock"):
            raise ServerError(
                f"the server does not say which variant it runs, so it can't be measured as {variant!r}",
                "leave --variant out to measure the server as it is (stock)",
            )
        return
    wanted = variant or info.announcement.variant
    said = {rank.rank: rank.variant for rank in info.announcement.ranks}
    same = {wanted, _STOCK_OF_STANDIN} if wanted == "stock" else {wanted}
    wrong = [f"rank {rank} runs {name}" for rank, name in sorted(said.items()) if name not in same]
    if wrong:
        raise ServerError(f"asked for variant {wanted}, but {', '.join(wrong)}")


def is_this_host(host: str) -> bool:
    """True when the server's processes are ours to see. Raises ServerError on a name without an address."""
    try:
        addresses = {info[4][0] for info in socket.getaddrinfo(host, None)}
    except OSError as error:
        raise ServerError(f"cannot resolve {host}: {error.strerror}") from error
    own = {entry.address for entries in psutil.net_if_addrs().values() for entry in entries}
    return all(ipaddress.ip_address(address).is_loopback or address in own for address in addresses)


def _refuse_taken(port: int) -> None:
    with socket.socket() as probe:
        if probe.connect_ex(("127.0.0.1", port)) == 0:
            raise ServerError(
                f"port {port} is in use", "choose another with --port, or attach to it: --url http://127.0.0.1:PORT"
            )
