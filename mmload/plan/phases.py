"""The rules that put stack samples into phases: configs/phases/NAME.toml.

A sample belongs to the innermost of its frames that a rule matches; of several rules that match that frame, the first
in the file has it. A sample that no rule matches is 'other', which counts as work.

A wait that sleeps burns next to no CPU, and yet a profiler sees it at work: it asks the kernel first whether a thread
runs and reads its stack a moment later, when the thread has gone to sleep. Those samples stand for the work before
the wait, which is known by its other samples alone; a rule that `sleeps` has them left out of all shares. A wait that
spins burns what its samples say.
"""

from __future__ import annotations

import re
from typing import Literal, get_args

import msgspec

from mmload.plan import config

PhaseName = Literal[
    "idle-poll",
    "device-wait",
    "receive",
    "broadcast",
    "materialise",
    "hash",
    "pickle",
    "schedule",
    "forward",
    "reply",
    "other",
]
PHASES: tuple[PhaseName, ...] = get_args(PhaseName)
IDLE_PHASES: tuple[PhaseName, ...] = ("idle-poll", "device-wait")


class PhaseRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A frame matches when every condition given holds; each is a regular expression.

    functions: the whole of the function's name after its last dot. file: some part of the file's path. line: some
    part of the source line's text; without the text of the line the rule does not match. under: the whole name, after
    its last dot, of some function that called it, at any distance. leaf: nothing was called from this frame. sleeps
    (idle-poll and device-wait only): the wait sleeps in the kernel.
    """

    phase: PhaseName
    functions: str
    file: str = ""
    line: str = ""
    under: str = ""
    leaf: bool = False
    sleeps: bool = False
    about: str = ""

    def __post_init__(self) -> None:
        if self.sleeps and self.phase not in IDLE_PHASES:
            raise ValueError(f"only {' and '.join(IDLE_PHASES)} can sleep, not {self.phase}")
        _refuse_wrong(self.functions, self.file, self.line, self.under)


class ThreadRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Threads without Python that work on behalf of others. names: the whole of a thread's name. calls: the whole name,
    after its last dot, of the functions that have them work; file: some part of those functions' path. Their time is
    divided as the samples within these calls are."""

    names: str
    calls: str
    file: str = ""
    about: str = ""

    def __post_init__(self) -> None:
        _refuse_wrong(self.names, self.calls, self.file)


class BlockingRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Functions that may sleep in the kernel and may as well burn CPU there. functions: the whole name, after its last
    dot, of the innermost; file: some part of its path. A thread asleep there is sampled all the same: of these samples
    no more count than its CPU time leaves room for."""

    functions: str
    file: str = ""
    about: str = ""

    def __post_init__(self) -> None:
        _refuse_wrong(self.functions, self.file)


class PhaseRules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A phase-rules file. `rules`, `threads`: in order of precedence."""

    about: str = ""
    rules: tuple[PhaseRule, ...]
    threads: tuple[ThreadRule, ...] = ()
    blocking: tuple[BlockingRule, ...] = ()


def rules_for(engine: str) -> PhaseRules:
    """The rules for the server an engine starts: those of its name, else SGLang's. Raises ConfigError."""
    return config.load("phases", engine if engine in config.names("phases") else "sglang", PhaseRules)


def _refuse_wrong(*patterns: str) -> None:
    for pattern in patterns:
        try:
            re.compile(pattern)
        except re.error as error:
            raise ValueError(f"expected a regular expression, found {pattern!r} ({error})") from error
