"""The named workloads on the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec
from rich.text import Text

from mmload.plan.workload import Item, Workload
from mmload.show.palette import EMPHASIS, LABEL
from mmload.show.terminal_figures import percent, size
from mmload.show.terminal_sheet import GAP, Column, Drawn, Sheet, fact, grid, paragraph, styled


def render_workloads(workloads: Sequence[tuple[str, Workload]]) -> Drawn:
    """Each workload's name and what it is, below it the rate it is meant for and its mix."""

    def view(sheet: Sheet) -> Iterator[Text]:
        width = max((len(name) for name, _ in workloads), default=0) + GAP
        for name, workload in workloads:
            yield from paragraph(styled(workload.about), sheet, styled((name.ljust(width), EMPHASIS)))
            brief = f"{workload.rate_rps:g} req/s; {_mix(workload)}"
            yield from paragraph(styled((brief, LABEL)), sheet, " " * width)

    return Drawn(view)


def render_workload(name: str, workload: Workload, sizes: Sequence[tuple[str, int, Sequence[int]]]) -> Drawn:
    """A workload's settings, and the sizes of a few of its requests: (modality, bytes of the body, of each medium)."""

    def view(sheet: Sheet) -> Iterator[Text]:
        yield from fact("workload", [styled((name, EMPHASIS)), styled(workload.about)], sheet)
        yield from fact("meant for", [styled(f"{workload.rate_rps:g} req/s")], sheet)
        stream = "streamed" if workload.stream else "whole answers"
        yield from fact("endpoint", [styled(workload.endpoint), styled(stream)], sheet)
        if workload.reuse:
            yield from fact("reuse", [styled(f"{percent(workload.reuse, most=1)} % repeat an earlier request")], sheet)
        if workload.dataset:
            yield from fact("dataset", [styled(workload.dataset)], sheet)
        for item in workload.items:
            yield from fact("item", [styled(f"{key} {value}") for key, value in _settings(item)], sheet)
        yield Text()
        columns = (Column("request", right=False), Column("modality", right=False), Column("body"), Column("media"))
        rows = [
            [styled(str(n)), styled(modality), styled(size(body)), styled(" + ".join(size(one) for one in media))]
            for n, (modality, body, media) in enumerate(sizes)
        ]
        yield from grid(columns, rows, sheet)

    return Drawn(view)


def _settings(item: Item) -> Iterator[tuple[str, object]]:
    """The keys of an item's table as its file would have them; what is None is left out."""
    yield "modality", item.__struct_config__.tag
    for key in item.__struct_fields__:
        value = getattr(item, key)
        if value is not None:
            yield key, _drawn(value) if isinstance(value, msgspec.Struct) else value


def _drawn(amount: msgspec.Struct) -> str:
    """`normal (mean 512, sd 150, ..)`, `choice (values 16 64 128, ..)`."""
    settings = {key: value for key, value in msgspec.structs.asdict(amount).items() if value is not None}
    return f"{amount.__struct_config__.tag} ({', '.join(f'{key} {_plain(value)}' for key, value in settings.items())})"


def _plain(value: object) -> str:
    if isinstance(value, tuple):
        return " ".join(map(_plain, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


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
