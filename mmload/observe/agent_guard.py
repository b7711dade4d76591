"""What every request to an agent passes first: its token, its size, the protocol; and what is said of a refusal.

Each refusal is one line in the log, with its peer and its reason, never with a header or a body.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

import msgspec
from aiohttp import web

from mmload.errors import MmloadError
from mmload.observe.agent_permits import Refused
from mmload.observe.agent_protocol import PROTOCOL, PROTOCOL_HEADER, Refusal

MOST_BYTES = 65_536  # of a request's body: 256 processes take 12 kB
_BODY_TIMEOUT_S = 10.0
_MOST_REQUESTS = 32  # in progress at once, streams included
_MOST_CONNECTIONS = 64
_SHOWN = 60  # characters of a path in the log

log = logging.getLogger("mmload.agent")
Body = TypeVar("Body", bound=msgspec.Struct)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Guard:
    """Stands before every handler; `pass_on` is the application's middleware."""

    def __init__(self, token: str) -> None:
        self._token = _digest(token)
        self._in_progress = 0
        self._known: set[object] = set()

    @web.middleware
    async def pass_on(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self._in_progress += 1
        try:
            self._refuse_stranger(request)
            self._known.add(request.protocol)
            self._refuse_too_many()
            _refuse_other_protocol(request)
            return await handler(request)
        except Refused as refusal:
            return _refuse(request, refusal)
        except web.HTTPException as error:  # aiohttp's own: no such path, another method, too large
            return _refuse(request, Refused(error.status, error.reason.lower()))
        except MmloadError as error:
            return _refuse(request, Refused(500, str(error), error.hint))
        finally:
            self._in_progress -= 1

    def doorkeeper(self, server: web.Server) -> Callable[[], asyncio.BaseProtocol]:
        """Makes the protocol of each new connection. Where they are too many, the oldest that never showed the token
        goes; where all did, the new one."""

        def admit() -> asyncio.BaseProtocol:
            connections = server.connections
            self._known.intersection_update(connections)
            if len(connections) < _MOST_CONNECTIONS:
                return server()
            stranger = next((one for one in connections if one not in self._known), None)
            if stranger is None:
                return _TurnedAway()
            log.warning("refused %s: it sends nothing, and others wait", _peer(stranger.transport))
            stranger.force_close()
            return server()

        return admit

    def _refuse_stranger(self, request: web.Request) -> None:
        """Compared by digest, in constant time: how long it takes says nothing about the token."""
        given = request.headers.getall("Authorization", [])
        scheme, _, token = given[0].partition(" ") if len(given) == 1 else ("", "", "")
        if scheme.lower() != "bearer" or not hmac.compare_digest(_digest(token.strip()), self._token):
            raise Refused(401, "not permitted", reason="a wrong token" if given else "no token")

    def _refuse_too_many(self) -> None:
        if self._in_progress > _MOST_REQUESTS:
            raise Refused(503, f"{_MOST_REQUESTS} requests are in progress already")


def _refuse_other_protocol(request: web.Request) -> None:
    said = request.headers.get(PROTOCOL_HEADER, str(PROTOCOL))
    if said != str(PROTOCOL) and request.path != "/hello":
        raise Refused(400, f"this agent speaks protocol {PROTOCOL}", "install the same version of mmload on both hosts")


async def body(request: web.Request, kind: type[Body]) -> Body:
    """A request's body. Raises Refused in words for one that is not such a document, too large, or too slow."""
    if (request.content_length or 0) > MOST_BYTES:
        raise Refused(413, f"a request has at most {MOST_BYTES} bytes")
    try:
        async with asyncio.timeout(_BODY_TIMEOUT_S):
            return msgspec.json.decode(await request.read(), type=kind)
    except TimeoutError as error:
        raise Refused(408, f"the body did not come within {_BODY_TIMEOUT_S:g} s") from error
    except web.RequestPayloadError as error:
        raise Refused(400, "the body is not what its headers say") from error
    except msgspec.ValidationError as error:
        raise Refused(400, f"not such a request: {error}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refused(400, "the body is not JSON") from error


def answer(document: msgspec.Struct, status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(document), status=status, content_type="application/json")


async def without_version(_request: web.Request, response: web.StreamResponse) -> None:
    """A signal: nobody is told what the agent is made of."""
    response.headers.pop("Server", None)


def quiet_http_log() -> logging.Logger:
    """For aiohttp's word on what is not HTTP at all: its traceback would repeat what was sent."""
    http = logging.getLogger("mmload.agent.http")
    http.setLevel(logging.DEBUG)
    http.filters[:] = [_in_one_line]
    return http


def _in_one_line(record: logging.LogRecord) -> bool:
    error = record.exc_info[0] if record.exc_info else None
    peer = record.args[0] if isinstance(record.args, tuple) and record.args else "somebody"
    name = error.__name__ if error else "unknown"
    record.msg, record.args, record.exc_info = f"refused {peer}: not a request that can be read ({name})", (), None
    return True


def _refuse(request: web.Request, refusal: Refused) -> web.Response:
    path = repr(request.path[:_SHOWN])
    log.warning("refused %s %s of %s: %s %s", request.method, path, request.remote, refusal.status, refusal.reason)
    response = answer(Refusal(str(refusal), refusal.hint), refusal.status)
    response.force_close()  # a body that was not read is in the way of the next request
    return response


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()


class _TurnedAway(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        log.warning("refused %s: %d connections are open already", _peer(transport), _MOST_CONNECTIONS)
        transport.close()


def _peer(transport: asyncio.BaseTransport | None) -> str:
    name = transport.get_extra_info("peername") if transport else None
    return str(name[0]) if name else "somebody"
