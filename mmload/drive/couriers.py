"""Greenlets that are kept for the next call: a new one for each request costs an mmap and its page faults."""

from __future__ import annotations

from collections.abc import Callable

import gevent
from gevent.event import Event


class Couriers:
    """Runs calls, all at the same time, in as many greenlets as there are calls at once."""

    def __init__(self) -> None:
        self._hub = gevent.get_hub()
        self._at_work: set[gevent.Greenlet] = set()
        self._waiting: list[gevent.Greenlet] = []
        self._is_ending = False
        self._all_home = Event()
        self._all_home.set()

    def run(self, call: Callable[[], object]) -> None:
        """Begin `call` at the next turn of the loop; returns at once."""
        if self._waiting:
            courier = self._waiting.pop()
            self._hub.loop.run_callback(courier.switch, call)
        else:
            courier = gevent.spawn(self._serve, call)
        self._at_work.add(courier)
        self._all_home.clear()

    def join(self) -> None:
        """Wait until every call has returned."""
        self._all_home.wait()

    def kill(self) -> None:
        """Throw GreenletExit into every call, and wait until all have returned."""
        gevent.sleep(0)  # a call that has not begun would never know
        self._is_ending = True
        gevent.killall(list(self._at_work))
        self._is_ending = False

    def _serve(self, call: Callable[[], object]) -> None:
        courier = gevent.getcurrent()
        try:
            while True:
                call()
                if self._is_ending:
                    return
                self._go_home(courier)
                self._waiting.append(courier)
                call = self._hub.switch()
        finally:
            self._go_home(courier)

    def _go_home(self, courier: gevent.Greenlet) -> None:
        self._at_work.discard(courier)
        if not self._at_work:
            self._all_home.set()
