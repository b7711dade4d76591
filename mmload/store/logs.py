"""The logs of a run, as far as anybody looks at them again."""

from __future__ import annotations

import os
from pathlib import Path

_LONGEST_LINE = 400  # characters that are worth repeating


def last_lines(log: Path, most: int) -> list[str]:
    """The last lines of a log that say anything; none where it can't be read: it explains, it is no evidence."""
    try:
        with log.open("rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - most * _LONGEST_LINE))
            text = file.read().decode(errors="replace")
    except OSError:
        return []
    lines = [line.rstrip() for line in text.splitlines() if line.strip()]
    return [line[:_LONGEST_LINE] for line in lines[-most:]]
