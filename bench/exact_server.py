"""A server that does exactly what it is told, and keeps what it saw on the wire.

    python bench/exact_server.py DELAY_S WIRE_FILE [--processes N] [--pin] [--freeze EVERY_S FOR_S]
                                 [--tokens N SPACING_S] [--faults KIND,KIND,..]

Prints its port. Answers GET as an SGLang server would (health, server information), POST with one streamed token after
DELAY_S, or as the options say. When its standard input ends, it writes a line for each POST: id, what was planted (`ok`
or the kind of fault), bytes of its body, first byte in, last byte in, and when each piece of the answer went out (none:
it never did), in nanoseconds of CLOCK_MONOTONIC; and a line `- frozen 0 START END` for each time it stood still.

    --processes  share the port; the kernel deals the connections out among them
    --pin        keep to the last core. The kernel likes to wake a receiver on its sender's core, where it sees a long
                 request's first byte only once the sender's system call is over
    --freeze     in the last FOR_S of every EVERY_S it neither reads nor answers
    --tokens     each answer is a stream of N tokens, the first after DELAY_S
    --faults     a twentieth of the answers is of each kind, in an order that is always the same; the rest is correct
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import itertools
import os
import selectors
import socket
import struct
import sys
import time
from pathlib import Path
from typing import NamedTuple

from exact_answers import Answer, good, sized, stream, with_faults

INFO = b'{"version": "exact", "model_path": "exact", "has_image_understanding": true}'


def cycle_of(arguments: argparse.Namespace) -> list[Answer]:
    """The answers to one request after another, from the beginning again at the end."""
    if arguments.tokens:
        return [stream(int(arguments.tokens[0]), arguments.delay_s, arguments.tokens[1])]
    if arguments.faults:
        return with_faults(arguments.faults.split(","), arguments.delay_s)
    return [good(arguments.delay_s)]


class Seen(NamedTuple):
    request: str
    planted: str
    body_bytes: int
    first_ns: int
    last_ns: int
    out_ns: list[int]

    def line(self) -> str:
        *fixed, out_ns = self
        return " ".join(map(str, (*fixed, *out_ns))) + "\n"


class Exact(asyncio.BufferedProtocol):
    """One connection. Bodies are counted and thrown away, in a buffer that all connections share."""

    buffer = bytearray(1 << 18)

    def __init__(self, answers: itertools.cycle[Answer], seen: list[Seen]) -> None:
        self.answers = answers
        self.seen = seen
        self.head = b""
        self.left = self.body_bytes = 0
        self.first_ns = 0
        self.request = "-"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self.loop = asyncio.get_running_loop()

    def get_buffer(self, sizehint: int) -> bytearray:  # noqa: ARG002 (asyncio's signature)
        if not self.left and not self.head:
            self.first_ns = time.monotonic_ns()  # there is something to read: reading it takes its time
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        if self.left:
            self.left -= nbytes
        elif not self.begin(nbytes):
            return
        if self.left == 0:
            self.answer(time.monotonic_ns())

    def begin(self, nbytes: int) -> bool:
        """Read a request's head; False if it is not complete yet, or was no POST."""
        end = self.buffer.find(b"\r\n\r\n", 0, nbytes)
        if self.head or end < 0:
            self.head += self.buffer[:nbytes]
            end = self.head.find(b"\r\n\r\n")
            if end < 0:
                return False
            head, body = self.head[:end], len(self.head) - end - 4
            self.head = b""
        else:
            head, body = bytes(self.buffer[:end]), nbytes - end - 4
        if not head.startswith(b"POST"):
            about = sized(INFO, kind="application/json")
            self.transport.write(about if head.startswith(b"GET") else about.removesuffix(INFO))
            return False
        fields = dict(line.split(b": ", 1) for line in head.lower().split(b"\r\n")[1:])
        self.request = fields.get(b"x-request-id", b"-").decode()
        self.body_bytes = int(fields[b"content-length"])
        self.left = self.body_bytes - body
        return True

    def answer(self, last_ns: int) -> None:
        answer = next(self.answers)
        out_ns: list[int] = []
        self.seen.append(Seen(self.request, answer.planted, self.body_bytes, self.first_ns, last_ns, out_ns))
        now_s = self.loop.time()
        for number, (after_s, data) in enumerate(answer.pieces, 1):
            then = answer.then if number == len(answer.pieces) else "keep"
            if after_s:
                self.loop.call_at(now_s + after_s, self.send, data, then, out_ns)
            else:
                self.send(data, then, out_ns)

    def send(self, data: bytes, then: str, out_ns: list[int]) -> None:
        if self.transport.is_closing():
            return
        out_ns.append(time.monotonic_ns())
        self.transport.write(data)
        if then == "reset":
            sock = self.transport.get_extra_info("socket")
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.transport.abort()
        elif then == "close":
            self.transport.close()


async def freeze(every_s: float, for_s: float, frozen: list[Seen]) -> None:
    """Block the loop at the end of each period: nothing is accepted, read or answered."""
    start_s = asyncio.get_running_loop().time()
    for period in itertools.count(1):
        begin_s, end_s = start_s + period * every_s - for_s, start_s + period * every_s
        await asyncio.sleep(begin_s - time.monotonic())
        begin_ns = time.monotonic_ns()
        time.sleep(max(0.0, end_s - time.monotonic()))  # noqa: ASYNC251 (a loop that stands still is what is wanted)
        frozen.append(Seen("-", "frozen", 0, begin_ns, time.monotonic_ns(), []))


async def serve(listener: socket.socket, arguments: argparse.Namespace, seen: list[Seen]) -> None:
    """Until standard input ends."""
    loop = asyncio.get_running_loop()
    answers = itertools.cycle(cycle_of(arguments))
    await loop.create_server(lambda: Exact(answers, seen), sock=listener)
    freezing = asyncio.create_task(freeze(arguments.freeze[0], arguments.freeze[1], seen)) if arguments.freeze else None
    gc.disable()
    await loop.run_in_executor(None, sys.stdin.read)
    if freezing is not None:
        freezing.cancel()


def listeners(count: int) -> list[socket.socket]:
    """Sockets that listen on one port."""
    made: list[socket.socket] = []
    for _ in range(count):
        # asyncio turns Nagle's algorithm off only where a socket says that it is TCP.
        listener = socket.socket(proto=socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(("127.0.0.1", made[0].getsockname()[1] if made else 0))
        listener.listen(1024)
        made.append(listener)
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("delay_s", type=float)
    parser.add_argument("wire_file", type=Path)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--pin", action="store_true")
    parser.add_argument("--freeze", type=float, nargs=2)
    parser.add_argument("--tokens", type=float, nargs=2)
    parser.add_argument("--faults", default="")
    arguments = parser.parse_args()
    if arguments.pin:
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    sockets = listeners(arguments.processes)
    children: list[int] = []
    own = sockets[0]
    for listener in sockets[1:]:
        pid = os.fork()
        if pid == 0:
            own, children = listener, []
            break
        children.append(pid)
    else:
        print(own.getsockname()[1], flush=True)
    seen: list[Seen] = []
    # select(), unlike epoll, does not round its timeout up to whole milliseconds.
    selector = selectors.SelectSelector() if arguments.delay_s else selectors.DefaultSelector()
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selector)) as runner:
        runner.run(serve(own, arguments, seen))
    part = arguments.wire_file if own is sockets[0] else Path(f"{arguments.wire_file}.{os.getpid()}")
    with part.open("w", encoding="ascii") as file:
        file.writelines(one.line() for one in seen)
    for pid in children:
        os.waitpid(pid, 0)
        rest = Path(f"{arguments.wire_file}.{pid}")
        with arguments.wire_file.open("a", encoding="ascii") as file:
            file.write(rest.read_text(encoding="ascii"))
        rest.unlink()


if __name__ == "__main__":
    main()
