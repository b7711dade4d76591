"""Patch variants on the terminal: the list, or one card."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.text import Text

from mmload.plan.variants import VariantCard
from mmload.show.palette import EMPHASIS, LABEL, WARNING
from mmload.show.terminal_sheet import GAP, LABEL_WIDTH, Drawn, Sheet, paragraph, styled


def render_variants(cards: Sequence[VariantCard]) -> Drawn:
    """Each variant's name and what it does, below it who builds and what is waited for."""

    def view(sheet: Sheet) -> Iterator[Text]:
        width = max((len(card.name) for card in cards), default=0) + GAP
        for card in cards:
            yield from paragraph(styled(card.about), sheet, styled((card.name.ljust(width), EMPHASIS)))
            brief = f"built by {card.materialises}; waits: {card.synchronisation}"
            yield from paragraph(styled((brief, LABEL)), sheet, " " * width)

    return Drawn(view)


def render_variant(card: VariantCard) -> Drawn:
    """All of one card."""

    def view(sheet: Sheet) -> Iterator[Text]:
        yield styled((card.name, EMPHASIS))
        yield from paragraph(styled(card.about), sheet)
        yield from _row("origin", card.origin, LABEL, sheet)
        yield from _row("built by", card.materialises, LABEL, sheet)
        yield from _row("travels", card.transfers, LABEL, sheet)
        yield from _row("waits", card.synchronisation, LABEL, sheet)
        for hazard in card.hazards:
            yield from _row("hazard", hazard, WARNING, sheet)

    return Drawn(view)


def _row(label: str, said: str, style: str, sheet: Sheet) -> list[Text]:
    return paragraph(styled(said), sheet, styled((label.ljust(LABEL_WIDTH), style)))
