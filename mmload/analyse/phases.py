"""Which phase each stack sample belongs to, and how large each phase's share is."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping

import msgspec

from mmload.analyse.stacks import Frame, parse_frame
from mmload.plan.phases import IDLE_PHASES, PHASES, PhaseName, PhaseRule, PhaseRules

_Z_95 = 1.959964  # two-sided 95 % of a normal distribution
# Stacks read from a process that runs on are torn now and then, and py-spy's notion of 'running' is the kernel's:
# against known truths of 0.418 and 0.160 the work share came out as 0.432 and 0.177 (20 s at 100 Hz).
_SYSTEMATIC = 0.02


class Share(msgspec.Struct, frozen=True):
    """A share of the samples with its 95 % interval: Wilson's for the sampling (py-spy's ticks are random, so samples
    are taken as independent) widened by 0.02 for what more samples would not mend."""

    value: float
    low: float
    high: float


class PhaseShares(msgspec.Struct, frozen=True, kw_only=True):
    """samples: those that are not of a wait that sleeps. shares: the phases that occur among them, in the order of
    PHASES; they add up to 1. work: all but idle-poll and device-wait; None without samples."""

    samples: int
    shares: dict[PhaseName, Share]
    work: Share | None


def phase_shares(stacks: Mapping[str, int], rules: PhaseRules, source: Mapping[str, str]) -> PhaseShares:
    """The shares of a process's on-CPU samples. source: 'file:line' -> text, as stored beside the stacks; without it
    rules on lines match nothing, so that more counts as work."""
    parts = split_by_phase(awake(stacks, rules, source), rules, source)
    counts = {phase: sum(part.values()) for phase, part in parts.items()}
    samples = sum(counts.values())
    idle = sum(counts.get(phase, 0) for phase in IDLE_PHASES)
    return PhaseShares(
        samples=samples,
        shares={phase: share(counts[phase], samples) for phase in PHASES if counts.get(phase)},
        work=share(samples - idle, samples) if samples else None,
    )


def awake(stacks: Mapping[str, int], rules: PhaseRules, source: Mapping[str, str]) -> dict[str, int]:
    """The stacks but those of a wait that sleeps: what the process's CPU was spent on."""
    judge = _Judge(rules, source)
    return {stack: samples for stack, samples in stacks.items() if not judge.sleeps(stack)}


def split_by_phase(
    stacks: Mapping[str, int], rules: PhaseRules, source: Mapping[str, str]
) -> dict[PhaseName, dict[str, int]]:
    """Every stack under the one phase it belongs to; counts are conserved."""
    judge = _Judge(rules, source)
    parts: dict[PhaseName, dict[str, int]] = {}
    for stack, samples in stacks.items():
        parts.setdefault(judge.phase(stack), {})[stack] = samples
    return parts


def share(count: int, samples: int) -> Share:
    """count of samples, samples > 0, with Wilson's interval (1927) and the systematic term."""
    value = count / samples
    shrink = 1 + _Z_95**2 / samples
    centre = (value + _Z_95**2 / (2 * samples)) / shrink
    half = _Z_95 / shrink * math.sqrt(value * (1 - value) / samples + _Z_95**2 / (4 * samples**2))
    return Share(value, max(0.0, centre - half - _SYSTEMATIC), min(1.0, centre + half + _SYSTEMATIC))


class _Judge:
    """The rules made ready, with what they said about each frame so far: a profile has many stacks of few frames."""

    def __init__(self, rules: PhaseRules, source: Mapping[str, str]) -> None:
        self._rules = [_Matcher(rule) for rule in rules.rules]
        self._source = source
        self._candidates: dict[str, list[_Matcher]] = {}

    def phase(self, stack: str) -> PhaseName:
        rule = self._rule(stack)
        return rule.phase if rule else "other"

    def sleeps(self, stack: str) -> bool:
        rule = self._rule(stack)
        return rule is not None and rule.sleeps

    def _rule(self, stack: str) -> PhaseRule | None:
        frames = stack.split(";")
        for depth in range(len(frames) - 1, -1, -1):
            for matcher in self._matching(frames[depth]):
                if matcher.holds_here(frames, depth):
                    return matcher.rule
        return None

    def _matching(self, text: str) -> list[_Matcher]:
        if text not in self._candidates:
            frame = parse_frame(text)
            self._candidates[text] = [m for m in self._rules if m.matches(frame, self._source.get(frame.place))]
        return self._candidates[text]


class _Matcher:
    """One rule with its patterns compiled."""

    def __init__(self, rule: PhaseRule) -> None:
        self.rule = rule
        self._functions = re.compile(rule.functions)
        self._file = re.compile(rule.file)
        self._line = re.compile(rule.line) if rule.line else None
        self._under = re.compile(rule.under) if rule.under else None

    def matches(self, frame: Frame, text: str | None) -> bool:
        """What the frame itself decides. text: its source line, None where unknown."""
        if not self._functions.fullmatch(_last_name(frame.function)) or not self._file.search(frame.file):
            return False
        return self._line is None or (text is not None and self._line.search(text) is not None)

    def holds_here(self, frames: list[str], depth: int) -> bool:
        """What its place in the stack decides."""
        if self.rule.leaf and depth != len(frames) - 1:
            return False
        under = self._under
        return under is None or any(under.fullmatch(_last_name(parse_frame(f).function)) for f in frames[:depth])


def _last_name(function: str) -> str:
    """'Scheduler.recv_requests' -> 'recv_requests': Python 3.10 and older give no more."""
    return function.rpartition(".")[2]
