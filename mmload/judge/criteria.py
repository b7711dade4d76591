"""The language of acceptance criteria.

    criterion = metric op limit [ "vs" baseline ]
    metric    = name                                     one of mmload.judge.metrics.METRICS
    op        = "<" | "<=" | ">" | ">=" | "=="
    limit     = [ "-" ] digits [ "." digits ] [ "e" [ "-" ] digits ]
    baseline  = name                                     a variant, of which there is another run

for example `response_p99_ms < 500` or `build_cpu_saved > 0.70 vs original`. Blanks separate, and are optional around
an operator.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Protocol, cast

import msgspec

from mmload.errors import ConfigError
from mmload.model.result import Op
from mmload.plan.config_hints import nearest

_TOKEN = re.compile(r"\s*(?:(?P<op><=|>=|==|<|>)|(?P<word>[^\s<>=]+)|(?P<bad>\S))")
_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE]-?\d+)?")


class Measurable(Protocol):
    """What the parser asks of a metric. limits: the least and the most that a limit may be."""

    @property
    def against_baseline(self) -> bool: ...
    @property
    def limits(self) -> tuple[float, float]: ...


class Criterion(msgspec.Struct, frozen=True, kw_only=True):
    """One parsed criterion. limit: as written; margin: by how much it is moved in the lenient direction."""

    metric: str
    op: Op
    limit: float
    baseline: str | None
    margin: float = 0.0

    def holds(self, value: float) -> bool:
        limit = self.moved_limit
        return {
            "<": value < limit,
            "<=": value <= limit,
            ">": value > limit,
            ">=": value >= limit,
            "==": value == limit,
        }[self.op]

    @property
    def moved_limit(self) -> float:
        """What values are held against."""
        return self.limit + (self.margin if self.op in {"<", "<="} else -self.margin)


def parse(text: str, where: str, metrics: Mapping[str, Measurable], variants: Sequence[str]) -> Criterion:
    """The criterion that `text` says. Raises ConfigError, opening with `where` and saying what was expected."""
    tokens = _Tokens(text, where)
    metric = tokens.take("word", "a metric")
    if metric not in metrics:
        raise tokens.error(f"unknown metric {metric!r}", nearest(metric, sorted(metrics)))
    op = cast("Op", tokens.take("op", "one of < <= > >= =="))
    limit = _limit(tokens, metric, metrics[metric])
    baseline = _baseline(tokens, metric, metrics[metric], variants)
    return Criterion(metric=metric, op=op, limit=limit, baseline=baseline)


def with_margin(criterion: Criterion, margin: float, where: str, metrics: Mapping[str, Measurable]) -> Criterion:
    """The same criterion with a non-inferiority margin: a share of the baseline's figure. Raises ConfigError where it
    means nothing."""
    if not margin:
        return criterion
    if criterion.baseline is None:
        raise ConfigError(f"{where}: {criterion.metric} compares with no baseline", "move the limit itself")
    if criterion.op == "==":
        raise ConfigError(f"{where}: `==` has no margin", "leave it out, or compare with < or >")
    moved = msgspec.structs.replace(criterion, margin=margin)
    least, most = metrics[criterion.metric].limits
    if not least <= moved.moved_limit <= most:
        raise ConfigError(
            f"{where}: {criterion.metric} lies between {least:g} and {most:g}: with a margin of {margin:g} "
            "every value is inside the limit"
        )
    return moved


class _Tokens:
    """The tokens of one criterion, taken from the left."""

    def __init__(self, text: str, where: str) -> None:
        self._where, self._text = where, text
        self._left = [(str(match.lastgroup), match[match.lastgroup or 0]) for match in _TOKEN.finditer(text)]

    def __bool__(self) -> bool:
        return bool(self._left)

    def take(self, kind: str, expected: str) -> str:
        if not self._left:
            raise self.error(f"expected {expected}, but it ends there")
        found, token = self._left.pop(0)
        if found != kind:
            raise self.error(f"expected {expected}, got {token!r}")
        return token

    def error(self, message: str, hint: str = "a criterion reads: metric op limit [vs BASELINE]") -> ConfigError:
        return ConfigError(f"{self._where}: {self._text!r}: {message}", hint)


def _limit(tokens: _Tokens, metric: str, measurable: Measurable) -> float:
    word = tokens.take("word", "a number as limit")
    if not _NUMBER.fullmatch(word):
        raise tokens.error(f"expected a number as limit, got {word!r}", "figures carry no unit: the metric's name does")
    limit, (least, most) = float(word), measurable.limits
    if not least <= limit <= most:
        raise tokens.error(f"{metric} lies between {least:g} and {most:g}, so {word} is no limit for it")
    return limit


def _baseline(tokens: _Tokens, metric: str, measurable: Measurable, variants: Sequence[str]) -> str | None:
    if not tokens:
        if measurable.against_baseline:
            raise tokens.error(
                f"{metric} compares with another run", f"say which, for example: {metric} .. vs original"
            )
        return None
    if tokens.take("word", "'vs' or the end") != "vs":
        raise tokens.error("expected 'vs' or the end after the limit")
    baseline = tokens.take("word", "a variant after 'vs'")
    if not measurable.against_baseline:
        raise tokens.error(f"{metric} is of one run alone", "leave out 'vs' and what follows")
    if baseline not in variants:
        raise tokens.error(f"unknown variant {baseline!r}", nearest(baseline, list(variants)))
    if tokens:
        raise tokens.error(f"expected the end after {baseline!r}")
    return baseline
