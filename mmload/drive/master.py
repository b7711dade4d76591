"""Where processes from elsewhere join a run: Locust's master, a child of the driver that relays between its pipes and
the workers' messages (joining.py). `python -m mmload.drive.master ORDERS.json`."""

from __future__ import annotations

from locust.env import Environment  # first: it patches the standard library for gevent
from locust.runners import STATE_MISSING, MasterRunner

# isort: split
import contextlib
import os
import socket
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import gevent
import gevent.os
import msgspec

from mmload import __version__
from mmload.clocks import clock_id
from mmload.drive import joining
from mmload.drive.job import Command, Event, Failed, Joined, Listening, Lost, Over, StopAsked, event_decoder
from mmload.drive.joining import Assignment, Hello, Orders, body, headers_sha256, send
from mmload.drive.link import PipeLink
from mmload.drive.worker import Load
from mmload.errors import FolderError
from mmload.store.append import LineWriter
from mmload.store.layout import RunLayout

_LOOK_S = 0.5
_WEB_PORT = 8089  # Locust's own choice


class RunMaster(MasterRunner):
    """Locust's master for one run, whose load is the plan's: what its web page asks for is told to the driver."""

    asked_to_stop: Callable[[], None]
    is_over = False
    has_begun = False

    def start(
        self, user_count: int, spawn_rate: float, wait: bool = False, user_classes: list[Any] | None = None
    ) -> None:
        if not self.has_begun:
            self.has_begun = True
            super().start(user_count, spawn_rate, wait, user_classes)

    def stop(self, send_stop_to_client: bool = True) -> None:
        if self.is_over:
            super().stop(send_stop_to_client)
        elif self.worker_count > 0:  # Locust itself stops when no worker is left: `Master` tells who was lost
            self.asked_to_stop()


class Master:
    """Gives each process its number and the plan, lets them begin together, and relays from then on."""

    def __init__(self, orders: Orders) -> None:
        self._orders = orders
        self._workers = orders.plan.workers
        layout = RunLayout(Path(orders.run_folder))
        self._link = PipeLink(layout)
        self._records = LineWriter(layout.requests)
        self._answers = LineWriter(layout.answers)
        self._numbers: dict[str, int] = {}
        self._prepared: set[int] = set()
        self._lost: set[int] = set()
        self._environment = Environment(user_classes=[Load], host=orders.endpoint.url)
        meeting = orders.plan.meeting
        assert meeting is not None
        self._runner = self._environment._create_runner(RunMaster, meeting.host, meeting.port)  # noqa: SLF001
        self._runner.asked_to_stop = lambda: self._link.say(StopAsked("stopped in Locust's web page"))
        self._listening = Listening(
            host=meeting.host, port=self._runner.server.port, web_url=self._open_page() if meeting.web else None
        )

    def serve(self) -> None:
        """Until the driver closes the pipe. Workers whose driver was killed are left to miss it: they say so."""
        for kind, take in (
            (joining.HELLO, self._take_hello),
            (joining.PING, self._take_ping),
            (joining.PREPARED, self._take_prepared),
            (joining.EVENT, self._take_event),
            (joining.RECORDS, partial(self._append, self._records)),
            (joining.ANSWERS, partial(self._append, self._answers)),
        ):
            self._runner.register_message(kind, take)
        self._link.say(self._listening)
        watch = gevent.spawn(self._watch_workers)
        self._link.listen(self._take_command)
        watch.kill()
        if self._runner.is_over:
            self._runner.quit()

    def _open_page(self) -> str:
        port = _free_port(_WEB_PORT)
        self._environment.create_web_ui(host="127.0.0.1", port=port)
        return f"http://127.0.0.1:{port}"

    def _take_hello(self, msg: Any, **_: object) -> None:
        hello = msgspec.json.decode(body(msg), type=Hello)
        number = self._number_for(hello)
        if isinstance(number, str):
            send(self._runner, joining.REFUSAL, number.encode(), msg.node_id)
            return
        self._numbers[msg.node_id] = number
        self._link.say(Joined(worker=number, host=hello.host, pid=hello.pid))
        orders = self._orders
        assignment = Assignment(
            worker=number,
            workers=self._workers,
            run_id=orders.run_id,
            plan=orders.plan,
            endpoint=orders.endpoint,
            digests=orders.digests,
            headers_sha256=headers_sha256(orders.plan.access),
            clock=clock_id(),
        )
        send(self._runner, joining.ASSIGNMENT, assignment, msg.node_id)

    def _number_for(self, hello: Hello) -> int | str:
        """The worker's number, or why there is none for it."""
        if hello.version != __version__:
            return f"this is mmload {hello.version}, the driver is mmload {__version__}: both hosts need the same"
        if hello.number is not None:
            return hello.number
        taken = set(self._numbers.values())
        free = (number for number in range(self._orders.local, self._workers) if number not in taken)
        return next(free, f"run {self._orders.run_id} has all the workers that it waited for")

    def _take_ping(self, msg: Any, **_: object) -> None:
        send(self._runner, joining.PONG, b"%b %d" % (body(msg), time.monotonic_ns()), msg.node_id)

    def _take_prepared(self, msg: Any, **_: object) -> None:
        self._prepared.add(int(body(msg)))
        if len(self._prepared) == self._workers:
            gevent.spawn(self._runner.start, self._workers, self._workers)

    def _take_event(self, msg: Any, **_: object) -> None:
        event: Event = event_decoder.decode(body(msg))
        if isinstance(event, Failed):
            self._lost.add(event.worker)
        self._link.say(event)

    def _append(self, lines: LineWriter, msg: Any, **_: object) -> None:
        try:
            lines.write_encoded(body(msg))
        except FolderError as error:
            self._link.say(Failed(self._numbers[msg.node_id], str(error), error.exit_code))

    def _take_command(self, command: Command) -> None:
        if isinstance(command, Over):
            self._runner.is_over = True
            return
        for client_id in self._numbers:
            send(self._runner, joining.COMMAND, command, client_id)

    def _watch_workers(self) -> None:
        """Locust misses a worker that was silent for some three seconds."""
        while True:
            gevent.sleep(_LOOK_S)
            for client_id, number in self._numbers.items():
                node = self._runner.clients.get(client_id)
                if number not in self._lost and (node is None or node.state == STATE_MISSING):
                    self._lost.add(number)
                    self._link.say(Lost(number, "left" if node is None else "is silent: it was killed, or cut off"))


def _free_port(wanted: int) -> int:
    """On 127.0.0.1: `wanted`, or another where that is taken."""
    for port in (wanted, 0):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)) as server:
            return int(server.getsockname()[1])
    raise OSError("no port is free on 127.0.0.1")


def main() -> None:
    Master(msgspec.json.decode(Path(sys.argv[1]).read_bytes(), type=Orders)).serve()
    sys.stdout.flush()
    os._exit(0)  # Locust's page has threads of its own that nobody waits for


if __name__ == "__main__":
    main()
