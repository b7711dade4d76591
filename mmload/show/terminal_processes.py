"""How the processes of a run are ordered, named and coloured: along a request's way."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

Value = TypeVar("Value")

_WAY = ("tokenizer", "scheduler", "detokenizer", "generator")
_STYLES = {"scheduler": "cyan", "generator": "magenta"}


def in_order(by_process: Mapping[str, Value]) -> dict[str, Value]:
    """The same, process by process along a request's way, ranks by number."""
    return dict(sorted(by_process.items(), key=lambda entry: _place(entry[0])))


def short_name(name: str) -> str:
    """A process as the head of a column: 'scheduler_TP0' -> 'TP0'."""
    return name.removeprefix("scheduler_")


def process_style(name: str) -> str:
    """The colour of a process's bar, by what it does."""
    return _STYLES.get(_role(name), "blue")


def _place(name: str) -> tuple[int, int, str]:
    role = _role(name)
    return _WAY.index(role) if role else len(_WAY), len(name), name


def _role(name: str) -> str:
    return next((role for role in _WAY if name.startswith(role)), "")
