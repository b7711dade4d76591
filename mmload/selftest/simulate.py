"""How often the gate's own statistics err: servers whose truth is known, judged again and again, with fixed seeds.

At the limit neither PASS nor FAIL can be shown, and each may come out in 5 % of trials. 10 % inside or outside of it a
verdict is right, INCONCLUSIVE is a miss, and the other verdict is wrong. bench/coverage.py does the same at length.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mmload.analyse.blocks import mean_bounds
from mmload.judge.statistics import Bounds, Tail, Trust, bursts_of, proportion_bounds
from mmload.model.selftest import SimulatedRate

Values = NDArray[np.float64]
Draw = Callable[[float, np.random.Generator], Bounds]

_TRUST = Trust(confidence=0.95, declared=10.0)  # twice the bursts: what their number varies by
_TRUST_ERRORS = Trust(confidence=0.95, declared=1.0)
_SIGMA = 0.3  # of the logarithm of a response time
_Z99 = 2.3263478740408408  # the standard normal's 99th percentile
_BURST = 5.0  # requests in the mean that are slow or fast together
_AWAY = 0.1


class _Simulated(NamedTuple):
    """draw: the bounds that one simulated run gives, of a server whose true figure is so many times the limit, which is
    1. less_is_better: whether it must stay below."""

    metric: str
    about: str
    draw: Draw
    less_is_better: bool = True


def simulate(trials: int) -> Iterator[SimulatedRate]:
    """One rate after the other; each takes a second or so for 200 trials."""
    for number, each in enumerate(_SIMULATED):
        yield _rate(each, trials, np.random.default_rng([20251, number]))


def _rate(of: _Simulated, trials: int, rng: np.random.Generator) -> SimulatedRate:
    better = 1 - _AWAY if of.less_is_better else 1 + _AWAY
    words = [Counter(_word(of, truth, rng) for _ in range(trials)) for truth in (1.0, better, 2 - better)]
    (at_limit, inside, outside) = words
    return SimulatedRate(
        metric=of.metric,
        about=of.about,
        trials=trials,
        at_limit_passed=at_limit["PASS"],
        at_limit_failed=at_limit["FAIL"],
        better_passed=inside["PASS"],
        better_failed=inside["FAIL"],
        worse_passed=outside["PASS"],
        worse_failed=outside["FAIL"],
    )


def _word(of: _Simulated, truth: float, rng: np.random.Generator) -> str:
    bounds = of.draw(truth, rng)
    below, above = bounds.high < 1, bounds.low > 1
    if not (below or above):
        return "INCONCLUSIVE"
    return "PASS" if below == of.less_is_better else "FAIL"


def _p99(requests: int) -> Draw:
    """Lognormal response times, neighbours of a burst alike."""

    def draw(truth: float, rng: np.random.Generator) -> Bounds:
        levels = np.repeat(*_bursts(requests, rng))[:requests]
        logs = np.sqrt(0.8) * levels + np.sqrt(0.2) * rng.standard_normal(requests)
        return Tail([truth * np.exp(_SIGMA * (logs - _Z99))], 0.01).percentile_bounds(_TRUST)

    return draw


def _bursts(requests: int, rng: np.random.Generator) -> tuple[Values, NDArray[np.int64]]:
    """The level of each burst, and how many requests it has."""
    number = int(2 * requests / _BURST) + 10
    return rng.standard_normal(number), rng.geometric(1 / _BURST, number)


def _errors(requests: int, limit: float) -> Draw:
    def draw(truth: float, rng: np.random.Generator) -> Bounds:
        failed = rng.random(requests) < truth * limit
        found = proportion_bounds(requests, bursts_of([failed]), _TRUST_ERRORS)
        return Bounds(found.low / limit, found.high / limit)

    return draw


def _answers(seconds: int, rate_rps: float) -> Draw:
    def draw(truth: float, rng: np.random.Generator) -> Bounds:
        blocks = rng.poisson(truth * rate_rps, seconds) / rate_rps
        found = mean_bounds(blocks[: seconds // 20 * 20].reshape(20, -1).mean(axis=1), _TRUST.confidence)
        assert found
        return Bounds(*found)

    return draw


_SIMULATED = (
    _Simulated("response_p99_ms", "20,000 requests in bursts of 5, which the gate declares", _p99(20_000)),
    _Simulated("error_rate", "100,000 requests at a limit of 0.1 %", _errors(100_000, 0.001)),
    _Simulated("qps", "40 s at a limit of 70/s", _answers(40, 70.0), less_is_better=False),
)
