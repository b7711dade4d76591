"""Flame views as a static picture: an icicle of rectangles, no script, nothing from elsewhere."""

from __future__ import annotations

import html
import textwrap
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from rich.cells import cell_len, set_cell_size

from mmload.model.flame import CHANGE_WORDS, SAYS_NOTHING, UNIT_WORDS, VALUE_UNIT_MS, FlameDocument, FlameView
from mmload.show.flame_boxes import Box, picture, totals
from mmload.show.flame_colours import WITHIN_NOISE, difference_colour, ink_on, phase_colour
from mmload.show.terminal_figures import count, figure, percent, plain

_ROW_PX = 17
_MARGIN_PX = 10
_LETTER_PX = 6.7  # of 11 px monospace: 0.6 em, and a hair for fonts that are wider
_LEAST_PX = 0.3  # what is narrower could not be seen
_FEWEST_LETTERS = 3
_LEAST_SHARE = 0.001  # smaller ones are not told apart
_NO_XML = dict.fromkeys([0xFFFE, 0xFFFF], "?")  # beside the control characters, which `plain` takes out
_STYLE = """
svg { background: #ffffff; font: 11px ui-monospace, Menlo, Consolas, monospace }
.head { font-weight: bold } .head, .said { fill: #1f2328 }
rect { stroke: #ffffff; stroke-width: 0.5 } .rest { fill: #c9ccd1 } .one-side { stroke: #1f2328; stroke-dasharray: 3 2 }
@media (prefers-color-scheme: dark) {
svg { background: #14161a } .head, .said { fill: #e6e8eb } rect { stroke: #14161a } .rest { fill: #4a4f57 }
.one-side { stroke: #e6e8eb }
}
"""


def flame_svg(view: FlameView, document: FlameDocument, width: int = 1200) -> str:
    """One view of the document. width: in pixels."""
    return flames_svg([view], document, width)


def flames_svg(views: Sequence[FlameView], document: FlameDocument, width: int = 1200) -> str:
    """Views of the document one below the other, each on a scale of its own."""
    page = _Page(width)
    page.say(document.title, "head")
    for note in document.notes:
        page.say(note)
    if document.base is None:
        page.swatches((phase_colour(phase), phase) for phase in document.phases)
    else:
        page.say(f"{document.this} against {document.base}; widths: the larger of both sides")
        page.say("red: more, blue: less, with a dashed edge: on one side alone, grey: within noise or not judged")
    for view in views:
        page.skip()
        _draw(view, document, page)
    return page.text(document.title)


class _Look(NamedTuple):
    """How a frame is drawn. about: its tooltip. shape: attributes of its rectangle. ink: the colour of its label."""

    about: str
    shape: str
    label: str = ""
    ink: str = ""


class _Page:
    """What is drawn so far, from the top down. inner_px: the width of a picture."""

    def __init__(self, width: int) -> None:
        self.inner_px = width - 2 * _MARGIN_PX
        self._width = width
        self._top = _MARGIN_PX
        self._parts: list[str] = []

    def say(self, words: str, kind: str = "said") -> None:
        """Words, on as many lines as they need."""
        for line in textwrap.wrap(plain(words), int(self.inner_px / _LETTER_PX)):
            self._parts.append(_text(line, _MARGIN_PX, self._top, f'class="{kind}"'))
            self.skip()

    def swatches(self, colours: Iterable[tuple[str, str]]) -> None:
        """What each colour stands for, side by side."""
        x = float(_MARGIN_PX)
        for colour, name in colours:
            length = (len(name) + 4) * _LETTER_PX
            if x + length > self.inner_px:
                self.skip()
                x = _MARGIN_PX
            self._parts.append(f'<rect x="{x:.2f}" y="{self._top + 3}" width="10" height="10" fill="{colour}"/>')
            self._parts.append(_text(name, x + 14, self._top, 'class="said"'))
            x += length
        self.skip()

    def skip(self, rows: int = 1) -> None:
        self._top += rows * _ROW_PX

    def add(self, box: Box, look: _Look) -> None:
        """A frame of the picture that begins here."""
        x, y = _MARGIN_PX + box.x, self._top + box.depth * _ROW_PX
        shape = f'<rect x="{x:.2f}" y="{y}" width="{box.width:.2f}" height="{_ROW_PX - 1}" {look.shape}/>'
        label = _text(look.label, x + 3, y, f'fill="{look.ink}"') if look.label else ""
        self._parts.append(f"<g><title>{_escaped(look.about)}</title>{shape}{label}</g>")

    def text(self, title: str) -> str:
        height = self._top + _MARGIN_PX
        size = f'width="{self._width}" height="{height}" viewBox="0 0 {self._width} {height}"'
        head = f'<svg xmlns="http://www.w3.org/2000/svg" {size}>\n<title>{_escaped(plain(title))}</title>'
        return "\n".join([head, f"<style>{_STYLE}</style>", *self._parts, "</svg>\n"])


def _draw(view: FlameView, document: FlameDocument, page: _Page) -> None:
    sums = totals(view.nodes)
    drawn = picture(view.nodes, sums, page.inner_px, _LEAST_PX)
    looks = _Looks(view, document)
    page.say(view.label, "head")
    page.say(f"{view.about}; {_whole(view, document)}")
    if drawn.narrow:
        share = drawn.narrow_ms / drawn.whole_ms if drawn.whole_ms else 0.0
        part = f"{percent(share, most=1)} %" if share >= _LEAST_SHARE else "less than 0.1 %"
        page.say(f"not drawn, or drawn together: {count(drawn.narrow, 'narrow frame')}, {part} of the width")
    for box in drawn.boxes:
        page.add(box, looks.of_rest(box) if box.node is None else looks.of_frame(box.node, box.width))
    page.skip(drawn.rows)


def _whole(view: FlameView, document: FlameDocument) -> str:
    said = f"{figure(view.value_ms)} {UNIT_WORDS[document.unit]}, {count(view.samples, 'sample')}"
    if view.base_value_ms is None:
        return said
    return f"{said}; {document.base}: {figure(view.base_value_ms)}, {count(view.base_samples or 0, 'sample')}"


class _Looks:
    """How each frame of one view is drawn."""

    def __init__(self, view: FlameView, document: FlameDocument) -> None:
        self._view = view
        self._document = document
        self._unit = UNIT_WORDS[document.unit]
        self._sums = totals(view.nodes)
        self._word = view.nodes.word if document.base is not None else []
        self._largest_ms = float(abs(self._sums.ms - self._sums.base_ms).max(initial=0.0))

    def of_rest(self, box: Box) -> _Look:
        return _Look(
            f"{count(box.size, 'narrow frame')}, {figure(box.weight_ms)} {self._unit} together", 'class="rest"'
        )

    def of_frame(self, node: int, width_px: float) -> _Look:
        colour = self._colour(node)
        one_side = self._word and CHANGE_WORDS[self._word[node]] in ("appeared", "vanished")
        frame = self._document.frames[self._view.nodes.frame[node]]
        label = _fitted(plain(frame.function), int((width_px - 6) / _LETTER_PX))
        edge = ' class="one-side"' if one_side else ""
        return _Look(self._about(node), f'fill="{colour}"{edge}', label, ink_on(colour))

    def _colour(self, node: int) -> str:
        if not self._word:
            return phase_colour(self._document.phases[self._view.nodes.phase[node]])
        if CHANGE_WORDS[self._word[node]] in SAYS_NOTHING:
            return WITHIN_NOISE
        return difference_colour(float(self._sums.ms[node] - self._sums.base_ms[node]), self._largest_ms)

    def _about(self, node: int) -> str:
        nodes, sums = self._view.nodes, self._sums
        frame = self._document.frames[nodes.frame[node]]
        ms, own_ms = float(sums.ms[node]), nodes.value[node] * VALUE_UNIT_MS
        share = f" ({percent(ms / self._view.value_ms, most=1)} %)" if self._view.value_ms else ""
        lines = [
            f"{frame.function} ({frame.file})" if frame.file else frame.function,
            f"{figure(ms)} {self._unit}{share}, {figure(own_ms)} in the function itself",
            f"{count(int(sums.samples[node]), 'sample')}, phase {self._document.phases[nodes.phase[node]]}",
        ]
        if self._word:
            lines.append(
                f"{self._document.base}: {figure(float(sums.base_ms[node]))}, {CHANGE_WORDS[self._word[node]]}"
            )
        return "\n".join(map(plain, lines))


def _fitted(text: str, letters: int) -> str:
    """As much of `text` as `letters` cells hold, with an ellipsis where something is missing; empty where that would
    say nothing."""
    if cell_len(text) <= letters:
        return text
    return set_cell_size(text, letters - 1).rstrip() + "…" if letters >= _FEWEST_LETTERS else ""


def _text(words: str, x: float, top: float, attributes: str) -> str:
    """Words in a row that begins at `top`."""
    return f'<text x="{x:.2f}" y="{top + 12}" {attributes}>{_escaped(words)}</text>'


def _escaped(text: str) -> str:
    """For XML 1.0, which has no word for some characters."""
    return html.escape(text.translate(_NO_XML))
