"""What a command writes beside its output: documents that are kept with the runs, and texts that were asked for."""

from __future__ import annotations

import shutil
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
    """Raises FolderError where it can't be written: somebody asked for it. A file that was there before stays as it was
    until the new one is whole; a device, a pipe or what a link stands for is written as it is."""
    try:
        if mode == "w" and not file.is_symlink() and (file.is_file() or not file.exists()):
            _replace(file, text)
            return
        with file.open(mode, encoding="utf-8") as output:
            output.write(text)
    except OSError as error:
        raise FolderError(f"cannot write {file}: {error.strerror}") from error


def _replace(file: Path, text: str) -> None:
    partial = file.with_name(f"{file.name}.part")
    try:
        partial.write_text(text, encoding="utf-8")
        if file.is_file():
            shutil.copymode(file, partial)
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)
