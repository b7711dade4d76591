"""Strategies that do it wrongly, for a server started with `--rank-variant 1=faulty_strategies:NAME`."""

import resource
import threading
import time

from mmload.handoff.async_broadcast import AsyncBatch, AsyncBroadcast
from mmload.handoff.batch_broadcast import BatchBroadcast
from mmload.handoff.combined import Combined
from mmload.handoff.commit import Commit
from mmload.handoff.delayed import Delayed
from mmload.handoff.delta import Delta
from mmload.handoff.original import Original
from mmload.handoff.shm import Shm
from mmload.standin.inputs import MultimodalInputs


class Dropped(Original):
    """The features get lost on the way."""

    name = "dropped"

    def materialise(self, request):
        super().materialise(request)
        return MultimodalInputs([])


class Stale(Original):
    """Every request gets the features of the first one."""

    name = "stale"
    first = None

    def materialise(self, request):
        self.first = self.first or super().materialise(request)
        return self.first


class Swapped(Original):
    """The images of a request change places."""

    name = "swapped"

    def materialise(self, request):
        return MultimodalInputs(super().materialise(request).mm_items[::-1])


class Raising(Original):
    """One rank can't build what the others can."""

    name = "raising"

    def materialise(self, request):
        raise RuntimeError("this rank can't")


class Malformed(Original):
    """The tokenizer spoils images of 84 x 84 pixels and no others."""

    name = "malformed"

    def at_tokenizer(self, raw):
        for item in raw["mm_items"]:
            if item["grid"] == (1, 6, 6):
                item["feature"] = item["feature"][:-1]
        return raw


class SmallCache(BatchBroadcast):
    """Two requests fill it."""

    name = "small-cache"

    def __init__(self, host):
        super().__init__(host, entries=2)


class Forgetful(Delta):
    """This rank remembers no feature."""

    name = "forgetful"

    def __init__(self, host):
        super().__init__(host, features=0)


class SmallMemory(Shm):
    """The kernel refuses files of more than 300 kB to the tokenizer, as it does where /dev/shm is full."""

    name = "small-memory"

    def __init__(self, host):
        super().__init__(host)
        if host.rank is None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))


def cannot_build(strategy):
    """The strategy in a process that can't build images of 84 x 84 pixels, which others can."""

    class CannotBuild(strategy):
        def __init__(self, host):
            self.build = host.build
            host.build = self.refuse
            super().__init__(host)

        def refuse(self, raw):
            if any(item["grid"] == (1, 6, 6) for item in raw["mm_items"]):
                raise MemoryError("this rank can't")
            return self.build(raw)

    return CannotBuild


CannotBuild_commit = cannot_build(Commit)
CannotBuild_delayed = cannot_build(Delayed)
CannotBuild_batch_broadcast = cannot_build(BatchBroadcast)
CannotBuild_async_broadcast = cannot_build(AsyncBroadcast)
CannotBuild_async_batch = cannot_build(AsyncBatch)
CannotBuild_combined = cannot_build(Combined)
CannotBuild_delta = cannot_build(Delta)


def burn(cpu_ms):
    """Burn this much CPU time of the calling thread, however long that takes."""
    end_ns = time.thread_time_ns() + cpu_ms * 1_000_000
    while time.thread_time_ns() < end_ns:
        pass


class SlowRank(Original):
    """Rank 1 takes 15 ms of CPU more for each request than its peers."""

    name = "slow-rank"

    def materialise(self, request):
        if self.host.rank == 1:
            burn(15)
        return super().materialise(request)


class HotTokenizer(Original):
    """The tokenizer takes 30 ms of CPU more for each request."""

    name = "hot-tokenizer"

    def at_tokenizer(self, raw):
        burn(30)
        return super().at_tokenizer(raw)


class ManyThreads(Original):
    """Each process has a hundred threads more, as one with thread pools: all of them wait."""

    name = "many-threads"

    def __init__(self, host):
        super().__init__(host)
        for _ in range(100):
            threading.Thread(target=threading.Event().wait, daemon=True).start()
