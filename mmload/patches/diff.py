"""One file's changes as `git apply` takes them."""

from __future__ import annotations

import difflib
import io

_NO_NEWLINE = "\\ No newline at end of file\n"


def git_diff(path: str, before: str | None, after: str) -> str:
    """path: as in the repository, with `/`. before: None for a new file. Empty where nothing changed."""
    if before == after:
        return ""
    lines = difflib.unified_diff(
        _lines(before or ""),
        _lines(after),
        fromfile="/dev/null" if before is None else f"a/{path}",
        tofile=f"b/{path}",
    )
    head = f"diff --git a/{path} b/{path}\n" + ("new file mode 100644\n" if before is None else "")
    return head + "".join(line if line.endswith("\n") else f"{line}\n{_NO_NEWLINE}" for line in lines)


def _lines(text: str) -> list[str]:
    """Broken at newlines alone: a form feed or a carriage return stays in its line, as for git."""
    return list(io.StringIO(text, newline="\n"))
