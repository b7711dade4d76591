"""Notices what ends a run early: a server that died, lost or restarted a rank, or answers nothing any more."""

from __future__ import annotations

import time

from mmload.discover import verify_same
from mmload.errors import ServerDied, ServerHung
from mmload.serve.target import Target

LOOK_S = 1.0
QUIET_S = 10.0  # nothing complete for so long, with requests in flight: ask the server whether it is well
HEALTH_TIMEOUT_S = 5.0


class Watch:
    """Looks at one server; cheap enough to be called in every turn of the run's loop."""

    def __init__(self, target: Target, timeout_s: float) -> None:
        self._target = target
        self._timeout_s = timeout_s
        self._next_look_s = 0.0

    def look(self, in_flight: int, last_progress_ns: int) -> None:
        """Raise ServerDied or ServerHung when that is certain."""
        self._target.refuse_dead()
        now_s = time.monotonic()
        if now_s < self._next_look_s:
            return
        self._next_look_s = now_s + LOOK_S
        self._refuse_changed()
        quiet_s = (time.monotonic_ns() - last_progress_ns) / 1e9
        if in_flight and quiet_s > QUIET_S and self._is_hung(quiet_s):
            raise ServerHung(
                f"the server hangs: {in_flight} requests in flight, nothing complete for {quiet_s:.0f} s",
                "the stacks of its processes are in dumps/",
            )

    def _refuse_changed(self) -> None:
        if not self._target.processes:
            return
        differences = verify_same(self._target.processes, self._target.find_processes())
        if differences:
            raise ServerDied("; ".join(differences), "see logs/server.log" if self._target.is_owned else "")

    def _is_hung(self, quiet_s: float) -> bool:
        if quiet_s > 2 * self._timeout_s:
            return True
        return not self._target.client.is_healthy(HEALTH_TIMEOUT_S)
