"""Broadcasts beside a rank's main thread.

The notes' own code issued collectives from two threads on one group: whichever came first on one rank came second on
another, and all ranks hung. Here a background thread has a channel to itself, and every rank issues the same operations
on it in the same order, that of its main thread's calls. Nothing that becomes of a request takes an operation out of
that order: an abort changes what is sent, and whether anybody looks at it, never whether it is sent.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

from mmload.handoff.counters import Counters
from mmload.handoff.strategy import BuildFailed, Host

PATIENCE_S = 1.0  # how long the end of a process waits for a thread; it then ends with the process
_Job = Callable[[], None]


class Worker:
    """One thread that does its jobs in the order in which they were given."""

    def __init__(self, name: str) -> None:
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        # A pool's threads are waited for when the process ends, and one of them may wait for a rank that is gone.
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def give(self, job: _Job) -> None:
        """job: must not raise."""
        self._jobs.put(job)

    def close(self, patience_s: float = PATIENCE_S) -> None:
        """End after the jobs given so far; wait for that not longer than `patience_s`."""
        self._jobs.put(None)
        self._thread.join(patience_s)

    def _work(self) -> None:
        while (job := self.wait_for_job()) is not None:
            job()

    def wait_for_job(self) -> _Job | None:
        """A wait with a name of its own: this thread is idle."""
        return self._jobs.get()


class BackgroundBroadcast:
    """The entry rank's objects to all ranks, from a thread and over a channel that nothing else uses."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self._channel = host.open_channel()
        self._closed = False
        self._worker = Worker("mmload-broadcast")

    def send(self, make: Callable[[], Any]) -> Future[Any]:
        """What `make` makes on the entry rank, on each. It runs there in the background and must not raise. A future
        that is cancelled in time spares the making; the ranks then send one another a BuildFailed instead."""
        future: Future[Any] = Future()
        self._worker.give(lambda: self._take_part(make, future))
        return future

    def close(self) -> None:
        """What has not come to its turn is cancelled."""
        self._closed = True
        self._channel.close()
        self._worker.close()

    def _take_part(self, make: Callable[[], Any], future: Future[Any]) -> None:
        if self._closed:
            future.cancel()
            return
        wanted = future.set_running_or_notify_cancel()
        try:
            obj = None
            if self._host.is_entry:
                obj = make() if wanted else BuildFailed("aborted")
            self._host.counters.add("background_broadcasts")
            received = self._channel.broadcast_object(obj)
        except BaseException as error:  # noqa: BLE001 - the main thread waits: it raises this
            self._channel.close()  # the other ranks, too, must hear that this one takes no part any more
            if wanted:
                future.set_exception(error)
            return
        if wanted:
            future.set_result(received)


def wait_for_broadcast(future: Future[Any], counters: Counters) -> Any:
    """The result, which another thread's broadcast brings; raises what ended that. A profiler knows the wait by this
    function's name."""
    with counters.timed("broadcast"):
        return future.result()
