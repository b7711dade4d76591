"""Writing a run folder while the run goes: JSON lines that are only appended, JSON documents that are swapped whole."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from types import TracebackType
from typing import Self

import msgspec

from mmload.errors import FolderError
from mmload.store.layout import RunLayout

_RESERVE_BYTES = 131_072  # manifest and summary are 10 to 40 kB, and each is written beside its old self
_encoder = msgspec.json.Encoder()


def create_run_folder(out: Path, run_id: str) -> RunLayout:
    """Make `out/run_id` with its subfolders; raises FolderError where that can't be written."""
    layout = RunLayout(out / run_id)
    try:
        for folder in (layout.path, layout.stacks, layout.logs):
            folder.mkdir(parents=True)
    except OSError as error:
        raise FolderError(
            f"cannot create the run folder {layout.path}: {error.strerror}",
            "give a writable folder with --out DIR",
        ) from error
    return layout


class Reserve:
    """Room on the disk that is kept from the start of a run for its last words, so that a run that filled the disk
    can still be sealed. Raises FolderError where there is not even so much."""

    def __init__(self, layout: RunLayout) -> None:
        self._path = layout.path / ".reserve"
        try:
            self._path.write_bytes(b"\0" * _RESERVE_BYTES)
        except OSError as error:
            raise _cannot_write(self._path, error) from error

    def release(self) -> None:
        self._path.unlink(missing_ok=True)


class LineWriter:
    """Appends one JSON line for each struct; whole lines reach the kernel in one write, so several processes may
    append to the same file. Buffered up to `buffer_bytes`; `flush` hands over what there is. Raises FolderError when
    the disk is full or gone; what was written before stays."""

    def __init__(self, path: Path, buffer_bytes: int = 32768) -> None:
        self._path = path
        self._limit = buffer_bytes
        self._pending = bytearray()
        try:
            self._fd = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise _cannot_write(path, error) from error

    def write(self, record: msgspec.Struct) -> None:
        self._pending += _encoder.encode(record)
        self._pending += b"\n"
        if len(self._pending) >= self._limit:
            self.flush()

    def write_encoded(self, lines: bytes) -> None:
        """Append whole lines that are JSON already."""
        self._pending += lines
        self.flush()

    def flush(self) -> None:
        pending, self._pending = bytes(self._pending), bytearray()
        written = 0
        try:
            while written < len(pending):  # a disk that fills up takes a part first and refuses the rest
                written += os.write(self._fd, pending[written:])
        except OSError as error:
            self._take_back_torn_line(pending[:written])
            raise _cannot_write(self._path, error) from error

    def _take_back_torn_line(self, written: bytes) -> None:
        """Cut off what was written of a line that could not be completed, unless another process wrote after it."""
        torn = len(written) - (written.rfind(b"\n") + 1)
        end = os.lseek(self._fd, 0, os.SEEK_CUR)
        if torn and os.fstat(self._fd).st_size == end:
            os.ftruncate(self._fd, end - torn)

    def close(self) -> None:
        try:
            self.flush()
        finally:
            os.close(self._fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def write_document(path: Path, document: msgspec.Struct) -> None:
    """Replace a JSON document as a whole: a reader, or a kill in between, finds the old one or the new one."""
    partial = path.with_name(path.name + ".part")
    try:
        with partial.open("wb") as file:
            file.write(encode_document(document))
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        raise _cannot_write(path, error) from error


def encode_document(document: msgspec.Struct) -> bytes:
    """A JSON document as it stands in a run folder: indented, ending in a newline."""
    return msgspec.json.format(_encoder.encode(document), indent=2) + b"\n"


def _cannot_write(path: Path, error: OSError) -> FolderError:
    hint = "make room on the disk, or give another folder with --out DIR"
    full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    return FolderError(f"cannot write {path}: {'the disk is full' if full else error.strerror}", hint)
