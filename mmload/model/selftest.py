"""What `mmload selftest` says: which planted truths were told apart, and how often the gate's bounds err. Data only."""

from __future__ import annotations

from typing import Literal

import msgspec

from mmload.model.plan import SCHEMA

RowState = Literal["right", "wrong", "not judged", "not made"]


class SelftestRow(msgspec.Struct, frozen=True, kw_only=True):
    """One planted truth, or a control without a fault. truth: what was planted. expected, came: what the tool must say
    and what it said; reason: in its own words. amiss: what is wrong about that, None where it is right.

    state: 'not judged' where the host left nothing to judge by (the generator was late although nothing was done to
    it), 'not made' where no server could be run. attempts: how often it was tried. runs: the run folders it rests on.
    """

    name: str
    planted: bool
    truth: str
    expected: str
    came: str
    reason: str
    amiss: str | None = None
    state: RowState
    attempts: int = 1
    took_s: float
    runs: list[str] = []


class Tally(msgspec.Struct, frozen=True, kw_only=True):
    """wrong: how many of `judged` rows came out wrong."""

    wrong: int
    judged: int


class SimulatedRate(msgspec.Struct, frozen=True, kw_only=True):
    """How the gate's own statistics judge a server whose truth is known, over `trials` simulated runs.

    at_limit_passed, at_limit_failed: of a server that stands exactly at the limit, where neither can be shown.
    better_passed, worse_failed: of servers 10 % inside and outside it; the rest of both are misses, which must be
    INCONCLUSIVE: better_failed and worse_passed are the wrong ones.
    """

    metric: str
    about: str
    trials: int
    at_limit_passed: int
    at_limit_failed: int
    better_passed: int
    better_failed: int
    worse_passed: int
    worse_failed: int


class SelftestReport(msgspec.Struct, frozen=True, kw_only=True):
    """`mmload selftest --json`. false_alarms: of the controls; misses: of the planted rows. kept: the folder of the
    runs, None where they were removed. complete: every row had its turn."""

    schema: int = SCHEMA
    mmload: str
    quick: bool
    complete: bool
    rows: list[SelftestRow]
    false_alarms: Tally
    misses: Tally
    simulated: list[SimulatedRate] = []
    kept: str | None = None
