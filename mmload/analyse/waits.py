"""Which process waits for which, in words, from the dumps of all of them.

A collective ends when its last rank comes: a rank inside one waits for those of its group that are not. So what holds
up a server is whoever is stopped or gone; else the rank that its peers wait for; else, with every rank in the same
place, what carries the collective, or the device.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Literal, NamedTuple

from mmload.analyse.dumps import GONE, ProcessDump, parse_dump
from mmload.analyse.phases import Judge
from mmload.analyse.stacks import parse_frame
from mmload.plan.phases import PhaseRules

Kind = Literal["held", "collective", "idle", "device", "work"]

# Where ranks meet: torch's files, SGLang's around them, the stand-in's, and the overlay's board of failures.
_MEETING = re.compile(r"torch/distributed/|distributed_c10d|parallel_state|standin/(collective|gloo)|overlay/agreement")
_COLLECTIVE = re.compile(
    r"(broadcast|(\w+_)?all_?reduce|(\w+_)?all_?gather|reduce_scatter|all_to_all|gather|scatter|barrier|agree)(_\w+)?"
)
_NUMBERS = re.compile(r"_([A-Z]+(?:_[A-Z]+)*)(\d+)")
_TURNS = 0.01  # share of the time: a main thread that ran less stood where the dump found it


class _Stand(NamedTuple):
    """Where one process stands. doing: what completes a sentence that begins with its title."""

    name: str
    title: str
    kind: Kind
    where: str
    doing: str
    turns: bool

    def __str__(self) -> str:
        return f"{self.title} {self.doing}"


def who_waits(dumps: Mapping[str, str], rules: PhaseRules) -> str:
    """Clauses joined by semicolons. dumps: process name -> the text of its dump, of all processes of a server. rules:
    tell a wait for requests or for the device from work."""
    judge = Judge(rules, {})
    stands = [_stand(parse_dump(name, text), judge) for name, text in sorted(dumps.items())]
    ranks = [stand for stand in stands if stand.name.startswith("scheduler")]
    groups = _groups(ranks)
    stuck = [group for group in groups if not _goes_on(group)]
    clauses = [str(stand) for stand in stands if stand.kind == "held"]
    clauses += [clause for group in stuck or groups for clause in _among(group)]
    for stand in stands:
        if stand.kind == "held" or stand in ranks:
            continue
        if stand.name.startswith("tokenizer") and stand.kind == "idle" and stuck:
            clauses.append(f"{stand.name} waits for the ranks")
        elif stand.name.startswith("tokenizer") or stand.turns or not ranks:
            clauses.append(str(stand))
    return "; ".join(clauses)


def _stand(dump: ProcessDump, judge: Judge) -> _Stand:
    turns = (dump.ran_share or 0.0) >= _TURNS
    stack = next((thread.frames for thread in dump.threads if _meeting(thread.frames)), None)
    stack = stack or next((thread.frames for thread in dump.threads), [])
    phase = judge.phase(";".join(reversed(stack))) if stack else "other"
    where = _meeting(stack) or (_function(stack[0]) if stack else "")
    at = f", in {where}" if where else ""
    kind: Kind = "work"
    if dump.state == "T":
        kind, doing = "held", f"is stopped by a signal{at}"
    elif dump.state == "t":
        kind, doing = "held", f"is stopped by a tracer{at}"
    elif dump.state == GONE:
        kind, doing = "held", "is gone"
    elif dump.state == "D" and not turns:
        kind, doing = "held", f"waits in the kernel and can't be woken ({dump.waits_in or 'nobody knows where'}){at}"
    elif not stack:
        doing = f"can't be read; by the kernel it {_by_kernel(dump)}"
    elif _meeting(stack):
        kind, doing = "collective", f"waits in {where}"
    elif phase == "idle-poll" or "poll" in dump.waits_in:  # an event loop in C has no frame that says so
        kind, doing = "idle", f"waits for messages in {where}"
    elif phase == "device-wait":
        kind, doing = "device", f"waits for the device in {where}"
    else:
        doing = f"{'is at work' if turns else 'stands'} in {where}"
    return _Stand(dump.name, f"{dump.name} (pid {dump.pid})", kind, where, doing, turns)


def _by_kernel(dump: ProcessDump) -> str:
    """Where a process sleeps the kernel tells those only who may trace it."""
    if dump.waits_in:
        return f"sleeps in {dump.waits_in}"
    return "sleeps" if dump.state in {"S", "D"} else "runs"


def _meeting(stack: Sequence[str]) -> str:
    """The collective that a stack (innermost first) is inside: its outermost name, which says what it is for; empty
    for none."""
    frames = [parse_frame(frame) for frame in stack]
    if not any(_MEETING.search(frame.file) for frame in frames):
        return ""
    names = [_last_name(frame.function) for frame in frames]
    meant = next((name for name in reversed(names) if _COLLECTIVE.fullmatch(name)), "")
    return meant.removeprefix("tensor_model_parallel_")


def _function(frame: str) -> str:
    return _last_name(parse_frame(frame).function)


def _last_name(function: str) -> str:
    return function.rpartition(".")[2]


def _groups(ranks: Iterable[_Stand]) -> list[list[_Stand]]:
    """Those that meet in collectives: of one pipeline stage, and of one replica. Data-parallel ranks are replicas where
    tensor-parallel ranks have the same numbers in each (with attention alone in parallel they are counted through)."""
    numbers = {rank: dict(_NUMBERS.findall(rank.name)) for rank in ranks}
    places = [(number.get("PP"), number.get("TP")) for number in numbers.values()]
    replicated = len(set(places)) < len(places)
    groups: dict[tuple[str | None, str | None], list[_Stand]] = {}
    for rank, number in numbers.items():
        groups.setdefault((number.get("DP") if replicated else None, number.get("PP")), []).append(rank)
    return list(groups.values())


def _goes_on(group: Sequence[_Stand]) -> bool:
    """Each rank turns; or one waits for messages, and nobody is missing who should give the others their part."""
    kinds = {rank.kind for rank in group}
    return all(rank.turns for rank in group) or ("idle" in kinds and kinds <= {"idle", "collective"})


def _among(group: Sequence[_Stand]) -> Iterator[str]:
    """Who waits for whom in a group, whoever is held left out: that was said before."""
    inside = _by_place(rank for rank in group if rank.kind == "collective")
    missing = [rank for rank in group if rank.kind != "collective"]
    if all(rank.kind == "device" for rank in group):
        yield f"nobody is stuck in Python: {_places(_by_place(group), 'for the device in')}"
    elif missing:
        yield from (str(rank) for rank in missing if rank.kind != "held")
        for place, names in inside.items():
            yield f"{_wait(names)} for {_listed([rank.name for rank in missing])} in {place}"
    elif any(rank.turns for rank in group):
        yield f"no rank stands still: {_places(inside, 'in')} at that moment"
    elif len(inside) == 1:
        yield f"{_places(inside, 'in')}, and no rank is missing there: what carries it stands still"
    else:
        yield f"{_places(inside, 'in')}: collectives that do not meet"


def _by_place(ranks: Iterable[_Stand]) -> dict[str, list[str]]:
    """Where -> the names of those that stand there."""
    places: dict[str, list[str]] = {}
    for rank in ranks:
        places.setdefault(rank.where, []).append(rank.name)
    return places


def _places(places: Mapping[str, Sequence[str]], how: str) -> str:
    return ", ".join(f"{_wait(names)} {how} {place}" for place, names in places.items())


def _wait(names: Sequence[str]) -> str:
    return f"{_listed(names)} {'waits' if len(names) == 1 else 'wait'}"


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))
