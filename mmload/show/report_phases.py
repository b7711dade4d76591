"""The plots of a report that divide each process's CPU by phase, where phases were looked at."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from mmload.analyse.phase_series import PhaseSeries
from mmload.analyse.server_pages import Values
from mmload.analyse.timeline import Timeline
from mmload.plan.phases import PhaseName
from mmload.show.report_plots import Panel, Series, plot_values
from mmload.show.report_shapes import Table, table
from mmload.show.terminal_figures import MISSING, figure, figures
from mmload.show.terminal_processes import in_order, short_name

_UNIT = "% of a core"
_HEIGHT = 72
_MOST_RANKS = 8  # of more, three stand for all
_NOTE = (
    "profile window: the CPU of the process there, divided as its stacks are. With times: how much of each bin its "
    "main thread was in the phase, awake, and no more than the process burnt. Elsewhere only the total was measured"
)


def phase_panels(phases: Mapping[str, PhaseSeries], timeline: Timeline, key: str, axis: int) -> Iterator[Panel]:
    """One for each rank and tokenizer of which any phase is known. key: of the run; axis: of its timeline, by place."""
    totals = {name: timeline.series[f"cpu_pct.{name}"] for name in phases if f"cpu_pct.{name}" in timeline.series}
    words = _chosen({name: pct for name, pct in totals.items() if name.startswith("scheduler")})
    words |= {name: "" for name in totals if name.startswith("tokenizer")}
    for name, word in in_order(words).items():
        yield _panel(name, word, phases[name], totals[name], f"{key}-phases-{name.lower().replace('_', '-')}", axis)


def _chosen(ranks: Mapping[str, Values]) -> dict[str, str]:
    """Which ranks are shown -> what is said of them: all; of many those of the most, the median and the least CPU."""
    if len(ranks) <= _MOST_RANKS:
        return dict.fromkeys(ranks, "")
    by_cpu = sorted(ranks, key=lambda name: -float(np.nansum(ranks[name])))
    chosen = {"most": by_cpu[0], "median": by_cpu[len(by_cpu) // 2], "least": by_cpu[-1]}
    return {name: f", the {word} CPU of {len(ranks)} ranks" for word, name in chosen.items()}


def _looked_at(found: PhaseSeries) -> Iterator[str]:
    if found.profiled:
        yield "phases: a mean over the profile"
    if found.stamped:
        yield "the main thread's, bin by bin"


def _panel(name: str, word: str, found: PhaseSeries, total: Values, key: str, axis: int) -> Panel:
    title = f"CPU of {short_name(name)} by phase{word}"
    said = [
        f"in the profile window {_shares(found.profiled)}" if found.profiled else "",
        f"its main thread, with times, {_shares(found.stamped)}" if found.stamped else "",
    ]
    return Panel(
        id=key,
        title=title,
        unit=f"{_UNIT}; {' then '.join(_looked_at(found))}",
        height=_HEIGHT,
        series=[
            Series(label="total", group="total", axis=axis, unit=_UNIT, values=plot_values(total), colour="base"),
            *(
                Series(
                    label=phase,
                    group=phase,
                    axis=axis,
                    unit=_UNIT,
                    values=plot_values(values),
                    colour=f"phase-{phase}",
                    kind="stack",
                )
                for phase, values in found.bins.items()
            ),
        ],
        about=f"{title} over time: {'; '.join(filter(None, said))}",
        text=_table(title, found),
    )


def _shares(means: Mapping[PhaseName, float]) -> str:
    most_first = sorted(means, key=means.__getitem__, reverse=True)
    return ", ".join(f"{phase} {figure(means[phase], most=1)} %" for phase in most_first) or "nothing"


def _table(title: str, found: PhaseSeries) -> Table:
    windows = {"profile window": found.profiled, "with times": found.stamped}
    known = {head: means for head, means in windows.items() if means}
    rows = [[phase, *_row(phase, known.values())] for phase in found.bins]
    rows.append(["together", *figures([sum(means.values()) for means in known.values()], most=2)])
    return table(title, (f"{title}, {_UNIT}", *known), rows, note=_NOTE)


def _row(phase: PhaseName, windows: Iterable[Mapping[PhaseName, float]]) -> list[str]:
    return [figure(means[phase], most=2) if phase in means else MISSING for means in windows]
