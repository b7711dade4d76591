"""pickle in functions of its own: the C code beneath leaves no frame, so a profiler knows it by these names."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from typing import Any

from mmload.handoff.counters import Counters


def pickle_object(obj: Any, counters: Counters) -> bytes:
    with counters.timed("pickle"):
        return pickle.dumps(obj, protocol=pickle.HIGHEST_PROTOCOL)


def unpickle_object(data: bytes | bytearray | memoryview, counters: Counters) -> Any:
    """The object. The bytes come only from this server's own processes, over private sockets."""
    with counters.timed("pickle"):
        obj = pickle.loads(data)  # noqa: S301
    counters.add("received_bytes", len(data))
    return obj


def pickle_apart(obj: Any, counters: Counters) -> tuple[bytes, list[memoryview]]:
    """The pickle without the bytes of the arrays in it, and those bytes, not copied."""
    buffers: list[pickle.PickleBuffer] = []
    with counters.timed("pickle"):
        head = pickle.dumps(obj, protocol=5, buffer_callback=buffers.append)
    return head, [buffer.raw() for buffer in buffers]


def unpickle_joined(head: bytes, buffers: Sequence[memoryview], counters: Counters) -> Any:
    """The object of `pickle_apart`; its arrays lie in `buffers`."""
    with counters.timed("pickle"):
        return pickle.loads(head, buffers=buffers)  # noqa: S301 - as above
