"""The driver's side of an agent: its requests, its streams, its clock."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import TypeVar

import msgspec

from mmload import __version__
from mmload.clocks import SAME_CLOCK, OtherClock, clock_id
from mmload.errors import ServerError, UsageError
from mmload.model.manifest import AgentInfo
from mmload.model.plan import Access, AgentPlan
from mmload.observe.agent_protocol import (
    PROTOCOL,
    PROTOCOL_HEADER,
    SILENCE_S,
    Begun,
    ClockReading,
    Found,
    Hello,
    Line,
    Refusal,
    StopRequest,
)
from mmload.plan.access import Site, bearer_token

_MOST_BYTES = 2**28  # of an answer or a line: the folded stacks of a process over a day are a tenth of it
_ROUND_TRIPS = 8
_CLOCK_ERROR_MS = 10.0  # the kernel counts CPU in ticks of 10 ms: below, nothing of it can be seen
_NOT_REACHED = (ConnectionRefusedError, socket.gaierror)
Document = TypeVar("Document", bound=msgspec.Struct)


class AgentLink:
    """Speaks to one agent. Every wait for it is bounded; what goes wrong is a ServerError in words. host: the name of
    its host, once it has said hello. Raises UsageError where the token is not set."""

    def __init__(self, plan: AgentPlan) -> None:
        if not bearer_token(plan.token_variable):
            raise UsageError(
                f"${plan.token_variable} is not set: the agent at {plan.url} wants its token",
                f"export {plan.token_variable}=.., the same there and here",
            )
        access = Access(
            headers={PROTOCOL_HEADER: str(PROTOCOL)}, token_variable=plan.token_variable, ca_file=plan.ca_file
        )
        self._site = Site(plan.url, access)
        self._token_variable = plan.token_variable
        self.url = self._site.url
        self.host = "the agent's host"

    def hello(self) -> Hello:
        """Who is there. Raises ServerError for an agent of another protocol too."""
        hello = self.ask("GET", "/hello", Hello)
        if hello.protocol != PROTOCOL:
            raise ServerError(
                f"the agent at {self.url} is of mmload {hello.version} (protocol {hello.protocol}), and this is mmload "
                f"{__version__} (protocol {PROTOCOL})",
                "install the same version on both hosts",
            )
        self.host = str(hello.host.get("name", self.host))
        return hello

    def ask(
        self,
        method: str,
        path: str,
        kind: type[Document],
        body: msgspec.Struct | None = None,
        timeout_s: float = SILENCE_S,
    ) -> Document:
        try:
            with closing(self._site.connection(timeout_s)) as connection:
                return self._document(self._answer(connection, method, path, body), kind)
        except (OSError, HTTPException) as error:
            raise self.broken(error) from error

    def stream(self, path: str, body: msgspec.Struct) -> AgentStream:
        """Begin one; the caller closes it."""
        connection = self._site.connection(SILENCE_S)
        try:
            return AgentStream(self, connection, self._answer(connection, "POST", path, body))
        except (OSError, HTTPException) as error:
            connection.close()
            raise self.broken(error) from error
        except BaseException:
            connection.close()
            raise

    def round_trips(self) -> Iterator[tuple[int, int, int]]:
        """(sent, what the agent's clock said, received), in nanoseconds, over a connection that is open already."""
        try:
            with closing(self._site.connection(SILENCE_S)) as connection:
                connection.connect()
                for _ in range(_ROUND_TRIPS):
                    sent_ns = time.monotonic_ns()
                    response = self._answer(connection, "GET", "/clock", None)
                    reading = self._document(response, ClockReading)
                    yield sent_ns, reading.monotonic_ns, time.monotonic_ns()
        except (OSError, HTTPException) as error:
            raise self.broken(error) from error

    def trouble(self, said: str) -> ServerError:
        """What the agent said, or did against the protocol."""
        return ServerError(f"the agent at {self.url}: {said}", "its own log says more")

    def _answer(self, connection: HTTPConnection, method: str, path: str, body: msgspec.Struct | None) -> HTTPResponse:
        payload = None if body is None else msgspec.json.encode(body)
        response = self._site.ask(connection, method, path, payload)
        if response.status == HTTPStatus.OK:
            return response
        if response.status == HTTPStatus.UNAUTHORIZED:
            raise ServerError(
                f"the agent at {self.url} refuses the token in ${self._token_variable}",
                f"export the {self._token_variable} of the agent, or the one that it showed at its start",
            )
        refusal = self._document(response, Refusal)
        raise ServerError(f"the agent at {self.url}: {refusal.error}", refusal.hint)

    def _document(self, response: HTTPResponse, kind: type[Document]) -> Document:
        try:
            return msgspec.json.decode(response.read(_MOST_BYTES), type=kind)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ServerError(f"{self.url} answers, but not as an agent does", "is it the right port?") from error

    def broken(self, error: Exception) -> ServerError:
        """What befell a connection, in words."""
        if isinstance(error, _NOT_REACHED):
            return ServerError(f"no agent answers at {self.url}", "start one on the server's host: mmload agent")
        if isinstance(error, ssl.SSLCertVerificationError):
            return ServerError(
                f"nobody vouches for the certificate of the agent at {self.url} ({error.verify_message})",
                "--agent-ca FILE takes certificates to trust",
            )
        if isinstance(error, ssl.SSLError):
            return ServerError(f"no TLS with the agent at {self.url} ({error.reason})", "does it serve https?")
        if isinstance(error, TimeoutError):
            return ServerError(f"the agent at {self.url} has said nothing for {SILENCE_S:g} s")
        return ServerError(f"the agent at {self.url} is gone ({error or type(error).__name__})", "its log says more")


class AgentStream:
    """Lines from an agent until it is closed. session: its name. Iterating raises ServerError when the agent falls
    silent or is gone before the stream's own end."""

    def __init__(self, link: AgentLink, connection: HTTPConnection, response: HTTPResponse) -> None:
        self._link = link
        self._connection = connection
        self._response = response
        self._decoder: msgspec.json.Decoder[Line] = msgspec.json.Decoder(Line)
        begun = next(iter(self), None)
        if not isinstance(begun, Begun):
            raise link.trouble("a stream without a beginning")
        self.session = begun.session

    def __iter__(self) -> Iterator[Line]:
        try:
            while line := self._response.readline(_MOST_BYTES):
                if not line.endswith(b"\n"):
                    break
                yield self._decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise self._link.trouble(f"a line that is none of its protocol ({error})") from error
        except (OSError, HTTPException, ValueError) as error:  # ValueError: closed by `close`
            raise self._link.broken(error) from error

    def end(self) -> None:
        """Ask for its end in order: what there is still comes."""
        self._link.ask("POST", "/stop", Found, StopRequest(self.session))

    def close(self) -> None:
        self._connection.close()


class AgentClock:
    """Puts times of the agent's CLOCK_MONOTONIC onto the driver's; the same for a process of the same boot. reading:
    the best so far. Raises ServerError when the agent does not say what its clock reads."""

    def __init__(self, link: AgentLink, clock: str) -> None:
        self.reading = SAME_CLOCK
        self._link = link
        self._clock = OtherClock()
        self._is_ours = clock == clock_id()
        self._lock = threading.Lock()
        self.refresh()
        self._first = self.reading

    @property
    def drift_ns(self) -> int:
        """How much the offset changed since the first reading."""
        return self.reading.offset_ns - self._first.offset_ns

    def refresh(self) -> None:
        if self._is_ours:
            return
        with self._lock:
            for trip in self._link.round_trips():
                self._clock.take(*trip)
            self.reading = self._clock.read()

    def here_ns(self, t_ns: int) -> int:
        return t_ns - self.reading.offset_ns


def clock_warnings(agent: AgentInfo) -> list[str]:
    """What a clock that is badly known does to the figures of its host, in words; nothing where it does not show."""
    error_ms = agent.clock_error_ms
    if error_ms <= _CLOCK_ERROR_MS:
        return []
    words = (
        f"the clock of {agent.host} is known to {error_ms:.0f} ms: what its processes did may lie that much beside the "
        f"requests; of the CPU in a window of 10 s, {error_ms / 100:.1f} % may belong outside it"
    )
    return [words]
