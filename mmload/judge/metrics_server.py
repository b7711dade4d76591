"""Metrics of the server's processes: CPU of the ranks, memory, broadcasts."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec

from mmload.analyse.blocks import FEWEST_BLOCKS
from mmload.analyse.cpu import Interval, ProcessSeries, block_total_pct, coverage
from mmload.analyse.handoff import growth
from mmload.analyse.leak import rss_growth_mb_per_h as process_growth
from mmload.analyse.reading import Reading, by_chance
from mmload.judge.costs import total_pct, work_pct
from mmload.judge.evidence import Evidence, Rounds
from mmload.judge.figures import Figure, Terms, bounded, counted_figure, no_figure
from mmload.judge.pooling import Pooled, pool

_FILE = "processes.jsonl"
_SERVER_ROLES = ("tokenizer", "scheduler", "detokenizer")
_LEAST_COVERAGE = 0.9  # of the window, for every rank: the busiest second may lie in what was not sampled
_COUNTED = {"broadcasts", "receive_batches"}

Ranks = Mapping[str, Sequence[Reading]]


def cpu_total_pct(rounds: Rounds, terms: Terms) -> Figure:
    file = rounds.file(_FILE)
    if trouble := rounds.first_trouble(sampling_trouble):
        return no_figure(trouble, file)
    return _busiest(rank_totals(rounds, terms.confidence), rounds, f"{file}: block means, Student t", terms)


def cpu_work_pct(rounds: Rounds, terms: Terms) -> Figure:
    file = rounds.file(_FILE)
    if trouble := rounds.first_trouble(sampling_trouble):
        return no_figure(trouble, file)
    if trouble := rounds.first_trouble(profile_trouble):
        return no_figure(trouble, rounds.file("stacks/"))
    if trouble := rounds.first_trouble(_idle_trouble):
        return no_figure(trouble, file)
    ranks = rank_works(rounds, terms.confidence)
    stacks = min(sum(run.work[name].samples for run in rounds.runs) for name in ranks)
    files = rounds.file(f"{_FILE} and stacks/")
    evidence = f"{files}: block means times work share, from {stacks:,} stacks or more"
    return msgspec.structs.replace(_busiest(ranks, rounds, evidence, terms), profiled=True)


def rank_totals(rounds: Rounds, confidence: float) -> Ranks:
    """Total CPU of every rank, run by run, where there is no trouble with their sampling."""
    return _by_rank(rounds, lambda run, series: total_pct(run, series, confidence))


def rank_works(rounds: Rounds, confidence: float) -> Ranks:
    """Work of every rank, run by run, where there is no trouble with their profiles either."""
    return _by_rank(rounds, lambda run, series: work_pct(run, series, confidence))


def rank_blocks(rounds: Rounds) -> int:
    """How many blocks the rank with the fewest has, over all runs."""
    return sum(_fewest_blocks(run) for run in rounds.runs)


def rss_growth_mb_per_h(rounds: Rounds, terms: Terms) -> Figure:
    """Of the longest run, of equal ones the newest: a leak takes time to show, and each further run is one more
    warm-up."""
    run = max(rounds.runs, key=lambda run: (run.window.length_s, run.run.run_id))
    file = _FILE if len(rounds.runs) == 1 else f"{_FILE} of {run.run.run_id}, the longest run"
    slopes = {
        name: found
        for name, series in run.processes.items()
        if series.role in _SERVER_ROLES and (found := process_growth(series, run.window, terms.confidence))
    }
    if not slopes:
        return no_figure("too few samples of the server's memory", file)
    samples = min(int(series.within(run.window).sum()) for name, series in run.processes.items() if name in slopes)
    figures = {name: pool([by_chance(slope)]) for name, slope in slopes.items()}
    return _highest(figures, samples, f"{file}: Theil-Sen over the second half of the window", terms)


def broadcasts_per_batch(rounds: Rounds, _terms: Terms) -> Figure:
    file = rounds.file("server.jsonl")
    counted = [run.handoff for run in rounds.runs]
    known = [counters for counters in counted if counters and counters.columns.keys() >= _COUNTED]
    if len(known) < len(counted):
        return no_figure("the server exports no handoff counters", file)
    batches = sum(growth(counters.total("receive_batches")) for counters in known)
    if batches <= 0:
        return no_figure("no receive batch was counted", file)
    ratio = sum(growth(counters.total("broadcasts")) for counters in known) / batches
    return counted_figure(ratio, int(batches), f"{file}: counted by the server, exact")


def sampling_trouble(run: Evidence) -> str | None:
    """Why nobody knows which rank is the busiest, None when its total CPU is known for every rank."""
    ranks = _ranks(run)
    found = run.run.manifest.ranks
    expected = {info.rank for info in found} | set(range(run.tp))
    missing = [f"rank {rank}" for rank in sorted(expected - {series.rank for series in ranks})]
    missing = missing or [info.name for info in found if info.name and info.name not in run.processes]
    if missing:
        return f"not sampled: {', '.join(missing)} of {max(len(expected), len(found))}"
    for series in ranks:
        covered = coverage(series, run.window)
        if covered < _LEAST_COVERAGE:
            return f"{series.name} was sampled over {covered:.0%} of the measure window, not over {_LEAST_COVERAGE:.0%}"
    return None if _fewest_blocks(run) else f"no rank was sampled for {FEWEST_BLOCKS} s"


def _idle_trouble(run: Evidence) -> str | None:
    """A rank that serves requests burns something: where nothing was counted, something else was."""
    idle = [series.name for series in _ranks(run) if not any(block_total_pct(series, run.window))]
    return f"{', '.join(idle)} burnt no CPU at all in the measure window: that is no figure of work" if idle else None


def profile_trouble(run: Evidence) -> str | None:
    """Why the work of some rank is unknown, None when that of all is known."""
    names = [series.name for series in _ranks(run)]
    without = [name for name in names if name not in run.work]
    if without:
        return f"no stacks of {', '.join(without)}: run with --profile, as a user who may read other processes"
    troubles = (f"{name}: {trouble}" for name in names if (trouble := run.work[name].trouble))
    return next(troubles, None)


def _ranks(run: Evidence) -> list[ProcessSeries]:
    return [series for series in run.processes.values() if series.role == "scheduler"]


def _fewest_blocks(run: Evidence) -> int:
    return min(len(block_total_pct(series, run.window)) for series in _ranks(run))


def _by_rank(rounds: Rounds, reading_of: Callable[[Evidence, ProcessSeries], Reading | None]) -> Ranks:
    """Of the ranks that are known in every run: in runs of one condition, all."""
    each = [{series.name: reading_of(run, series) for series in _ranks(run)} for run in rounds.runs]
    found = {name: [known for ranks in each if (known := ranks.get(name))] for name in each[0]}
    return {name: readings for name, readings in found.items() if len(readings) == len(each)}


def _busiest(ranks: Mapping[str, Sequence[Reading]], rounds: Rounds, evidence: str, terms: Terms) -> Figure:
    figures = {name: pool(readings, rounds.lengths_s, least=0.0) for name, readings in ranks.items()}
    return _highest(figures, rank_blocks(rounds), evidence, terms)


def _highest(figures: Mapping[str, Pooled], n: int, evidence: str, terms: Terms) -> Figure:
    """The largest figure; its bounds are the largest bounds, which hold for the largest of the true values too."""
    name = max(figures, key=lambda name: figures[name].value)

    def bounds(factor: float) -> Interval:
        each = [figure.interval(terms.confidence, factor) for figure in figures.values()]
        return Interval(
            max(interval.value for interval in each),
            max(interval.low for interval in each),
            max(interval.high for interval in each),
        )

    return bounded(bounds(1.0), n, f"{evidence}; highest: {name}", bounds)
