"""The named workloads on the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.text import Text

from mmload.plan.workload import Workload
from mmload.show.palette import EMPHASIS, LABEL
from mmload.show.terminal_figures import percent
from mmload.show.terminal_sheet import GAP, Drawn, Sheet, paragraph, styled


def render_workloads(workloads: Sequence[tuple[str, Workload]]) -> Drawn:
    """Each workload's name and what it is, below it the rate it is meant for and its mix."""

    def view(sheet: Sheet) -> Iterator[Text]:
        width = max((len(name) for name, _ in workloads), default=0) + GAP
        for name, workload in workloads:
            yield from paragraph(styled(workload.about), sheet, styled((name.ljust(width), EMPHASIS)))
            brief = f"{workload.rate_rps:g} req/s; {_mix(workload)}"
            yield from paragraph(styled((brief, LABEL)), sheet, " " * width)

    return Drawn(view)


def _mix(workload: Workload) -> str:
    weights: dict[str, float] = {}
    for item in workload.items:
        modality = str(item.__struct_config__.tag)
        weights[modality] = weights.get(modality, 0.0) + item.weight
    if not weights:
        return f"requests of {workload.dataset}"
    if len(weights) == 1:
        return next(iter(weights))
    whole = sum(weights.values())
    return ", ".join(f"{modality} {percent(weight / whole, most=0)} %" for modality, weight in weights.items())
