"""On which line of a TOML file something stands. Its parser keeps no lines; but a file cut after a whole statement is a
TOML file too, so the statement that brings a key is the one after the longest cut that lacks it."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence


def line_of(text: str, steps: Sequence[str | int]) -> int | None:
    """The line, from 1, on which the statement begins that brings the key at `steps`, or as much of them as is there;
    None where nothing is."""
    while steps and not _has(text, steps):
        steps = steps[:-1]
    if not steps:
        return None
    lines = [f"{line}\n" for line in text.split("\n")]
    low, high = 0, len(lines)
    while low < high:
        middle = (low + high) // 2
        end = _whole_from(lines, middle)
        if _has("".join(lines[:end]), steps):
            high = middle
        else:
            low = end + 1
    return _first_of_statement(lines, low)


def _whole_from(lines: Sequence[str], count: int) -> int:
    """The least number of lines, `count` and more, that end with a whole statement."""
    while _parsed("".join(lines[:count])) is None:
        count += 1
    return count


def _first_of_statement(lines: Sequence[str], end: int) -> int:
    """The line on which the statement begins that is whole with `end` lines."""
    begin = end - 1
    while _parsed("".join(lines[:begin])) is None:
        begin -= 1
    return begin + 1


def _has(text: str, steps: Sequence[str | int]) -> bool:
    found: object = _parsed(text)
    for step in steps:
        try:
            found = found[step]  # type: ignore[index]  # where it is no table and no array, there is no such key
        except (TypeError, LookupError):
            return False
    return found is not None


def _parsed(text: str) -> dict[str, object] | None:
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError):
        return None
