"""The gate's own statistics on planted loads, one function a figure: the runs of a side, or of both -> its interval."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from planted_loads import LIMIT, Values

from mmload.analyse.cpu import Interval
from mmload.analyse.cpu_time import cpu_time
from mmload.analyse.reading import Reading
from mmload.judge.costs import WORK_PHASES, share_reading
from mmload.judge.pooling import of_blocks, pool
from mmload.judge.ratios import ratio_of, ratio_of_tails, resampled_percentile, resampled_rate
from mmload.judge.statistics import Bounds, Tail, Trust, bursts_of, proportion_bounds
from mmload.plan.phases import rules_for
from mmload.store.stacks import ProcessThreads, ThreadStacks

CONFIDENCE = 0.95
DECLARED = 40.0
RULES = rules_for("standin")
POLL, WORK = (f"Scheduler.{name} (mmload/standin/rank.py:1)" for name in ("poll_for_work", "hash_feature"))


def percentile(
    runs: Sequence[Values], share: float, declared: float = DECLARED, confidence: float = CONFIDENCE
) -> Bounds:
    return Tail(runs, share).percentile_bounds(Trust(confidence, declared))


def errors(runs: Sequence[Values], declared: float = DECLARED) -> Bounds:
    """Of values, those above LIMIT being errors."""
    flags = [values >= LIMIT for values in runs]
    return proportion_bounds(sum(map(len, runs)), bursts_of(flags), Trust(CONFIDENCE, declared))


def mean(runs: Sequence[Values], confidence: float = CONFIDENCE) -> Interval:
    """A rate or total CPU; of each run the blocks."""
    return pool([_of_blocks(blocks, confidence) for blocks in runs]).interval(confidence)


def work(runs: Sequence[Values], stacks: Sequence[tuple[int, int]]) -> Interval:
    """Total CPU of each run by blocks, and of its profile the samples of work and of poll."""
    readings = [_of_blocks(blocks).times(_share(*counts)) for blocks, counts in zip(runs, stacks, strict=True)]
    return pool(readings).interval(CONFIDENCE)


def ratio_of_rates(candidate: Sequence[Values], baseline: Sequence[Values], *, paired: bool) -> Interval | None:
    """Of each run blocks of a and b, (blocks, 2)."""
    sides = zip((candidate, baseline), (0, 0 if paired else 1), strict=True)
    found = ratio_of(*([resampled_rate(*run.T, np.random.default_rng(seed)) for run in side] for side, seed in sides))
    return found.interval(CONFIDENCE) if found else None


def ratio_of_percentiles(
    candidate: Sequence[Values], baseline: Sequence[Values], p: float, *, paired: bool, declared: float = DECLARED
) -> Interval:
    """Of each run its values in time order. As the gate does: by a bootstrap, or else by order statistics."""
    sides = zip((candidate, baseline), (0, 0 if paired else 1), strict=True)
    found = ratio_of(
        *(
            [resampled_percentile(np.array_split(run, 20), p, np.random.default_rng(seed)) for run in side]
            for side, seed in sides
        )
    )
    if found:
        return found.interval(CONFIDENCE)
    return ratio_of_tails(Tail(candidate, 1 - p), Tail(baseline, 1 - p), Trust(CONFIDENCE, declared))


def below(bounds: Bounds | Interval | None, limit: float) -> str:
    """The gate's word on `figure < limit`."""
    if bounds is None:
        return "INCONCLUSIVE"
    return "PASS" if bounds.high < limit else "FAIL" if bounds.low >= limit else "INCONCLUSIVE"


def above(bounds: Bounds | Interval | None, limit: float) -> str:
    """The gate's word on `figure > limit`."""
    if bounds is None:
        return "INCONCLUSIVE"
    return "PASS" if bounds.low > limit else "FAIL" if bounds.high <= limit else "INCONCLUSIVE"


def _of_blocks(blocks: Values, confidence: float = CONFIDENCE) -> Reading:
    reading = of_blocks(float(blocks.mean()), blocks, confidence)
    assert reading
    return reading


def _share(working: int, polling: int) -> Reading:
    stacks = {stack: count for stack, count in ((WORK, working), (POLL, polling)) if count}
    thread = ThreadStacks(tid=1, name="", cpu_s=1.0, stacks=stacks)
    return share_reading(cpu_time(ProcessThreads(seconds=10.0, threads=[thread]), RULES, {}), WORK_PHASES, CONFIDENCE)
