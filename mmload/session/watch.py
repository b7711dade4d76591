"""Notices what goes wrong with a server: it stands still (stall.py), and what ends a run early: it died, lost or
restarted a rank, or hangs.

Slow is not hung. A server hangs when, with requests in flight, not a byte of any answer has come for a while *and* its
own health check, which takes a round trip through its ranks, gets no answer either.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Collection

from mmload.discover import ServerProcess, verify_same
from mmload.errors import ServerDied, ServerError, ServerHung
from mmload.model.records import GeneratorSample
from mmload.observe.observer import Observer
from mmload.serve.target import Target
from mmload.session.stall import Stalls

_LOOK_S = 1.0
_QUIET_S = 10.0
_LAST_WORDS_S = 2.0  # a server that lost a rank ends the others too, and then says which was the first
_HEALTH_TIMEOUT_S = 20.0  # as long as SGLang's own health check waits for its ranks


class Watch:
    """Looks at one server; cheap enough to be called in every turn of the run's loop."""

    def __init__(self, target: Target, observer: Observer, stalls: Stalls) -> None:
        self._target = target
        self._observer = observer
        self._stalls = stalls
        self._next_look_s = 0.0
        self._bytes_down = -1
        self._heard_s = time.monotonic()
        self._probe: _HealthProbe | None = None

    @property
    def notice(self) -> str | None:
        """What a person should know now."""
        return self._stalls.notice

    def look(self, samples: Collection[GeneratorSample], *, under_load: bool) -> None:
        """samples: the last word of every worker. under_load: requests keep coming. Raises ServerDied or ServerHung
        when that is certain."""
        self._target.refuse_dead()
        self._stalls.look(samples, under_load=under_load)
        in_flight = sum(sample.in_flight for sample in samples)
        bytes_down = sum(sample.bytes_down for sample in samples)
        now_s = time.monotonic()
        if bytes_down != self._bytes_down or not in_flight:
            self._bytes_down, self._heard_s, self._probe = bytes_down, now_s, None
        if now_s < self._next_look_s:
            return
        self._next_look_s = now_s + _LOOK_S
        self._refuse_changed()
        if now_s - self._heard_s > _QUIET_S:
            self._refuse_hung(in_flight, now_s - self._heard_s)

    def _refuse_changed(self) -> None:
        if not self._target.processes:
            return
        differences = verify_same(self._target.processes, self._find())
        if differences:
            self._target.refuse_dead(_LAST_WORDS_S)
            raise ServerDied("; ".join(differences), "see logs/server.log" if self._target.is_owned else "")

    def _find(self) -> list[ServerProcess]:
        try:
            return self._observer.find()
        except ServerError:  # of processes that were named by their pids one is not there any more
            states = self._observer.states(self._target.processes)
            return [process for process in self._target.processes if process.name in states]

    def _refuse_hung(self, in_flight: int, quiet_s: float) -> None:
        if self._probe is None or self._probe.healthy:
            self._probe = _HealthProbe(self._target)  # one after the other for as long as nothing is heard
        elif self._probe.healthy is False:
            hangs = f"the server hangs: {in_flight} requests in flight, not a byte for {quiet_s:.0f} s"
            sentence = self._stalls.dump_now()
            raise ServerHung(
                "; ".join(filter(None, (f"{hangs}, /health is silent", sentence))),
                "the stacks of its processes are in dumps/" if sentence else "",
            )


class _HealthProbe:
    """One health check in the background. healthy: None until it has an answer or timed out."""

    def __init__(self, target: Target) -> None:
        self.healthy: bool | None = None
        self._target = target
        threading.Thread(target=self._ask, name="health-probe", daemon=True).start()

    def _ask(self) -> None:
        self.healthy = self._target.client.is_healthy(_HEALTH_TIMEOUT_S)
