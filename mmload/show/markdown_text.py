"""Foreign text in Markdown: shown as it is, on one line, with nothing in it obeyed."""

from __future__ import annotations

import re

from mmload.show.terminal_figures import plain

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>#|~&$!])")
_REFERENCE = re.compile(r"(?<=[@#])(?=\w)|(?<=\bGH-)(?=\d)", re.IGNORECASE)
_NO_REFERENCE = "\N{ZERO WIDTH SPACE}"  # GitHub and GitLab tell people and issues that they are spoken of


def escaped(text: str) -> str:
    """Words as they are, whatever they hold: a server's error may be anything."""
    line = " ".join(plain(text).split())
    return _SPECIAL.sub(r"\\\1", _REFERENCE.sub(_NO_REFERENCE, line))


def code(text: str) -> str:
    """A code span; inside a table its `|` need a backslash."""
    line = plain(text) or " "
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", line)), default=0))
    blank = " " if line[0] in "` " or line[-1] in "` " else ""
    return f"{fence}{blank}{line}{blank}{fence}"
