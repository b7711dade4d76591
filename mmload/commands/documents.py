"""What a command writes beside its output: documents that are kept with the runs, and texts that were asked for."""

from __future__ import annotations

import sys
from pathlib import Path

import msgspec

from mmload.errors import FolderError


def keep(file: Path, document: msgspec.Struct, what: str) -> None:
    """Write it where it can be written: a folder that may only be read can still be judged and compared."""
    from mmload.store.append import write_document  # noqa: PLC0415

    try:
        write_document(file, document)
    except FolderError as error:
        print(f"warning: the {what} is not kept: {error}", file=sys.stderr)


def write_text(file: Path, text: str, mode: str = "w") -> None:
    """Raises FolderError where it can't be written: somebody asked for it."""
    try:
        with file.open(mode, encoding="utf-8") as output:
            output.write(text)
    except OSError as error:
        raise FolderError(f"cannot write {file}: {error.strerror}") from error
