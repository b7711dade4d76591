"""What the exact server says: a correct answer, a stream of tokens, or a fault that is planted on purpose."""

from __future__ import annotations

import random
from typing import Literal, NamedTuple

CYCLE = 100
OF_EACH_KIND = 5
DONE = b"data: [DONE]\n\n"


class Answer(NamedTuple):
    """The bytes of an answer and how long after the request each piece leaves; what becomes of the connection then."""

    planted: str
    pieces: tuple[tuple[float, bytes], ...]
    then: Literal["keep", "close", "reset"] = "keep"


def event(text: str) -> bytes:
    """As OpenAI's servers say it: some clients take nothing less for an answer."""
    said = f'{{"id":"1","object":"chat.completion.chunk","choices":[{{"index":0,"delta":{{"content":"{text}"}}}}]}}'
    return f"data: {said}\n\n".encode()


def sized(body: bytes, status: str = "200 OK", kind: str = "text/event-stream", missing: int = 0) -> bytes:
    """A whole answer; `missing`: so many bytes less come than its head says."""
    head = f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body) + missing}\r\n\r\n"
    return head.encode() + body


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(data), data)


STREAM_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
STREAM_END = b"0\r\n\r\n"
GOOD = sized(event("hi") + DONE)
REFUSAL = b'{"error": {"message": "planted"}}'
FAULTS: dict[str, tuple[bytes | None, Literal["keep", "close", "reset"]]] = {
    "500": (sized(REFUSAL, "500 Internal Server Error", "application/json"), "keep"),
    "503": (sized(b"busy", "503 Service Unavailable", "text/plain"), "keep"),
    "reset": (b"", "reset"),
    "truncated_body": (sized(event("hi"), missing=64), "close"),
    "truncated_stream": (STREAM_HEAD + chunk(event("hi")) + STREAM_END, "keep"),
    "malformed": (sized(event("hi") + b"data: {oops\n\n" + DONE), "keep"),
    "error_in_stream": (sized(event("hi") + b"data: %s\n\n" % REFUSAL + DONE), "keep"),
    "empty": (sized(DONE), "keep"),
    "never": (None, "keep"),
}


def fault(kind: str, delay_s: float) -> Answer:
    data, then = FAULTS[kind]
    return Answer(kind, () if data is None else ((delay_s, data),), then)


def stream(tokens: int, delay_s: float, spacing_s: float) -> Answer:
    pieces = [(delay_s + spacing_s * number, chunk(event(f"t{number} "))) for number in range(tokens)]
    first_s, last_s = pieces[0][0], pieces[-1][0]
    pieces[0] = (first_s, STREAM_HEAD + pieces[0][1])
    pieces[-1] = (last_s, pieces[-1][1] + chunk(DONE) + STREAM_END)
    return Answer("ok", tuple(pieces))


def good(delay_s: float) -> Answer:
    return Answer("ok", ((delay_s, GOOD),))


def with_faults(kinds: list[str], delay_s: float) -> list[Answer]:
    """CYCLE answers, OF_EACH_KIND with each fault, always in the same order."""
    faults = [fault(kind, delay_s) for kind in kinds for _ in range(OF_EACH_KIND)]
    answers = faults + [good(delay_s)] * (CYCLE - len(faults))
    random.Random(0).shuffle(answers)
    return answers
