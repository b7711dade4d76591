"""stacks/: the folded stacks of each process, and source.json, the text of the source lines that occur in them.

A call of a C function has no frame of its own; the text of the line that called it tells what it was, in any version
of the server.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

from mmload.errors import FolderError
from mmload.store.append import write_document
from mmload.store.layout import RunLayout
from mmload.store.read import read_document


class SourceLines(msgspec.Struct, frozen=True):
    """'file:line', as in a frame, -> the line without its indentation."""

    lines: dict[str, str] = {}


def write_folded(path: Path, stacks: Mapping[str, int]) -> None:
    """Replace a file of folded stacks (stack -> samples) as a whole. Raises FolderError."""
    partial = path.with_name(path.name + ".part")
    try:
        partial.write_text("".join(f"{stack} {count}\n" for stack, count in sorted(stacks.items())), encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        raise FolderError(f"cannot write {path}: {error.strerror}", "make room on the disk") from error


def write_source(layout: RunLayout, lines: Mapping[str, str]) -> None:
    """Raises FolderError."""
    write_document(_source(layout), SourceLines(dict(sorted(lines.items()))))


def read_source(layout: RunLayout) -> dict[str, str]:
    """'file:line' -> text; empty for a run without stacks. Raises FolderError on damage."""
    path = _source(layout)
    return read_document(path, SourceLines).lines if path.exists() else {}


def _source(layout: RunLayout) -> Path:
    return layout.stacks / "source.json"
