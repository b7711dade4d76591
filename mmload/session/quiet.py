"""How long a server under load may stay quiet, learned from the run itself.

Quiet is a time in which requests are in flight, no byte of an answer comes and none ends, by a timeout either. How
long that lasts is a habit of the server: a quarter of a second (as often as workers report) at 100 answers a second,
ten seconds where a large model answers in ten. So the gaps of the run are its measure:

    limit = max(5 s, 3 x the second longest of the last 200 gaps)

The longest alone may be a compilation or a stall itself; what happened twice is no surprise. 200 gaps are 50 s of a
busy server, so that what the first requests took is forgotten. Until there are two gaps nothing is known, and no
limit holds.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Collection

from mmload.model.records import GeneratorSample

_LEAST_S = 5.0
_TIMES = 3.0
_REMEMBERED = 200
_LONGEST_STEP_S = 1.0  # between two words of a worker; more is its own standstill, or the driver's


class Quiet:
    """By the clock of the workers' samples: a worker or a driver that stands still hears nothing, and knows nothing.

    lasts_s: for how long it has been quiet, since since_ns. heard_ns: the last sample with more bytes, or without a
    request in flight: an answer given up is no sign of life. in_flight: by now.
    """

    def __init__(self) -> None:
        self.lasts_s = 0.0
        self.since_ns = 0
        self.heard_ns = 0
        self.in_flight = 0
        self._gaps_s: deque[float] = deque(maxlen=_REMEMBERED)
        self._t_ns = 0
        self._progress = (0, 0)

    @property
    def limit_s(self) -> float:
        if len(self._gaps_s) < 2:
            return math.inf
        return max(_LEAST_S, _TIMES * sorted(self._gaps_s)[-2])

    @property
    def is_too_long(self) -> bool:
        return self.lasts_s > self.limit_s

    def hear(self, samples: Collection[GeneratorSample]) -> None:
        """The last word of every worker, as often as one likes."""
        t_ns = min((sample.t_ns for sample in samples), default=0)
        if t_ns <= self._t_ns:
            return
        step_s = min((t_ns - self._t_ns) / 1e9, _LONGEST_STEP_S)
        progress = (sum(sample.bytes_down for sample in samples), sum(sample.done for sample in samples))
        self._t_ns = t_ns
        self.in_flight = sum(sample.in_flight for sample in samples)
        if not self.in_flight or progress[0] != self._progress[0]:
            self.heard_ns = t_ns
        if self.in_flight and progress == self._progress:
            self.lasts_s += step_s
            return
        if progress != self._progress:
            self._gaps_s.append(self.lasts_s + step_s)
        self._progress = progress
        self.since_ns, self.lasts_s = t_ns, 0.0
