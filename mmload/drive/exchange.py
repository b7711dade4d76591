"""One request, its answer, and the record of both."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable
from http.client import HTTPException

import gevent
import msgspec

from mmload.drive.answers import AnswerReader, BadAnswer, kept, reader_for
from mmload.drive.connection import Connection, Connections
from mmload.drive.job import Endpoint
from mmload.model.plan import Modality
from mmload.model.records import CUT_OFF, AnswerRecord, Outcome, RequestPhase, RequestRecord

_ERROR_BODY_BYTES = 4096
_OUR_OWN_LIMITS = (errno.EMFILE, errno.ENFILE, errno.EADDRNOTAVAIL)


class Due(msgspec.Struct, frozen=True):
    """A request that the schedule wants sent at `due_ns`. expected: the text that its answer must have, if any.
    stream: it asks for a streamed answer."""

    id: str
    phase: RequestPhase
    due_ns: int
    item: str
    modality: Modality
    body: memoryview
    expected: str | None = None
    stream: bool = True


class Exchanger:
    """Sends requests to one endpoint and makes a record of each. Never raises for what the server does. keep: takes
    what the identity requests are answered."""

    def __init__(
        self, endpoint: Endpoint, connections: Connections, worker: int, keep: Callable[[AnswerRecord], None]
    ) -> None:
        self._endpoint = endpoint
        self._heads = {stream: endpoint.head(stream=stream) for stream in (True, False)}
        self._connections = connections
        self._worker = worker
        self._keep = keep

    def exchange(self, due: Due) -> RequestRecord:
        """Send `due` and read the answer to its end, its failure or the timeout."""
        one = _Exchange(due, reader_for(self._endpoint.path, stream=due.stream, adds_text=self._endpoint.adds_text))
        one.run(self._connections, self._head_of(due), self._endpoint.timeout_s)
        if due.phase == "identity" and (answer := one.answer()):
            self._keep(answer)
        return one.record(self._worker)

    def _head_of(self, due: Due) -> bytes:
        return (
            f"{self._heads[due.stream]}\r\nContent-Length: {len(due.body)}\r\nX-Request-Id: {due.id}\r\n\r\n".encode()
        )


class _Exchange:
    """Keeps what was seen as it happens, so that an exchange that fails half-way loses nothing."""

    __slots__ = (
        "_bytes_down",
        "_connect_ns",
        "_done_ns",
        "_due",
        "_error",
        "_first_byte_ns",
        "_outcome",
        "_read_lag_ns",
        "_reader",
        "_sent_ns",
        "_status",
    )

    def __init__(self, due: Due, reader: AnswerReader) -> None:
        self._due = due
        self._reader = reader
        self._connect_ns = 0
        self._sent_ns: int | None = None
        self._first_byte_ns: int | None = None
        self._done_ns: int | None = None
        self._status: int | None = None
        self._bytes_down = 0
        self._read_lag_ns: int | None = None
        self._outcome: Outcome = "ok"
        self._error: str | None = None

    def run(self, connections: Connections, head: bytes, timeout_s: float) -> None:
        connection: Connection | None = None
        timer = gevent.Timeout(timeout_s)
        try:
            connection = self._connect(connections)
            timer.start()
            self._send(connection, head)
            self._receive(connection)
        except gevent.Timeout as expired:
            if expired is not timer:
                raise
            self._fail("timeout", f"no complete answer within {timeout_s:g} s")
        except BadAnswer as bad:
            self._fail(bad.outcome, str(bad))
        except OSError as error:
            self._fail_to_talk(error)
        except gevent.GreenletExit:
            self._fail("connection_error", CUT_OFF)
        finally:
            timer.close()
            if connection is not None and self._reader.ended and not connection.parser.complete:
                connections.settle(connection)
            elif connection is not None:
                connections.give_back(connection)

    def answer(self) -> AnswerRecord | None:
        """What was said; None where that was nothing."""
        due, text = self._due, "".join(self._reader.answer.text)
        if not text:
            return None
        beginning = kept(text)
        cut = len(beginning) < len(text)
        return AnswerRecord(id=due.id, item=due.item, modality=due.modality, text=beginning, cut=cut)

    def record(self, worker: int) -> RequestRecord:
        answer, due = self._reader.answer, self._due
        return RequestRecord(
            id=due.id,
            phase=due.phase,
            item=due.item,
            modality=due.modality,
            due_ns=due.due_ns,
            sent_ns=self._sent_ns,
            connect_ns=self._connect_ns,
            first_byte_ns=self._first_byte_ns,
            first_token_ns=answer.token_ns[0] if answer.token_ns else None,
            done_ns=self._done_ns,
            status=self._status,
            outcome=self._outcome,
            error=self._error,
            bytes_up=len(due.body) if self._sent_ns is not None else 0,
            bytes_down=self._bytes_down,
            prompt_tokens=answer.prompt_tokens,
            completion_tokens=answer.completion_tokens,
            cached_tokens=answer.cached_tokens,
            token_ns=answer.token_ns,
            read_lag_ns=self._read_lag_ns,
            output_sha256=answer.sha256() if answer.text else None,
            worker=worker,
        )

    def _connect(self, connections: Connections) -> Connection:
        start_ns = time.monotonic_ns()
        connection = connections.take()
        if connection.idle_since_ns is None:
            self._connect_ns = time.monotonic_ns() - start_ns
        return connection

    def _send(self, connection: Connection, head: bytes) -> None:
        self._sent_ns = time.monotonic_ns()
        try:
            connection.send(head, self._due.body)
        except (BrokenPipeError, ConnectionResetError) as error:
            # A server may refuse a body before it has read it all, answer, and close: the answer is what counts.
            self._error = f"while sending: {error.strerror}"

    def _receive(self, connection: Connection) -> None:
        """Read until the message is complete. Raises BadAnswer unless it is a correct answer, OSError."""
        parser, reader = connection.parser, self._reader
        refusal = bytearray()
        while not parser.complete:
            received = self._read(connection)
            if not received and not parser.complete:
                raise self._cut_off(refusal)
            self._take(connection, refusal)
            if reader.ended:
                break
        if self._status != 200:
            raise self._refused(refusal)
        reader.finish()
        text = "".join(reader.answer.text)
        if self._due.expected not in (None, text):
            raise BadAnswer("wrong_output", f"not the answer expected, but {text[:200]!r}")
        self._error = None

    def _take(self, connection: Connection, refusal: bytearray) -> None:
        """What the bytes say that were read last; they count as come when the kernel had them."""
        parser, reader = connection.parser, self._reader
        now_ns = max(connection.arrived_ns, self._sent_ns or 0)
        if connection.read_lag_ns is not None:
            self._read_lag_ns = max(connection.read_lag_ns, self._read_lag_ns or 0)
        if self._first_byte_ns is None:
            self._first_byte_ns = now_ns
        if parser.headers_complete and self._status is None:
            self._take_status(connection)
        self._done_ns = now_ns
        chunk = parser.take_body()
        self._bytes_down += len(chunk)
        if self._status == 200:
            if chunk:
                reader.feed(chunk, now_ns)
        elif len(refusal) < _ERROR_BODY_BYTES:
            refusal += chunk

    def _read(self, connection: Connection) -> int:
        try:
            return connection.receive()
        except HTTPException as error:
            raise BadAnswer("malformed", f"not HTTP: {error.args[0] if error.args else error!r}") from None

    def _take_status(self, connection: Connection) -> None:
        self._status = connection.parser.get_code()
        expected = self._reader.content_type
        encoding = connection.parser.headers.get("content-encoding", "identity")
        if encoding != "identity":
            raise BadAnswer("malformed", f"content encoding {encoding}, which was not asked for")
        if self._status == 200 and connection.parser.content_type != expected:
            got = connection.parser.content_type or "none"
            raise BadAnswer("malformed", f"content type {got} where {expected} was expected")

    def _cut_off(self, refused: bytearray) -> BadAnswer:
        if self._first_byte_ns is None:
            return BadAnswer("connection_error", self._error or "the server closed the connection without an answer")
        if self._status not in (None, 200):
            return self._refused(refused)
        return BadAnswer("truncated", "the connection was closed before the answer was complete")

    def _refused(self, body: bytearray) -> BadAnswer:
        text = bytes(body).decode("utf-8", "replace").strip()
        return BadAnswer("http_error", f"HTTP {self._status}: {text[:300]}" if text else f"HTTP {self._status}")

    def _fail(self, outcome: Outcome, error: str) -> None:
        self._outcome, self._error = outcome, error
        if self._sent_ns is not None:
            self._done_ns = time.monotonic_ns()

    def _fail_to_talk(self, error: OSError) -> None:
        if error.errno in _OUR_OWN_LIMITS and self._sent_ns is None:
            self._fail("dropped", f"the generator could not open another connection: {error.strerror}")
        elif self._first_byte_ns is not None and self._status in (None, 200):
            self._fail("truncated", f"the answer broke off: {error.strerror or error}")
        elif self._status is not None and self._status != 200:
            self._fail("http_error", f"HTTP {self._status}, then {error.strerror or error}")
        else:
            doing = "connecting" if self._sent_ns is None else "waiting for the answer"
            self._fail("connection_error", f"{doing}: {error.strerror or error or type(error).__name__}")
