"""`mmload agent`: the samplers and the profiler of this host, for a driver elsewhere."""

from __future__ import annotations

import logging
import secrets
import shutil
import socket
import sys
import time
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mmload.commands.options import address, whole
from mmload.errors import UsageError

if TYPE_CHECKING:
    import ssl

_SHORTEST_TOKEN = 16


def agent(
    listen: Annotated[str, typer.Option(metavar="HOST:PORT", help="Port 0 takes a free one.")] = "127.0.0.1:5560",
    token_env: Annotated[
        str, typer.Option(help="Environment variable that holds the bearer token; unset: one is made and shown.")
    ] = "MMLOAD_AGENT_TOKEN",  # noqa: S107 (the name of a variable)
    cert: Annotated[Path | None, typer.Option(metavar="FILE", help="Certificate chain (PEM): serve TLS.")] = None,
    key: Annotated[Path | None, typer.Option(metavar="FILE", help="Its private key (PEM).")] = None,
    pid: Annotated[list[int] | None, typer.Option(help="A process to look at, whatever it is (repeatable).")] = None,
    port: Annotated[
        list[int] | None,
        typer.Option(
            help="Only the servers on these ports, whatever they are (repeatable); default any SGLang server."
        ),
    ] = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Listen beyond this host without TLS: others can read the token.")
    ] = False,
) -> None:
    """Serve the samplers and the profiler of this host to a driver elsewhere, until Ctrl-C.

    The driver, with the same token: mmload run --url http://HOST:30000 --agent http://HOST:5560
    """
    host, listen_port = address(listen, "--listen")
    for one in port or []:
        whole(one, "--port", 1, 65535)
    tls = _tls(cert, key)
    if tls is None and not insecure and not _is_loopback(host):
        raise UsageError(
            f"{host} can be reached from other hosts, and without TLS they can read the token",
            "give --cert and --key, listen on 127.0.0.1 behind an ssh tunnel, or say --insecure",
        )
    token = _token(token_env)
    raise typer.Exit(_serve(host, listen_port, token, tls, pid or [], port or []))


def _serve(host: str, port: int, token: str, tls: ssl.SSLContext | None, pids: list[int], ports: list[int]) -> int:
    """The exit code: 128 and the signal that ended it."""
    import asyncio  # noqa: PLC0415

    from mmload.drive.scratch import make_scratch  # noqa: PLC0415
    from mmload.observe.agent import Agent  # noqa: PLC0415
    from mmload.observe.agent_permits import Permits  # noqa: PLC0415

    _log_to_stderr()
    permits = Permits(pids, ports)
    scratch = make_scratch()
    try:
        return 128 + asyncio.run(Agent(token, permits, scratch).serve(host, port, tls))
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _token(variable: str) -> str:
    from mmload.plan.access import bearer_token  # noqa: PLC0415

    token = bearer_token(variable) or _new_token(variable)
    if len(token) < _SHORTEST_TOKEN:
        raise UsageError(
            f"${variable} has fewer than {_SHORTEST_TOKEN} characters: it can be guessed",
            f"make one: export {variable}=$(openssl rand -hex 32), here and at the driver",
        )
    return token


def _new_token(variable: str) -> str:
    """A made token is shown on a terminal, once: elsewhere standard error ends up in a log."""
    if not sys.stderr.isatty():
        raise UsageError(
            f"${variable} is not set, and there is no terminal to show a new token on",
            f"make one: export {variable}=$(openssl rand -hex 32), here and at the driver",
        )
    token = secrets.token_hex(32)
    print(f"the driver needs this token:\n  export {variable}={token}", file=sys.stderr)
    return token


def _tls(cert: Path | None, key: Path | None) -> ssl.SSLContext | None:
    import ssl  # noqa: PLC0415

    if cert is None and key is None:
        return None
    if cert is None or key is None:
        raise UsageError("--cert and --key belong together", "give both, or neither")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(cert, key)
    except (OSError, ssl.SSLError) as error:
        raise UsageError(
            f"cannot use {cert} with {key}: {error}", "both are PEM files, the key without a password"
        ) from error
    return context


def _is_loopback(host: str) -> bool:
    """Whether only this host's own processes can reach it there."""
    if host == "*":
        return False
    try:
        addresses = {info[4][0] for info in socket.getaddrinfo(host, None)}
    except OSError as error:
        raise UsageError(f"cannot resolve {host}: {error.strerror}", "give an address of this host") from error
    return all(ip_address(str(one).partition("%")[0]).is_loopback for one in addresses)


def _log_to_stderr() -> None:
    """aiohttp's and asyncio's words too, from warnings on."""
    handler = logging.StreamHandler(sys.stderr)
    formatter = logging.Formatter("%(asctime)s %(message)s", "%Y-%m-%dT%H:%M:%SZ")
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    logging.basicConfig(level=logging.WARNING, handlers=[handler])
    logging.getLogger("mmload").setLevel(logging.INFO)
