"""Which colours and which characters say what. Data only: terminal, HTML and SVG views share it."""

from __future__ import annotations

from typing import NamedTuple

VERDICT_STYLES = {
    "PASS": "bold green",
    "FAIL": "bold red",
    "INCONCLUSIVE": "bold yellow",
    "INVALID": "bold magenta",
    "SKIPPED": "dim",
}
DIFFERENCE_STYLES = {
    "baseline": "dim",
    "better": "bold green",
    "worse": "bold red",
    "mixed": "bold yellow",
    "no difference seen": "",
    "not known": "dim",
}
STATUS_STYLES = {"running": "cyan", "complete": "green", "partial": "yellow", "failed": "red"}

OUTCOME_STYLES = {
    "ok": "green",
    "http_error": "red",
    "timeout": "yellow",
    "connection_error": "magenta",
    "truncated": "bright_red",
    "malformed": "bright_magenta",
    "wrong_output": "bright_red",
    "dropped": "bright_yellow",
}
OUTCOME_COLOURS = {
    "ok": "#3fae7c",
    "http_error": "#e8604c",
    "timeout": "#d9b44a",
    "connection_error": "#9a5fb5",
    "truncated": "#f08c2e",
    "malformed": "#c2255c",
    "wrong_output": "#b3361f",
    "dropped": "#8b9099",
}

# Waiting is grey, the handoff warm, the rest of the scheduler's work cool: a bar tells them apart before it is read.
PHASE_COLOURS = {
    "idle-poll": "#5c5f66",
    "device-wait": "#8b9099",
    "receive": "#d9b44a",
    "broadcast": "#f08c2e",
    "materialise": "#e8604c",
    "hash": "#c2255c",
    "pickle": "#a9693f",
    "schedule": "#4c7fc4",
    "forward": "#2fa8c7",
    "reply": "#3fae7c",
    "other": "#9a7fb5",
}
# What a bar is filled with where there are no colours to tell the phases apart, or too few.
PHASE_LETTERS = {
    "idle-poll": "i",
    "device-wait": "d",
    "receive": "r",
    "broadcast": "b",
    "materialise": "m",
    "hash": "h",
    "pickle": "p",
    "schedule": "s",
    "forward": "f",
    "reply": "y",
    "other": "o",
}

LABEL = "dim"  # what names a figure stands back behind it
HEADING = "bold"
WARNING = "yellow"
EMPHASIS = "bold cyan"


class Glyphs(NamedTuple):
    """The characters that charts and separators are drawn with.

    spark: levels of a sparkline, the lowest first. full: a whole cell of a bar. parts: what is drawn for a part of a
    cell, the smallest first (empty: whole cells only). track: the empty part of a bar. block: a cell of a stacked bar.
    beyond: a cell of what is beyond every scale.
    """

    spark: str
    full: str
    parts: str
    track: str
    block: str
    infinity: str
    beyond: str
    ellipsis: str


UNICODE = Glyphs(spark="▁▂▃▄▅▆▇█", full="━", parts="╸", track="─", block="▇", infinity="∞", beyond="∞", ellipsis="…")
ASCII = Glyphs(spark="_.,:-=*#", full="#", parts="", track=".", block="#", infinity="inf", beyond="^", ellipsis="...")


def glyphs_for(encoding: str) -> Glyphs:
    """UNICODE where `encoding` can carry all of it, else ASCII."""
    try:
        "".join(UNICODE).encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return ASCII
    return UNICODE
