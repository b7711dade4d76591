"""SGLang's own functions, timed in place: their code stays theirs, byte for byte, and profiles still show it."""

from __future__ import annotations

import importlib
import pickle
import time
from collections.abc import Callable
from contextlib import ExitStack
from types import FunctionType
from typing import Any

from mmload.handoff.counters import Counters
from mmload.serve.overlay.gloo import GlooThreads
from mmload.serve.overlay.shapes import Shape

BROADCAST = Shape(
    "broadcast_pyobj",
    ("data", "rank", "dist_group", "src", "force_cpu_device"),
    {
        "pickle.dumps(data)": 1,
        "pickle.loads(serialized_data)": 1,
        "dist.broadcast(tensor_size, src=src, group=dist_group)": 3,
        "dist.broadcast(tensor_data, src=src, group=dist_group)": 2,
    },
)


class _Process:
    """What this process counts into; None until it has its row."""

    counters: Counters | None = None


process = _Process()


def booked_as(stage: str) -> Callable[..., Any]:
    """A hook of a function of SGLang's that books it as `stage`."""

    def hook(inner: Callable[..., Any], *args: Any, **more: Any) -> Any:
        if process.counters is None:
            return inner(*args, **more)
        with process.counters.timed(stage):
            return inner(*args, **more)

    return hook


def with_globals(function: Callable[..., Any], **replaced: Any) -> Callable[..., Any]:
    """The same code in a module where some names mean something else."""
    assert isinstance(function, FunctionType)
    same = FunctionType(
        function.__code__,
        {**function.__globals__, **replaced},
        function.__name__,
        function.__defaults__,
        function.__closure__,
    )
    same.__kwdefaults__ = function.__kwdefaults__
    return same


class TimedPickle:
    """The part of `pickle` that SGLang's transport uses, booked as `pickle`."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters

    def dumps(self, obj: Any, *args: Any, **more: Any) -> bytes:
        with self._counters.timed("pickle"):
            return pickle.dumps(obj, *args, **more)

    def loads(self, data: Any) -> Any:
        """The object; its bytes come from this server's own processes."""
        with self._counters.timed("pickle"):
            obj = pickle.loads(data)  # noqa: S301
        self._counters.add("received_bytes", len(data))
        return obj


class TimedBroadcast:
    """`broadcast_pyobj`, booked as `broadcast` where there is something to send. The wait of a rank for the size that
    comes first is its idle turn, and is not booked."""

    def __init__(self, inner: Callable[..., Any], counters: Counters, threads: GlooThreads) -> None:
        """threads: those that the ranks' groups use."""
        self._counters = counters
        self._threads = threads
        self._dist: Any = importlib.import_module("torch.distributed")
        self._inner = with_globals(inner, pickle=TimedPickle(counters), dist=self)
        self._is_source = False
        self._stack = ExitStack()

    def broadcast_pyobj(self, data: Any, rank: int, dist_group: Any = None, src: int = 0, *args: Any) -> Any:
        self._is_source = rank == src
        with self._stack:
            if self._is_source and data:
                self._stack.enter_context(self._threads.broadcasting(self._counters))
            return self._inner(data, rank, dist_group, src, *args)

    def broadcast(self, tensor: Any, src: int, group: Any) -> None:
        """torch.distributed's, as the code of broadcast_pyobj calls it: a size, then the bytes."""
        self._dist.broadcast(tensor, src=src, group=group)
        if self._is_source:
            if tensor.element_size() == 1:
                self._counters.add("broadcast_bytes", tensor.numel())
        elif tensor.element_size() > 1 and tensor.item() > 0:
            self._stack.enter_context(self._threads.broadcasting(self._counters))


class TimedInbox:
    """A rank's ZMQ socket: a message that is there is booked as `receive` and `pickle`, an empty poll is not."""

    def __init__(self, socket: Any, counters: Counters) -> None:
        self._socket = socket
        self._counters = counters
        self._pickle = TimedPickle(counters)

    def recv_pyobj(self, flags: int = 0) -> Any:
        """Raises zmq.Again where there is none, as the socket's own."""
        wall_ns, cpu_ns = time.perf_counter_ns(), time.thread_time_ns()
        msg = self._socket.recv(flags)
        self._counters.add("receive_cpu_seconds", (time.thread_time_ns() - cpu_ns) / 1e9)
        self._counters.add("receive_wall_seconds", (time.perf_counter_ns() - wall_ns) / 1e9)
        return self._socket._deserialize(msg, self._pickle.loads)  # noqa: SLF001 - as zmq's recv_pyobj

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)


class TimedOutbox:
    """The tokenizer's ZMQ socket to the entry rank."""

    def __init__(self, socket: Any, counters: Counters) -> None:
        self._socket = socket
        self._pickle = TimedPickle(counters)

    def send_pyobj(self, obj: Any, flags: int = 0, protocol: int = pickle.DEFAULT_PROTOCOL, **more: Any) -> Any:
        """As zmq's: what its `send` returns."""
        msg = self._pickle.dumps(obj, protocol)
        return self._socket.send(msg, flags=flags, **more)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket, name)
