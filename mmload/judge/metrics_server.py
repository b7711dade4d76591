"""Metrics of the server's processes in one run: CPU of the ranks, memory, broadcasts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from mmload.analyse.blocks import FEWEST_BLOCKS
from mmload.analyse.cpu import Interval, ProcessSeries, block_total_pct, coverage, total_interval, work_interval
from mmload.analyse.handoff import growth
from mmload.analyse.leak import rss_growth_mb_per_h as process_growth
from mmload.judge.evidence import Evidence
from mmload.judge.figures import Figure, Project, Terms, bounded, no_figure, shrunk

_FILE = "processes.jsonl"
_SERVER_ROLES = ("tokenizer", "scheduler", "detokenizer")
_LEAST_COVERAGE = 0.9  # of the window, for every rank: the busiest second may lie in what was not sampled


def cpu_total_pct(run: Evidence, terms: Terms) -> Figure:
    if trouble := _sampling_trouble(run):
        return no_figure(trouble, _FILE)
    return _busiest(_totals(run, terms.confidence), rank_blocks(run), f"{_FILE}: block means, Student t")


def cpu_work_pct(run: Evidence, terms: Terms) -> Figure:
    if trouble := _sampling_trouble(run):
        return no_figure(trouble, _FILE)
    totals = _totals(run, terms.confidence)
    if trouble := _profile_trouble(run, totals):
        return no_figure(trouble, "stacks/")
    ranks = _works(run, totals)
    stacks = min(run.work[name].samples for name in ranks)
    evidence = f"{_FILE} and stacks/: block means times work share, from {stacks:,} stacks or more"
    return msgspec.structs.replace(_busiest(ranks, rank_blocks(run), evidence), profiled=True)


def busiest_work(run: Evidence, confidence: float) -> Interval | None:
    """Work of the busiest rank; None where that of any rank is unknown."""
    if _sampling_trouble(run):
        return None
    totals = _totals(run, confidence)
    if _profile_trouble(run, totals):
        return None
    return max(_works(run, totals).values(), key=lambda work: work.value)


def busiest_total(run: Evidence, confidence: float) -> Interval | None:
    """CPU of the busiest rank; None where that of any rank is unknown."""
    if _sampling_trouble(run):
        return None
    return max(_totals(run, confidence).values(), key=lambda total: total.value)


def rank_blocks(run: Evidence) -> int:
    """How many blocks the rank with the fewest has."""
    return min(len(block_total_pct(series, run.window)) for series in _ranks(run))


def rss_growth_mb_per_h(run: Evidence, terms: Terms) -> Figure:
    growths = {
        name: found
        for name, series in run.processes.items()
        if series.role in _SERVER_ROLES and (found := process_growth(series, run.window, terms.confidence))
    }
    if not growths:
        return no_figure("too few samples of the server's memory", _FILE)
    samples = min(int(series.within(run.window).sum()) for name, series in run.processes.items() if name in growths)
    return _busiest(growths, samples, f"{_FILE}: Theil-Sen over the second half of the window")


def broadcasts_per_batch(run: Evidence, _terms: Terms) -> Figure:
    file = "server.jsonl"
    if run.handoff is None or not {"broadcasts", "receive_batches"} <= run.handoff.columns.keys():
        return no_figure("the server exports no handoff counters", file)
    batches = growth(run.handoff.total("receive_batches"))
    if batches <= 0:
        return no_figure("no receive batch was counted", file)
    ratio = growth(run.handoff.total("broadcasts")) / batches
    return bounded(Interval(ratio, ratio, ratio), int(batches), f"{file}: counted by the server, exact")


def _works(run: Evidence, totals: Mapping[str, Interval]) -> dict[str, Interval]:
    """Work of every rank, where there is no trouble with its profile."""
    shares = {name: run.work[name].work for name in totals}
    return {name: work_interval(totals[name], share) for name, share in shares.items() if share}


def _profile_trouble(run: Evidence, ranks: Iterable[str]) -> str | None:
    """Why the work of these ranks is unknown, None when all of it is known."""
    without = [name for name in ranks if name not in run.work]
    if without:
        return f"no stacks of {', '.join(without)}: run with --profile, as a user who may read other processes"
    troubles = (f"{name}: {trouble}" for name in ranks if (trouble := run.work[name].trouble))
    return next(troubles, None)


def _sampling_trouble(run: Evidence) -> str | None:
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
    return None if rank_blocks(run) else f"no rank was sampled for {FEWEST_BLOCKS} s"


def _ranks(run: Evidence) -> list[ProcessSeries]:
    return [series for series in run.processes.values() if series.role == "scheduler"]


def _totals(run: Evidence, confidence: float) -> dict[str, Interval]:
    """Total CPU of every rank, where there is no trouble with their sampling."""
    found = {series.name: total_interval(series, run.window, confidence) for series in _ranks(run)}
    return {name: total for name, total in found.items() if total is not None}


def _busiest(figures: dict[str, Interval], n: int, evidence: str) -> Figure:
    """The largest figure; its bounds are the largest bounds, which hold for the largest of the true values too."""
    name = max(figures, key=lambda name: figures[name].value)
    project = _largest(figures.values())
    return bounded(project(1.0), n, f"{evidence}; highest: {name}", project)


def _largest(figures: Iterable[Interval]) -> Project:
    known = list(figures)

    def bounds(factor: float) -> Interval:
        each = [shrunk(figure, factor) for figure in known]
        return Interval(
            max(figure.value for figure in each),
            max(figure.low for figure in each),
            max(figure.high for figure in each),
        )

    return bounds
