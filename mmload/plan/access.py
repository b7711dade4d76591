"""How a server is talked to: URL, headers, bearer token and TLS, the same for load, health checks and scrapes."""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Mapping
from contextlib import closing
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit

from mmload.errors import UsageError
from mmload.model.plan import Access

_CREDENTIALS = re.compile(r"[^/]*//[^/?#]*@")  # RFC 3986, 3.2.1
_VALUE = re.compile(r"[\t -~\xa0-\xff]*")  # RFC 9110, 5.5
_TOKEN = re.compile(r"[!-~]*")
_REPLACEABLE = {"host": "Host", "authorization": "Authorization"}
_OWN_HEADERS = {
    "accept",
    "accept-encoding",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "te",
    "transfer-encoding",
    "upgrade",
    "x-request-id",
}


class Answer(NamedTuple):
    status: int
    reason: str
    body: bytes


class Site:
    """A server's base URL, taken apart, and what every request to it carries. Raises UsageError on a bad URL, header
    or certificate file."""

    def __init__(self, url: str, access: Access | None = None) -> None:
        parts = server_url(url)
        access = access or Access()
        self.url = parts.geturl().rstrip("/")
        self.host = parts.hostname or ""
        self.port = parts.port or (443 if parts.scheme == "https" else 80)
        self._headers = request_headers(access)
        self._base = parts.path.rstrip("/")
        self._tls = tls_context(access) if parts.scheme == "https" else None

    def get(self, path: str, timeout_s: float) -> Answer:
        """The answer to GET `path`, over a connection of its own. Raises OSError or http.client.HTTPException."""
        with closing(self.connection(timeout_s)) as connection:
            response = self.ask(connection, "GET", path)
            return Answer(response.status, response.reason, response.read())

    def ask(self, connection: HTTPConnection, method: str, path: str, body: bytes | None = None) -> HTTPResponse:
        """Send one request over a connection of this site's; the answer's body is still to be read."""
        connection.request(method, self._base + path, body, self._headers)
        return connection.getresponse()

    def connection(self, timeout_s: float) -> HTTPConnection:
        """Not open yet. timeout_s: of each wait for its other end."""
        if self._tls is None:
            return HTTPConnection(self.host, self.port, timeout=timeout_s)
        return HTTPSConnection(self.host, self.port, timeout=timeout_s, context=self._tls)


def server_url(url: str) -> SplitResult:
    """A server's base URL, taken apart. Raises UsageError on one that names no server, or that holds a password: it
    would stand in every plan and log."""
    if _CREDENTIALS.match(url):
        raise UsageError(
            "the server's URL holds a user name or password",
            "put a bearer token into $MMLOAD_TOKEN, or give --header 'Authorization: ..', which the plan keeps",
        )
    try:
        parts = urlsplit(url)
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port past 65535, a bracket without its other half
        valid = False
    if not valid:
        raise UsageError(f"{url!r} is not a server's URL", "it looks like http://127.0.0.1:30000")
    return parts


def check_access(url: str | None, access: Access) -> None:
    """Raise UsageError on what would go wrong with the first request, or be ignored. url: None for a server that is
    started here, which speaks http."""
    scheme = "http" if url is None else server_url(url).scheme
    request_headers(access)
    for name in access.headers:
        if name.lower() in _OWN_HEADERS:
            raise UsageError(
                f"the header {name} can't be set: mmload decides how a request is framed and its answer read",
                "leave it out",
            )
    if access.ca_file is None:
        return
    if scheme != "https":
        raise UsageError(
            "certificates (--ca) are for https, and the server is asked over http",
            "leave --ca out, or use an https URL",
        )
    tls_context(access)


def request_headers(access: Access, environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """The plan's headers, and the bearer token where its environment variable is set: no secret stands in a plan. Host
    and Authorization take the place of mmload's own, however they are written. Raises UsageError on what no header can
    bear, without repeating it."""
    token = bearer_token(access.token_variable, environment)
    own = {_REPLACEABLE.get(name.lower(), name): value for name, value in access.headers.items()}
    for name, value in own.items():
        if not _VALUE.fullmatch(value):
            raise UsageError(f"the value of the header {name} has characters that no header can bear", "encode it")
    return {**({"Authorization": f"Bearer {token}"} if token else {}), **own}


def bearer_token(variable: str, environment: Mapping[str, str] | None = None) -> str:
    """What the environment variable holds; empty where it is not set. Raises UsageError on what no header can bear,
    without repeating it."""
    token = (os.environ if environment is None else environment).get(variable, "")
    if not _TOKEN.fullmatch(token):
        raise UsageError(
            f"${variable} holds more than a token: a space, a line end or what is not ASCII",
            f"see it with: printenv {variable} | cat -A",
        )
    return token


def tls_context(access: Access) -> ssl.SSLContext:
    """For https: the system's certificates, or `ca_file`; `verify` false takes any certificate."""
    try:
        context = ssl.create_default_context(cafile=access.ca_file)
    except (OSError, ssl.SSLError) as error:
        raise UsageError(
            f"cannot use the certificates of {access.ca_file}: {error}", "--ca takes a PEM file"
        ) from error
    if not access.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
