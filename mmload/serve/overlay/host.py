"""SGLang's side of the handoff interface: what a strategy may ask of a rank or of the tokenizer process."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

from mmload.errors import ServerDied
from mmload.handoff.counters import Counters
from mmload.handoff.strategy import BuildFailed
from mmload.serve.overlay.gloo import GlooThreads
from mmload.serve.overlay.tensors import pickle_apart, unpickle_joined

Build = Callable[[Any], Any]


class Builder:
    """What the hosts have in common: building, and pickling apart. from_dict: SGLang's own."""

    def __init__(self, counters: Counters, from_dict: Build) -> None:
        self.counters = counters
        self._from_dict = from_dict

    def build(self, raw: Any) -> Any:
        """SGLang's MultimodalInputs. Raises BuildFailed on features that no rank could build from; what only this
        process lacks (memory) is raised as it is."""
        with self.counters.timed("build"):
            try:
                inputs = self._from_dict(raw)
            except (MemoryError, OSError):
                raise
            except Exception as error:
                raise BuildFailed(f"malformed multimodal inputs: {str(error) or type(error).__name__}") from error
        self.counters.add("objects_built")
        return inputs

    def dump(self, obj: Any) -> tuple[bytes, list[memoryview]]:
        with self.counters.timed("pickle"):
            return pickle_apart(obj)

    def load(self, head: bytes, buffers: Sequence[memoryview]) -> Any:
        with self.counters.timed("pickle"):
            return unpickle_joined(head, buffers)


class TokenizerHost(Builder):
    """A strategy's host in SGLang's main process, which takes part in no collective."""

    rank: int | None = None
    size = 0
    is_entry = False

    def broadcast_object(self, obj: Any) -> Any:  # noqa: ARG002 - the interface's
        raise RuntimeError("the tokenizer takes part in no broadcast")

    def open_channel(self) -> GroupChannel:
        raise RuntimeError("the tokenizer takes part in no broadcast")


class Group(NamedTuple):
    """A group of torch.distributed. ranks: the members' ranks in the world; the first one is the entry rank's."""

    group: Any
    ranks: tuple[int, ...]


class GroupChannel:
    """Objects from the entry rank to all, by torch's `broadcast_object_list`, as the commit sends them."""

    def __init__(self, group: Group, is_entry: bool, counters: Counters, threads: GlooThreads) -> None:
        """threads: those of the group."""
        self.is_entry = is_entry
        self.counters = counters
        self._threads = threads
        self._group = group
        self._closed = False
        self._dist: Any = importlib.import_module("torch.distributed")

    def broadcast_object(self, obj: Any) -> Any:
        """Raises ServerDied when a rank takes part no more."""
        if self._closed:
            raise ServerDied("the channel is closed")
        self.counters.add("broadcasts")
        try:
            return self._send(obj)
        except _Unpicklable as error:
            return self._send(BuildFailed(f"the inputs can't be sent: {error}"))

    def close(self) -> None:
        self._closed = True
        with suppress(Exception):
            self._dist.destroy_process_group(self._group.group)

    def _send(self, obj: Any) -> Any:
        objects = [obj if self.is_entry else None]
        _pickling.counters = self.counters
        try:
            with self._threads.broadcasting(self.counters):
                self._dist.broadcast_object_list(objects, src=self._group.ranks[0], group=self._group.group)
        except RuntimeError as error:
            if isinstance(error, _Unpicklable):
                raise
            raise ServerDied(f"a broadcast failed: {error}") from error
        finally:
            _pickling.counters = None
        return objects[0]


class RankHost(Builder):
    """A strategy's host in a rank. group: the one over which SGLang broadcasts requests."""

    def __init__(self, rank: int, group: Group, counters: Counters, from_dict: Build) -> None:
        super().__init__(counters, from_dict)
        self.rank: int | None = rank
        self.size = len(group.ranks)
        self.is_entry = rank == 0
        self._ranks = group.ranks
        self.gloo = GlooThreads()
        self._main = GroupChannel(group, self.is_entry, counters, self.gloo)
        _time_pickles_of_broadcasts()

    def broadcast_object(self, obj: Any) -> Any:
        return self._main.broadcast_object(obj)

    def open_channel(self) -> GroupChannel:
        """A gloo group of its own. torch wants all ranks to take part in opening it."""
        dist: Any = importlib.import_module("torch.distributed")
        others = GlooThreads().tids
        group = dist.new_group(ranks=list(self._ranks), backend="gloo")
        return GroupChannel(Group(group, self._ranks), self.is_entry, self.counters, GlooThreads(but=others))


class _Unpicklable(RuntimeError):
    """The entry rank's object can't be pickled; nothing of it was sent."""


_pickling = threading.local()  # .counters: of the thread that is in a broadcast of ours


def _time_pickles_of_broadcasts() -> None:
    """Book what broadcast_object_list pickles, in the threads that call it through a GroupChannel."""
    c10d: Any = importlib.import_module("torch.distributed.distributed_c10d")
    if getattr(c10d._object_to_tensor, "mmload", False):  # noqa: SLF001 - torch has no other place for this
        return
    to_tensor, to_object = c10d._object_to_tensor, c10d._tensor_to_object  # noqa: SLF001

    def _object_to_tensor(obj: Any, *args: Any, **more: Any) -> Any:
        counters: Counters | None = getattr(_pickling, "counters", None)
        if counters is None:
            return to_tensor(obj, *args, **more)
        try:
            with counters.timed("pickle"):
                data, size = to_tensor(obj, *args, **more)
        except Exception as error:
            raise _Unpicklable(str(error) or type(error).__name__) from error
        counters.add("broadcast_bytes", int(size.item()))
        return data, size

    def _tensor_to_object(tensor: Any, tensor_size: Any, *args: Any, **more: Any) -> Any:
        counters: Counters | None = getattr(_pickling, "counters", None)
        if counters is None:
            return to_object(tensor, tensor_size, *args, **more)
        with counters.timed("pickle"):
            obj = to_object(tensor, tensor_size, *args, **more)
        counters.add("received_bytes", int(tensor_size))
        return obj

    _object_to_tensor.mmload = True  # type: ignore[attr-defined]
    c10d._object_to_tensor, c10d._tensor_to_object = _object_to_tensor, _tensor_to_object  # noqa: SLF001
