"""A number in a workload file: fixed, or drawn anew for each item.

    width_px = 224
    width_px = { draw = "uniform", min = 224, max = 1120 }
    width_px = { draw = "normal", mean = 640, sd = 100, min = 224, max = 1120 }
    prompt_words = { draw = "lognormal", median = 60, sigma = 0.8, min = 5, max = 2000 }
    max_tokens = { draw = "choice", values = [16, 64, 256], weights = [5, 3, 1] }

Whatever is drawn outside min .. max counts as the nearer of the two, so the range is known before anything is drawn.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec
import numpy as np

Positive = Annotated[float, msgspec.Meta(gt=0)]


class Distribution(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="draw"):
    """What all but a choice have: the range."""

    min: float
    max: float

    def __post_init__(self) -> None:
        if self.min > self.max:
            raise ValueError(f"`min` expected at most `max` ({self.max:g}), got {self.min:g}")


class Uniform(Distribution, frozen=True, kw_only=True, tag="uniform"):
    """Every value of the range alike."""

    def sample(self, rng: np.random.Generator) -> float:
        return rng.uniform(self.min, self.max)


class Normal(Distribution, frozen=True, kw_only=True, tag="normal"):
    mean: float
    sd: Positive

    def sample(self, rng: np.random.Generator) -> float:
        return rng.normal(self.mean, self.sd)


class LogNormal(Distribution, frozen=True, kw_only=True, tag="lognormal"):
    """sigma: standard deviation of the logarithm; 1 puts two thirds of the values within a factor e of the median."""

    median: Positive
    sigma: Positive

    def sample(self, rng: np.random.Generator) -> float:
        return self.median * float(np.exp(rng.normal(0, self.sigma)))


class Choice(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="choice", tag_field="draw"):
    """One of `values`, in proportion to `weights` (all alike without)."""

    values: Annotated[tuple[float, ...], msgspec.Meta(min_length=1)]
    weights: tuple[Positive, ...] | None = None

    def __post_init__(self) -> None:
        if self.weights is not None and len(self.weights) != len(self.values):
            raise ValueError(f"`weights` expected one for each of {len(self.values)} values, got {len(self.weights)}")

    @property
    def min(self) -> float:
        return min(self.values)

    @property
    def max(self) -> float:
        return max(self.values)

    def sample(self, rng: np.random.Generator) -> float:
        return self.values[weighted_index(self.weights or (1.0,) * len(self.values), rng)]


Amount = int | float | Uniform | Normal | LogNormal | Choice


def draw(amount: Amount, rng: np.random.Generator) -> float:
    """The fixed value, or one draw; only a real draw takes from `rng`."""
    if isinstance(amount, (int, float)):
        return amount
    return float(min(max(amount.sample(rng), amount.min), amount.max))


def bounds(amount: Amount) -> tuple[float, float]:
    """The lowest and the highest value that can come."""
    return (amount, amount) if isinstance(amount, (int, float)) else (amount.min, amount.max)


def check_range(key: str, amount: Amount, lowest: float, highest: float) -> None:
    """Raises ValueError, naming the key and the range expected, when `amount` may leave lowest .. highest."""
    low, high = bounds(amount)
    if not (lowest <= low and high <= highest):
        got = f"{low:g}" if low == high else f"{low:g} .. {high:g}"
        raise ValueError(f"`{key}` expected {lowest:g} .. {highest:g}, got {got}")


def weighted_index(weights: Sequence[float], rng: np.random.Generator) -> int:
    """An index of `weights`, in proportion to them."""
    cumulative = np.cumsum(weights)
    return min(int(np.searchsorted(cumulative, rng.random() * cumulative[-1], side="right")), len(weights) - 1)
