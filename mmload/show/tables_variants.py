"""Patch variants on the terminal: the list, or one card."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.text import Text

from mmload.plan.variants import VariantCard
from mmload.show.palette import ASCII, EMPHASIS, LABEL, WARNING
from mmload.show.picture import picture_lines
from mmload.show.terminal_sheet import GAP, LABEL_WIDTH, Drawn, Sheet, paragraph, styled


def render_variants(cards: Sequence[VariantCard]) -> Drawn:
    """Each variant's name and what it does, below it who builds, what is waited for, and where it runs."""

    def view(sheet: Sheet) -> Iterator[Text]:
        width = max((len(card.name) for card in cards), default=0) + GAP
        for card in cards:
            yield from paragraph(styled(card.about), sheet, styled((card.name.ljust(width), EMPHASIS)))
            brief = f"built by {card.materialises}; waits: {card.synchronisation}"
            yield from paragraph(styled((brief, LABEL)), sheet, " " * width)
            if card.overlay:
                hosts = f"stand-in; overlay {card.overlay}; patch {card.patch}"
                yield from paragraph(styled((hosts, LABEL)), sheet, " " * width)

    return Drawn(view)


def render_variant(card: VariantCard) -> Drawn:
    """All of one card."""

    def view(sheet: Sheet) -> Iterator[Text]:
        yield styled((card.name, EMPHASIS))
        yield from paragraph(styled(card.about), sheet)
        yield from _picture(card, sheet)
        yield from _row("origin", card.origin, LABEL, sheet)
        yield from _row("built by", card.materialises, LABEL, sheet)
        yield from _row("travels", card.transfers, LABEL, sheet)
        yield from _row("waits", card.synchronisation, LABEL, sheet)
        if card.overlay:
            yield from _row("overlay", f"into SGLang {card.overlay}: mmload serve", LABEL, sheet)
            yield from _row("patch", f"of SGLang {card.patch}: mmload variants patch {card.name}", LABEL, sheet)
        if card.later:
            yield from _row("", card.later, LABEL, sheet)
        for hazard in card.hazards:
            yield from _row("hazard", hazard, WARNING, sheet)

    return Drawn(view)


def _picture(card: VariantCard, sheet: Sheet) -> Iterator[Text]:
    if card.picture:
        yield Text()
        yield styled((f"{card.pictured}; time goes to the right", LABEL))
        yield from map(styled, picture_lines(card.picture, ascii_only=sheet.glyphs is ASCII))
        yield Text()


def _row(label: str, said: str, style: str, sheet: Sheet) -> list[Text]:
    return paragraph(styled(said), sheet, styled((label.ljust(LABEL_WIDTH), style)))
