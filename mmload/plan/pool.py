"""The payload pool: every body of a run in one file, made before the clock starts, mapped by all workers.

    bodies.bin    the bodies, back to back: identity items first, then load items
    index.json    where each begins, its id and modality

Workers map bodies.bin, so they share its pages and hold no copies. Whoever makes a pool chooses the folder (a tmpfs
keeps the disk out of the measurement) and removes it. Reading needs neither Pillow nor PyAV.
"""

from __future__ import annotations

import errno
import hashlib
import mmap
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import msgspec

from mmload.errors import FolderError
from mmload.model.plan import Modality

_BODIES = "bodies.bin"
_INDEX = "index.json"


class Body(NamedTuple):
    """An encoded request. expected: the text that the answer must have, None where any will do. stream: it asks for
    a streamed answer."""

    modality: Modality
    data: bytes
    expected: str | None = None
    stream: bool = True


class Pool(NamedTuple):
    """A finished pool.

    identity, load: how many items of each. wanted: load items that the run asked for; where fewer fit, requests come
    round to the first again. sha256: of the identity items and of the load items of the segment main, in order.
    """

    folder: Path
    identity: int
    load: int
    wanted: int
    body_bytes: int
    sha256: str

    @property
    def repeats(self) -> int:
        """How many of the items asked for are earlier ones again, because the pool (or the dataset) ended."""
        return max(0, self.wanted - self.load)


class _Index(msgspec.Struct, frozen=True, kw_only=True):
    """offsets: len(ids) + 1 of them. expected: slot -> the answer's text, where the user's own items name it. whole:
    the slots that ask for an answer in one piece."""

    identity: int
    offsets: list[int]
    ids: list[str]
    modalities: list[Modality]
    expected: dict[int, str]
    whole: set[int]


class PoolReader:
    """A pool, mapped. An item has a *slot*; `slot` gives that of a schedule's item number."""

    def __init__(self, folder: Path) -> None:
        """Raises FolderError when the pool is not there or damaged."""
        try:
            self._index = msgspec.json.decode((folder / _INDEX).read_bytes(), type=_Index)
            with (folder / _BODIES).open("rb") as file:
                self._bodies = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        except (OSError, ValueError, msgspec.DecodeError) as error:
            raise FolderError(f"cannot read the payload pool {folder}: {error}") from error
        if len(self._bodies) != self._index.offsets[-1]:
            raise FolderError(f"the payload pool {folder} is cut short")
        self.identity_slots = range(self._index.identity)
        self._load = len(self._index.ids) - self._index.identity

    def slot(self, number: int) -> int:
        """The slot of load item `number`; past the pool's end it begins again."""
        return self._index.identity + number % self._load

    def body(self, slot: int) -> memoryview:
        offsets = self._index.offsets
        return self._bodies[offsets[slot] : offsets[slot + 1]]

    def item_id(self, slot: int) -> str:
        return self._index.ids[slot]

    def modality(self, slot: int) -> Modality:
        return self._index.modalities[slot]

    def is_streamed(self, slot: int) -> bool:
        return slot not in self._index.whole

    def expected(self, slot: int) -> str | None:
        """The text that the answer must have; None where any will do."""
        return self._index.expected.get(slot)


class PoolWriter:
    """Writes a pool: `add` each identity item, then each load item, then `seal`.

    Raises FolderError when the folder can't be written or is full.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.body_bytes = 0
        self._digest = hashlib.sha256()
        self._index = _Index(identity=0, offsets=[0], ids=[], modalities=[], expected={}, whole=set())
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = (folder / _BODIES).open("wb")
        except OSError as error:
            raise _cannot_write(folder, error) from error

    def add(self, item_id: str, body: Body, *, digested: bool) -> None:
        """`digested`: whether the body counts for the pool's sha256."""
        index = self._index
        try:
            self._file.write(body.data)
        except OSError as error:
            raise _cannot_write(self.folder, error) from error
        if digested:
            self._digest.update(body.data)
        if body.expected is not None:
            index.expected[len(index.ids)] = body.expected
        if not body.stream:
            index.whole.add(len(index.ids))
        index.ids.append(item_id)
        index.modalities.append(body.modality)
        self.body_bytes += len(body.data)
        index.offsets.append(self.body_bytes)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def seal(self, identity: int, wanted: int) -> Pool:
        """Write the index: of the items added, the first `identity` are identity items."""
        try:
            self._file.close()
            index = msgspec.structs.replace(self._index, identity=identity)
            (self.folder / _INDEX).write_bytes(msgspec.json.encode(index))
        except OSError as error:
            raise _cannot_write(self.folder, error) from error
        load = len(index.ids) - identity
        return Pool(self.folder, identity, load, wanted, self.body_bytes, self._digest.hexdigest())


def _cannot_write(folder: Path, error: OSError) -> FolderError:
    full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
    return FolderError(f"cannot write the payload pool {folder}: {'no room is left' if full else error.strerror}")
