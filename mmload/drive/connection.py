"""Kept-alive HTTP/1.1 connections to one server, as many as there are requests in flight."""

from __future__ import annotations

import contextlib
import select
import socket as plain_socket
import ssl
import struct
import time
from functools import partial
from http.client import HTTPException
from urllib.parse import urlsplit

import gevent
from gevent import get_hub, monkey, socket
from gevent.ssl import SSLContext
from geventhttpclient._parser import HTTPResponseParser

from mmload.drive.couriers import Couriers

_AddressInfo = tuple[int, int, int, str, tuple[str, int]]  # what getaddrinfo gives

IDLE_LIMIT_NS = 4_000_000_000  # uvicorn, under SGLang, closes a connection that was idle for 5 s
_READ_BYTES = 65536
_READ = 1  # libev's EV_READ
_SO_TIMESTAMPNS = 35  # asm-generic/socket.h; the same number marks the stamp in a message
_TIMESPEC = struct.Struct("@qq")
_STAMP_SPACE = plain_socket.CMSG_SPACE(_TIMESPEC.size)
_LONGEST_LAG_NS = 3600 * 1_000_000_000
_FRAMING_S = 1.0

_poll = monkey.get_original("select", "poll")


class ResponseParser(HTTPResponseParser):
    """llhttp's callbacks, kept as plain attributes. One parser serves a connection for all its responses."""

    def __init__(self) -> None:
        super().__init__()
        self.begin()

    def begin(self) -> None:
        """Forget the last response; the next one starts here."""
        self.headers_complete = False
        self.complete = False
        self.body: list[bytes] = []
        self.headers: dict[str, str] = {}
        self._name = ""
        self._value = ""
        self._in_value = False

    @property
    def content_type(self) -> str:
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    def take_body(self) -> bytes:
        """The body bytes that came since the last call."""
        body = b"".join(self.body) if len(self.body) != 1 else self.body[0]
        self.body.clear()
        return body

    def _on_message_begin(self) -> None:
        """After an interim 1xx answer there is another message; nothing is kept of the first."""

    def _on_header_field(self, text: str) -> None:
        if self._in_value:
            self._keep_header()
        self._name += text

    def _on_header_value(self, text: str) -> None:
        self._in_value = True
        self._value += text

    def _keep_header(self) -> None:
        self.headers[self._name.lower()] = self._value
        self._name = self._value = ""
        self._in_value = False

    def _on_headers_complete(self) -> bool:
        self._keep_header()
        if self.get_code() < 200:
            self.headers.clear()
        else:
            self.headers_complete = True
        return False

    def _on_body(self, chunk: bytearray) -> None:
        self.body.append(bytes(chunk))

    def _on_message_complete(self) -> None:
        self.complete = self.get_code() >= 200

    def _on_status(self, text: str) -> None:
        """The reason phrase says nothing that the code does not."""


class Connection:
    """One socket and its parser.

    idle_since_ns: None until it has served a request. arrived_ns: when the bytes of the last `receive` came in, by the
    kernel's word, whenever they were read. read_lag_ns: how long they had waited for that; None where the kernel
    does not say (TLS).
    """

    def __init__(self, sock: socket.socket, pool: Connections) -> None:
        self._socket = sock
        self._pool = pool
        self.parser = ResponseParser()
        self.idle_since_ns: int | None = None
        self.arrived_ns = 0
        self.read_lag_ns: int | None = None
        self._encrypted = isinstance(sock, ssl.SSLSocket)
        self._readable = get_hub().loop.io(sock.fileno(), _READ)

    def send(self, head: bytes, body: memoryview) -> None:
        """Head and body in one system call where the socket's buffer takes them; megabytes are never copied."""
        if self._encrypted:
            self._socket.sendall(head)
            self._socket.sendall(body)
            return
        sent = self._socket.sendmsg((head, body))
        if sent < len(head):
            self._socket.sendall(head[sent:])
            sent = len(head)
        if sent < len(head) + len(body):
            self._socket.sendall(body[sent - len(head) :])

    def receive(self) -> int:
        """Wait for bytes and feed them to the parser; returns how many (0: the peer closed its side).

        Raises OSError, or http.client.HTTPException for bytes that are not HTTP.
        """
        if self._encrypted:
            data = self._socket.recv(_READ_BYTES)
            self.arrived_ns = time.monotonic_ns()
        else:
            get_hub().wait(self._readable)  # trying first costs a system call and an exception
            data, stamps, *_ = self._socket.recvmsg(_READ_BYTES, _STAMP_SPACE)
            self._note_arrival(stamps)
        self._pool.bytes_down += len(data)
        if data:
            self.parser.feed(data)
        else:
            with contextlib.suppress(HTTPException):  # the end completes a body that has no length, or nothing
                self.parser.feed(b"")
        return len(data)

    def _note_arrival(self, stamps: list[tuple[int, int, bytes]]) -> None:
        """The kernel's stamp is on the wall clock; how long ago that was is taken off the monotonic one. A stamp that
        makes no sense (somebody set the wall clock) is not believed."""
        wall_ns = time.time_ns()  # before the other: an interruption between makes an arrival late, never early
        self.arrived_ns = time.monotonic_ns()
        self.read_lag_ns = None
        for _, kind, stamp in stamps:
            if kind == _SO_TIMESTAMPNS:
                seconds, nanoseconds = _TIMESPEC.unpack(stamp)
                lag_ns = wall_ns - seconds * 1_000_000_000 - nanoseconds
                if 0 <= lag_ns < _LONGEST_LAG_NS:
                    self.arrived_ns -= lag_ns
                    self.read_lag_ns = lag_ns

    def is_usable(self, now_ns: int) -> bool:
        """False if it was idle for long or the server has closed it: an idle socket has nothing to read."""
        if self.idle_since_ns is None or now_ns - self.idle_since_ns > IDLE_LIMIT_NS:
            return False
        poll = _poll()
        poll.register(self._socket.fileno(), select.POLLIN)
        return not poll.poll(0)

    def close(self) -> None:
        self._readable.close()
        self._socket.close()


class Connections:
    """The kept-alive connections of one worker; the last one used is the first taken again. bytes_down: what has come
    over all of them, so that a server that still says something is told from one that hangs."""

    def __init__(self, url: str, connect_timeout_s: float, tls: SSLContext | None = None) -> None:
        self._connect_timeout_s = connect_timeout_s
        parts = urlsplit(url)
        self._host = parts.hostname or "127.0.0.1"
        port = parts.port or (443 if parts.scheme == "https" else 80)
        self._addresses = socket.getaddrinfo(self._host, port, type=plain_socket.SOCK_STREAM)
        self._tls = tls
        self.bytes_down = 0
        self._idle: list[Connection] = []
        self._couriers = Couriers()

    def take(self) -> Connection:
        """A usable connection, new or kept (its `idle_since_ns` tells). Raises OSError if none can be opened."""
        now_ns = time.monotonic_ns()
        while self._idle:
            connection = self._idle.pop()
            if connection.is_usable(now_ns):
                connection.parser.begin()
                return connection
            connection.close()
        return self._open()

    def give_back(self, connection: Connection) -> None:
        """Keep it if the response was complete and the server keeps it alive; close it otherwise."""
        if connection.parser.complete and connection.parser.should_keep_alive():
            connection.idle_since_ns = time.monotonic_ns()
            self._idle.append(connection)
        else:
            connection.close()

    def settle(self, connection: Connection) -> None:
        """The answer is over, its framing is not: read on for a second at most, in a greenlet of its own."""
        self._couriers.run(partial(self._read_on, connection))

    def _read_on(self, connection: Connection) -> None:
        try:
            with gevent.Timeout(_FRAMING_S, False):  # False: it ends the block and is not raised
                while not connection.parser.complete and connection.receive():
                    connection.parser.take_body()
        except (OSError, HTTPException):
            connection.close()
        else:
            self.give_back(connection)

    def close(self) -> None:
        while self._idle:
            self._idle.pop().close()

    def _open(self) -> Connection:
        """A new connection to the first address that takes it, which is then the first tried: `localhost` has two."""
        refusal = OSError("no address")
        for address in self._addresses:
            try:
                connection = self._open_to(address)
            except OSError as error:
                refusal = error
            else:
                self._addresses.sort(key=lambda other: other != address)
                return connection
        raise refusal

    def _open_to(self, info: _AddressInfo) -> Connection:
        family, kind, protocol, _, address = info
        sock = socket.socket(family, kind, protocol)
        try:
            sock.setsockopt(plain_socket.IPPROTO_TCP, plain_socket.TCP_NODELAY, 1)
            sock.settimeout(self._connect_timeout_s)
            sock.connect(address)
            if self._tls is None:
                with contextlib.suppress(OSError):  # outside Linux: what is read counts as come at that time
                    sock.setsockopt(plain_socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
            else:
                sock = self._tls.wrap_socket(sock, server_hostname=self._host)
            sock.settimeout(None)
        except BaseException:
            sock.close()
            raise
        return Connection(sock, self)
