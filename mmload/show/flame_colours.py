"""What a frame of a picture is filled with, and the colour of the words upon it."""

from __future__ import annotations

from mmload.show.palette import PHASE_COLOURS

WITHIN_NOISE = "#a9adb3"
_MORE = ("#f3c9c0", "#c9301c")  # from the smallest difference to the largest
_LESS = ("#c3d8ee", "#2166ac")
_DARK, _LIGHT = "#000000", "#ffffff"


def phase_colour(phase: str) -> str:
    return PHASE_COLOURS.get(phase, PHASE_COLOURS["other"])


def difference_colour(difference_ms: float, largest_ms: float) -> str:
    """Red for more, blue for less, the stronger the nearer it comes to the largest difference of the picture."""
    faint, strong = _MORE if difference_ms > 0 else _LESS
    share = min(1.0, abs(difference_ms) / largest_ms) if largest_ms else 0.0
    mixed = (round(a + share * (b - a)) for a, b in zip(_channels(faint), _channels(strong), strict=True))
    return "#" + "".join(f"{channel:02x}" for channel in mixed)


def ink_on(colour: str) -> str:
    """Of dark and light words those that stand out more from `colour` (the contrast ratio of WCAG 2.1)."""
    ground = luminance(colour)
    return _LIGHT if 1.05 / (ground + 0.05) > (ground + 0.05) / 0.05 else _DARK


def luminance(colour: str) -> float:
    """Relative luminance as WCAG 2.1 defines it: 0 is black, 1 white."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in (v / 255 for v in _channels(colour))]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _channels(colour: str) -> tuple[int, int, int]:
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)
