"""A server that answers every request after exactly the same time, and keeps what it saw on the wire.

    python bench/exact_server.py DELAY_S WIRE_FILE

Prints its port. Answers GET as an SGLang server would (health, server information), POST with one streamed token. When
its standard input ends, it writes a line for each request: id, first byte in, last byte in, answer out, in nanoseconds
of CLOCK_MONOTONIC.
"""

from __future__ import annotations

import asyncio
import gc
import sys
import time
from pathlib import Path

DELAY_S, WIRE_FILE = float(sys.argv[1]), sys.argv[2]
EVENTS = b'data: {"choices":[{"delta":{"content":"hi"}}]}\n\ndata: [DONE]\n\n'
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: %d\r\n\r\n%s" % (len(EVENTS), EVENTS)
INFO = b'{"version": "exact", "model_path": "exact", "has_image_understanding": true}'
ABOUT = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(INFO), INFO)
seen: list[tuple[bytes, int, int, int]] = []


class Exact(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.head = b""
        self.left = 0
        self.request = b""
        self.first_ns = 0

    def data_received(self, data: bytes) -> None:
        now_ns = time.monotonic_ns()
        if self.left:
            self.left -= len(data)
        else:
            self.first_ns = self.first_ns if self.head else now_ns
            self.head += data
            head, end, body = self.head.partition(b"\r\n\r\n")
            if not end:
                return
            self.head = b""
            if head.startswith(b"GET"):
                self.transport.write(ABOUT)
                return
            fields = dict(line.split(b": ", 1) for line in head.lower().split(b"\r\n")[1:])
            self.request = fields.get(b"x-request-id", b"-")
            self.left = int(fields[b"content-length"]) - len(body)
        if self.left == 0:
            loop = asyncio.get_running_loop()
            answer = (self.request, self.first_ns, time.monotonic_ns())
            loop.call_later(DELAY_S, self.answer, *answer) if DELAY_S else self.answer(*answer)

    def answer(self, request: bytes, first_ns: int, last_ns: int) -> None:
        self.transport.write(ANSWER)
        seen.append((request, first_ns, last_ns, time.monotonic_ns()))


async def main() -> None:
    server = await asyncio.get_running_loop().create_server(Exact, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    gc.disable()
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


asyncio.run(main())
with Path(WIRE_FILE).open("w", encoding="ascii") as file:
    file.writelines(f"{request.decode()} {a} {b} {c}\n" for request, a, b, c in seen)
