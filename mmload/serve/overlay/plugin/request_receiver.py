"""The receipt of requests, booked where it happens: the socket, the broadcast, and SGLang's own shared memory."""

from __future__ import annotations

import importlib
from typing import Any

from mmload.serve.overlay.host import RankHost
from mmload.serve.overlay.shapes import Shape
from mmload.serve.overlay.stages import BROADCAST, TimedBroadcast, TimedInbox, booked_as

_RECEIVER = "SchedulerRequestReceiver"
SHAPES = (
    BROADCAST,
    Shape("sock_recv", ("socket", "flags"), {"socket.recv_pyobj(flags=flags)": 1}),
    Shape(f"{_RECEIVER}._pull_raw_reqs", ("self",), {"sock_recv(self.recv_from_tokenizer, zmq.NOBLOCK)": 1}),
    Shape(f"{_RECEIVER}._finalize_shm_features", ("self", "recv_reqs"), {"unwrap_shm_features(req)": 1}),
)


_book = booked_as("broadcast")


def finalize_shm_features(inner: Any, receiver: Any, recv_reqs: Any) -> Any:
    """An idle turn has none."""
    return _book(inner, receiver, recv_reqs) if recv_reqs else inner(receiver, recv_reqs)


HOOKS = {f"{_RECEIVER}._finalize_shm_features": finalize_shm_features}


def time_receipt(receiver: Any, host: RankHost) -> None:
    """receiver: a rank's own. The broadcast is replaced where requests are received and nowhere else, which a hook of
    SGLang's registry would not leave it at."""
    module: Any = importlib.import_module(type(receiver).__module__)
    if host.size > 1:
        module.broadcast_pyobj = TimedBroadcast(module.broadcast_pyobj, host.counters, host.gloo).broadcast_pyobj
    if receiver.recv_from_tokenizer is not None:
        object.__setattr__(receiver, "recv_from_tokenizer", TimedInbox(receiver.recv_from_tokenizer, host.counters))
