"""pickle in functions of its own: the C code beneath leaves no frame, so a profiler knows it by these names."""

from __future__ import annotations

import pickle
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
