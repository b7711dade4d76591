"""Numbers, times and foreign text as people read them."""

from __future__ import annotations

import math
from collections.abc import Iterable

MISSING = "-"
_MOST_DIGITS = 4  # of a number beside a limit
_MOST_DECIMALS = 7
_UNITS = ((86400.0, "d"), (3600.0, "h"), (60.0, "min"), (1.0, "s"))
# C0, DEL and C1 (escape sequences among them), and the marks that reorder a line (Unicode UAX #9).
_UNPRINTABLE = dict.fromkeys(
    [*range(32), *range(127, 160), 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)], "?"
)
_UNPRINTABLE.update(dict.fromkeys(map(ord, "\t\n\r\x0b\x0c\x85\u2028\u2029"), " "))


def plain(text: str) -> str:
    """Foreign text (a process title, an error of the server) on one line, unable to steer the terminal."""
    return text.translate(_UNPRINTABLE).encode("utf-8", "replace").decode()


def figures(
    values: Iterable[float | None], infinity: str = "inf", most: int = 2, limit: float | None = None
) -> list[str]:
    """Numbers that belong together, written with the same decimals: enough for three digits of the smallest that is
    not zero, at most `most`, and one where a number has four digits. Where a number would then read as the `limit` that
    it is not, more, up to its fourth digit; and if that is not enough, it is only said to be '<' or '>' than the limit.
    Thousands are grouped; None and NaN are '-'."""
    known = list(values)
    finite = [v for v in known if v is not None and math.isfinite(v)]
    sizes = [abs(v) for v in finite if v != 0]
    wanted = 2 - math.floor(math.log10(min(sizes))) if sizes else 0
    decimals = max(0, min(wanted, 1 if max(sizes, default=0) >= 1000 else most))
    for value in finite:
        if enough := _decimals_beside(value, decimals, limit):
            decimals = max(decimals, enough)
    return [_beside(value, decimals, limit) + _figure(value, decimals, infinity) for value in known]


def figure(value: float | None, infinity: str = "inf", most: int = 4) -> str:
    """One number to three digits or more: 0.0412, 9.81, 142, 1,423."""
    return figures([value], infinity, most)[0]


def interval(value: float | None, low: float | None, high: float | None, most: int = 2) -> tuple[str, str]:
    """A figure and its interval with the same decimals: ('99.6', '98.9 to 100.2'); the second empty if not known."""
    shown, least, greatest = figures([value, low, high], most=most)
    return shown, "" if low is None and high is None else f"{least} to {greatest}"


def percent(share: float | None, most: int = 4) -> str:
    """0.4213 -> '42.1'."""
    return figure(None if share is None else 100 * share, most=most)


def size(count: float) -> str:
    """Bytes in decimal units: '412 MB'."""
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{figure(count, most=1)} {unit}"
        count /= 1000
    return f"{figure(count, most=1)} TB"


def span(seconds: float) -> str:
    """A length of time in its largest unit: '12 s', '3 min', '2 d'."""
    for length, unit in _UNITS:
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return "0 s"


def stopwatch(seconds: float) -> str:
    """'0:21', '12:05', '1:02:03'."""
    minutes, second = divmod(max(0, math.ceil(seconds)), 60)
    hour, minute = divmod(minutes, 60)
    return f"{hour}:{minute:02}:{second:02}" if hour else f"{minute}:{second:02}"


def count(number: int, noun: str) -> str:
    """'1 request', '2,000 requests'."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _decimals_beside(value: float, decimals: int, limit: float | None) -> int | None:
    """How many more tell a number from the limit; None where no more do than it may have."""
    if not _beside(value, decimals, limit):
        return decimals
    most = min(_MOST_DECIMALS, _MOST_DIGITS - 1 - math.floor(math.log10(abs(value)))) if value else 0
    return next((more for more in range(decimals + 1, most + 1) if round(value, more) != limit), None)


def _beside(value: float | None, decimals: int, limit: float | None) -> str:
    """On which side of the limit a number lies that would read as it; empty where it does not."""
    if value is None or limit is None or value == limit or round(value, decimals) != limit:
        return ""
    return "<" if value < limit else ">"


def _figure(value: float | None, decimals: int, infinity: str) -> str:
    if value is None or math.isnan(value):
        return MISSING
    if math.isinf(value):
        return infinity if value > 0 else f"-{infinity}"
    return f"{value:,.{decimals}f}"
