"""The engines on the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import msgspec
from rich.text import Text

from mmload.show.palette import EMPHASIS, LABEL, WARNING
from mmload.show.terminal_figures import size
from mmload.show.terminal_sheet import GAP, Drawn, Sheet, paragraph, styled


class EngineRow(msgspec.Struct, frozen=True, kw_only=True):
    """An engine. state: what there is, or what is lacking. next: what to type. versions: of SGLang, and whether each is
    set up; None where there is nothing to set up. folder, disk_bytes: where, and how much; None where nothing is."""

    name: str
    about: str
    ready: bool
    state: str
    next: tuple[str, ...]
    versions: dict[str, bool] | None = None
    folder: str | None = None
    disk_bytes: int | None = None


def render_engines(rows: Sequence[EngineRow]) -> Drawn:
    """Each engine's name and what it is; below it its state, its folder and what to type."""

    def view(sheet: Sheet) -> Iterator[Text]:
        width = max((len(row.name) for row in rows), default=0) + GAP
        for row in rows:
            yield from paragraph(styled(row.about), sheet, styled((row.name.ljust(width), EMPHASIS)))
            yield from paragraph(styled((row.state, LABEL if row.ready else WARNING)), sheet, " " * width)
            if row.disk_bytes is not None:
                yield from paragraph(styled((f"{size(row.disk_bytes)} in {row.folder}", LABEL)), sheet, " " * width)
            for command in row.next:
                yield from paragraph(styled(command), sheet, " " * width)

    return Drawn(view)
