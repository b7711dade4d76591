"""Which phase each stack sample belongs to."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain

from mmload.analyse.stacks import Frame, parse_frame
from mmload.plan.phases import PhaseName, PhaseRule, PhaseRules


class Judge:
    """The rules made ready, with what they said about each frame so far: a profile has many stacks of few frames.

    source: 'file:line' -> text; without it rules on lines match nothing."""

    def __init__(self, rules: PhaseRules, source: Mapping[str, str]) -> None:
        self._rules = [_Matcher(rule) for rule in rules.rules]
        self._threads = rules.threads
        self._blocking = [_Called(rule.functions, rule.file) for rule in rules.blocking]
        self._source = source
        self._candidates: dict[str, list[_Matcher]] = {}
        self._by_function: dict[tuple[str, str], list[_Matcher]] = {}
        self._decided: dict[str, PhaseRule | None] = {}

    def phase(self, stack: str) -> PhaseName:
        rule = self._rule(stack)
        return rule.phase if rule else "other"

    def sleeps(self, stack: str) -> bool:
        rule = self._rule(stack)
        return rule is not None and rule.sleeps

    def may_block(self, stack: str) -> bool:
        """Whether the thread may have slept in its innermost frame, although it is sampled as running."""
        innermost = stack.rpartition(";")[2]
        return any(blocking.within(innermost) for blocking in self._blocking)

    def callers_of(self, thread: str, profiles: Iterable[Mapping[str, float]]) -> dict[str, float]:
        """The samples of the threads on whose behalf the native thread of that name works: those within calls of the
        functions that its rule names; none without a rule."""
        rule = next((rule for rule in self._threads if re.fullmatch(rule.names, thread)), None)
        callers: defaultdict[str, float] = defaultdict(float)
        if rule:
            called = _Called(rule.calls, rule.file)
            for stack, samples in chain.from_iterable(stacks.items() for stacks in profiles):
                if called.within(stack):
                    callers[stack] += samples
        return callers

    def rule_at(self, frames: Sequence[str], depth: int, *, innermost: bool) -> PhaseRule | None:
        """The rule that the frame at `depth` itself decides, by what called it. innermost: it called nothing."""
        for one in self._matching(frames[depth]):
            if one.holds(frames, depth, innermost=innermost):
                return one.rule
        return None

    def _rule(self, stack: str) -> PhaseRule | None:
        if stack not in self._decided:
            frames = stack.split(";")
            last = len(frames) - 1
            found = (self.rule_at(frames, depth, innermost=depth == last) for depth in range(last, -1, -1))
            self._decided[stack] = next(filter(None, found), None)
        return self._decided[stack]

    def has_rules(self, text: str) -> bool:
        """Whether any rule may hold at a frame, in some place of some stack."""
        return bool(self._matching(text))

    def _matching(self, text: str) -> list[_Matcher]:
        found = self._candidates.get(text)
        if found is None:
            frame = parse_frame(text)
            line = self._source.get(frame.place)
            found = self._candidates[text] = [one for one in self._named(frame) if one.matches_line(line)]
        return found

    def _named(self, frame: Frame) -> list[_Matcher]:
        """Those that a frame's function and file fit: of each function many lines are seen."""
        key = frame.function, frame.file
        if key not in self._by_function:
            self._by_function[key] = [one for one in self._rules if one.matches(*key)]
        return self._by_function[key]


class _Called:
    """Whether a stack is within a call of certain functions: the whole of their name, some part of their path."""

    def __init__(self, functions: str, file: str) -> None:
        self._functions, self._file = re.compile(functions), re.compile(file)

    def within(self, stack: str) -> bool:
        frames = map(parse_frame, stack.split(";"))
        return any(self._functions.fullmatch(_last_name(f.function)) and self._file.search(f.file) for f in frames)


class _Matcher:
    """One rule with its patterns compiled."""

    def __init__(self, rule: PhaseRule) -> None:
        self.rule = rule
        self._functions = re.compile(rule.functions)
        self._file = re.compile(rule.file)
        self._line = re.compile(rule.line) if rule.line else None
        self._under = re.compile(rule.under) if rule.under else None

    def matches(self, function: str, file: str) -> bool:
        return bool(self._functions.fullmatch(_last_name(function)) and self._file.search(file))

    def matches_line(self, text: str | None) -> bool:
        """text: the frame's source line, None where unknown."""
        return self._line is None or (text is not None and self._line.search(text) is not None)

    def holds(self, frames: Sequence[str], depth: int, *, innermost: bool) -> bool:
        """What its place in the stack decides."""
        if self.rule.leaf and not innermost:
            return False
        under = self._under
        return under is None or any(under.fullmatch(_last_name(parse_frame(f).function)) for f in frames[:depth])


def _last_name(function: str) -> str:
    """'Scheduler.recv_requests' -> 'recv_requests': Python 3.10 and older give no more."""
    return function.rpartition(".")[2]
