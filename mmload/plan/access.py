"""How a server is talked to: URL, headers, bearer token and TLS, the same for load, health checks and scrapes."""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from contextlib import closing
from http.client import HTTPConnection, HTTPSConnection
from typing import NamedTuple
from urllib.parse import urlsplit

from mmload.errors import UsageError
from mmload.model.plan import Access


class Answer(NamedTuple):
    status: int
    reason: str
    body: bytes


class Site:
    """A server's base URL, taken apart, and what every request to it carries. Raises UsageError on a bad URL, header
    or certificate file."""

    def __init__(self, url: str, access: Access | None = None) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UsageError(f"{url!r} is not a server's URL", "it looks like http://127.0.0.1:30000")
        access = access or Access()
        self.url = url.rstrip("/")
        self.host = parts.hostname
        self.port = parts.port or (443 if parts.scheme == "https" else 80)
        self._headers = request_headers(access)
        self._base = parts.path.rstrip("/")
        self._tls = tls_context(access) if parts.scheme == "https" else None

    def get(self, path: str, timeout_s: float) -> Answer:
        """The answer to GET `path`, over a connection of its own. Raises OSError or http.client.HTTPException."""
        with closing(self._connection(timeout_s)) as connection:
            connection.request("GET", self._base + path, headers=self._headers)
            response = connection.getresponse()
            return Answer(response.status, response.reason, response.read())

    def _connection(self, timeout_s: float) -> HTTPConnection:
        if self._tls is None:
            return HTTPConnection(self.host, self.port, timeout=timeout_s)
        return HTTPSConnection(self.host, self.port, timeout=timeout_s, context=self._tls)


def request_headers(access: Access, environment: Mapping[str, str] | None = None) -> dict[str, str]:
    """The plan's headers, and the bearer token where its environment variable is set: no secret stands in a plan."""
    token = (os.environ if environment is None else environment).get(access.token_variable)
    return {**({"Authorization": f"Bearer {token}"} if token else {}), **access.headers}


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
