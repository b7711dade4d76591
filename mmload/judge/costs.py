"""What processes of one run burn, as readings: chance, which more evidence mends, apart from what is systematic."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mmload.analyse.cpu import ProcessSeries, block_total_pct
from mmload.analyse.cpu import total_pct as mean_total_pct
from mmload.analyse.cpu_time import CpuTime
from mmload.analyse.handoff_samples import handing_over
from mmload.analyse.load import achieved_rps
from mmload.analyse.phase_costs import MS_PER_PCT
from mmload.analyse.reading import Reading, added, by_chance
from mmload.judge.evidence import Evidence, Rounds
from mmload.judge.pooling import of_blocks
from mmload.model.records import Role
from mmload.plan.phases import IDLE_PHASES, PHASES, PhaseName

WORK_PHASES = tuple(phase for phase in PHASES if phase not in IDLE_PHASES)


def total_pct(run: Evidence, series: ProcessSeries, confidence: float) -> Reading | None:
    """Total CPU in percent of a core; None where there are no blocks."""
    value = mean_total_pct(series, run.window)
    return None if value is None else of_blocks(value, block_total_pct(series, run.window), confidence)


def work_pct(run: Evidence, series: ProcessSeries, confidence: float) -> Reading | None:
    """CPU without idle poll and wait for the device; None without blocks or stacks."""
    total, share = total_pct(run, series, confidence), run.work.get(series.name)
    return total.times(share_reading(share.time, WORK_PHASES, confidence)) if total and share else None


def share_reading(time: CpuTime, phases: Sequence[PhaseName], confidence: float) -> Reading:
    """The share of some phases, each bound at half the risk: the seconds of a profile are few, and their load is not
    quite that of the measure window (bench/coverage.py: 7 % instead of 5 at the whole risk)."""
    return time.reading(phases, (1 + confidence) / 2)


def ms_per_answer(run: Evidence, phases_in: Callable[[Role], Sequence[PhaseName]], confidence: float) -> Reading | None:
    """CPU milliseconds per correct answer over the tokenizer and all ranks, in the phases that count in each of them.
    None unless what each of them burnt, and on what, is known, and with nothing answered."""
    processes = handing_over(run.processes, run.work, run.window, confidence)
    answers_rps = achieved_rps(run.run.requests, run.window)
    if not processes or not answers_rps or not all(process.bounded for process in processes.values()):
        return None
    pct = added(
        by_chance(process.total).times(share_reading(process.share.time, phases_in(process.role), confidence))
        for process in processes.values()
    )
    return pct.scaled(MS_PER_PCT / answers_rps)


def fewest_stacks(rounds: Rounds) -> int:
    """How many stacks there are of the process with the fewest."""
    return min(share.samples for run in rounds.runs for share in run.work.values())
