"""`shm`: mmload's own. The tokenizer builds and hashes once, and the features go into shared memory that every rank
maps: names, shapes and hashes are all that is pickled.

    tokenizer      build, write the features to a segment      the request travels with a Parcel
    every rank     on_receive: map; the last one unlinks       materialise: the object over the mapped features
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from mmload.errors import ServerError
from mmload.handoff.segments import FOLDER, Segment, Segments, allow_many_maps, map_segment, sweep
from mmload.handoff.strategy import HandoffFailed, Host, Request, Strategy


class Parcel(NamedTuple):
    """What travels in place of the inputs. segment: None where they have no features."""

    head: bytes
    segment: Segment | None


class Mapped(NamedTuple):
    """The same on a rank, with its features in reach."""

    head: bytes
    buffers: list[memoryview]


class Shm(Strategy):
    """N builds and one copy of each feature, outside the schedulers; no rank waits for another."""

    name = "shm"

    def __init__(self, host: Host, folder: Path = FOLDER) -> None:
        super().__init__(host)
        self._segments = Segments(host.counters, folder)
        if host.rank is not None:
            allow_many_maps()
        else:
            if not folder.is_dir():
                raise ServerError(f"the variant shm needs {folder}, and this system has none")
            sweep(folder)

    def at_tokenizer(self, raw: Any) -> Any:
        head, buffers = self.host.dump(self.host.build(raw))
        if not buffers:
            return Parcel(head, None)
        try:
            with self.host.counters.timed("broadcast"):
                return Parcel(head, self._segments.write_segment(buffers))
        except OSError as error:
            size_mb = sum(buffer.nbytes for buffer in buffers) / 1e6
            raise HandoffFailed(f"no shared memory for {size_mb:.1f} MB of features: {error.strerror}") from error

    def withdraw(self, payload: Any) -> None:
        if isinstance(payload, Parcel) and payload.segment is not None:
            self._segments.unlink(payload.segment)

    def on_receive(self, requests: Sequence[Request]) -> None:
        """Maps at once, so that a segment's name is gone before anything can become of its request. What is mapped
        stays with the request and goes with it, by an abort too."""
        for request in requests:
            request.mm_inputs = self._mapped(request.mm_inputs)

    def materialise(self, request: Request) -> Any:
        mapped = request.mm_inputs
        if isinstance(mapped, Mapped):
            return self.host.load(mapped.head, mapped.buffers)
        raise mapped if isinstance(mapped, HandoffFailed) else HandoffFailed("it was not received")

    def close(self) -> None:
        if self.host.rank is None:
            self._segments.unlink_all()

    def _mapped(self, parcel: Any) -> Mapped | HandoffFailed:
        if not isinstance(parcel, Parcel):
            return HandoffFailed(f"the tokenizer sent a {type(parcel).__name__}: it runs another variant")
        if parcel.segment is None:
            return Mapped(parcel.head, [])
        try:
            with self.host.counters.timed("broadcast"):
                return Mapped(parcel.head, map_segment(parcel.segment, self.host.size, self.host.counters))
        except (OSError, ValueError) as error:
            return HandoffFailed(f"rank {self.host.rank} can't map the features: {error}")
