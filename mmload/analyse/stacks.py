"""Arithmetic on folded stacks: {'frame;frame;frame': samples}, the root first, frames as `function (file:line)`."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import NamedTuple

import msgspec

_FRAME = re.compile(r"^(?P<function>.*) \((?P<file>[^()]*):(?P<line>\d+)\)$")
_ADDRESS = re.compile(r"0x[0-9a-f]+")


class Frame(NamedTuple):
    """A frame taken apart. A text that is none is a function without a file, at line 0. Native code without a symbol,
    which py-spy names by an address that is another in each process, is a function of its module: `[libc.so.6]`."""

    function: str
    file: str
    line: int

    @property
    def place(self) -> str:
        return f"{self.file}:{self.line}"


class FunctionSamples(msgspec.Struct, frozen=True, kw_only=True):
    """A function, all its lines together, in samples or in seconds. self_samples: those in which it was innermost;
    total_samples: those in which it was at all, once each even if it calls itself."""

    function: str
    file: str
    self_samples: float
    total_samples: float


@lru_cache(maxsize=65536)
def parse_frame(text: str) -> Frame:
    match = _FRAME.match(text)
    function, file, line = (match["function"], match["file"], int(match["line"])) if match else (text, "", 0)
    if _ADDRESS.fullmatch(function):
        function = f"[{file.strip('[]') or 'unknown'}]"  # `[vdso]` has brackets of its own
    return Frame(function, file, line)


def merge(profiles: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """The samples of all profiles in one."""
    merged: Counter[str] = Counter()
    for stacks in profiles:
        merged.update(stacks)
    return dict(merged)


def by_function(stacks: Mapping[str, float]) -> list[FunctionSamples]:
    """Every function, the one with the most samples of its own first."""
    own: defaultdict[tuple[str, str], float] = defaultdict(float)
    total: defaultdict[tuple[str, str], float] = defaultdict(float)
    for stack, samples in stacks.items():
        functions = [parse_frame(frame)[:2] for frame in stack.split(";")]
        own[functions[-1]] += samples
        for function in set(functions):
            total[function] += samples
    return [
        FunctionSamples(function=name, file=file, self_samples=own[name, file], total_samples=count)
        for (name, file), count in sorted(total.items(), key=lambda item: (-own[item[0]], -item[1], item[0]))
    ]


def hottest(stacks: Mapping[str, float], limit: int = 5) -> list[tuple[str, float]]:
    """('function (file)', share of all that is its own), at most `limit`, the largest first."""
    samples = sum(stacks.values())
    ranked = by_function(stacks)[:limit]
    return [(f"{f.function} ({f.file})", f.self_samples / samples) for f in ranked if f.self_samples]
