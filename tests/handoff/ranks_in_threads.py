"""Ranks of one server as threads of the test, with channels that are a rendezvous as gloo's are."""

import functools
import hashlib
import pickle
import queue
import threading
from collections import Counter
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import numpy as np

from mmload.handoff.counters import Counters
from mmload.handoff.registry import strategy_class
from mmload.handoff.shm import Shm
from mmload.handoff.strategy import BuildFailed

PATIENCE_S = 20  # how long a rank waits for the others before the test calls it a hang


@dataclass
class Request:
    rid: str
    mm_inputs: Any


@dataclass
class Item:
    feature: Any
    hash: int | None


@dataclass
class Inputs:
    mm_items: list[Item]
    extra: Any = None

    def __eq__(self, other):
        return isinstance(other, Inputs) and self.key() == other.key()

    def __hash__(self):
        return hash(self.key())

    def key(self):
        return tuple((item.hash, item.feature.tobytes()) for item in self.mm_items)


MALFORMED, BROKEN, UNPICKLABLE = -1, -2, -3


def raw_inputs(number):
    """The dict of a request: two features, of which the next number has one too. Negative numbers: see above."""
    features = [np.full((2, 3 + n % 5), n, np.float32) for n in (number, number + 1)]
    return {"number": number, "mm_items": features}


def build(raw):
    if raw["number"] == MALFORMED:
        raise BuildFailed("malformed features")
    if raw["number"] == BROKEN:
        raise RuntimeError("this rank can't")
    items = [Item(f, int.from_bytes(hashlib.sha256(f.tobytes()).digest()[:8], "big")) for f in raw["mm_items"]]
    return Inputs(items, extra=(lambda: None) if raw["number"] == UNPICKLABLE else None)


class Lost(ConnectionError):
    """What a channel raises when it can't go on."""


class Wire:
    """One channel between all ranks."""

    def __init__(self, size):
        self.size = size
        self.changed = threading.Condition()
        self.arrived = Counter()
        self.sent = {}
        self.ended = False

    def end(self):
        with self.changed:
            self.ended = True
            self.changed.notify_all()


class Channel:
    """One rank's end of a wire."""

    def __init__(self, host, wire, name):
        self.host, self.wire, self.name = host, wire, name
        self.count = 0
        self.thread = None

    def broadcast_object(self, obj):
        self.thread = self.thread or threading.current_thread()
        assert threading.current_thread() is self.thread, "two threads issue broadcasts on one channel"
        self.host.log.append((self.name, self.host.turn if self.name == "main" else None))
        self.host.counters.add("broadcasts")
        number, self.count = self.count, self.count + 1
        wire = self.wire
        with wire.changed:
            if self.host.is_entry:
                wire.sent[number], obj = pickled(obj)
                self.host.counters.add("broadcast_bytes", len(wire.sent[number]))
            wire.arrived[number] += 1
            wire.changed.notify_all()
            in_time = wire.changed.wait_for(lambda: wire.arrived[number] == wire.size or wire.ended, PATIENCE_S)
            assert in_time, f"rank {self.host.rank} hangs in broadcast {number} on {self.name}"
            if wire.arrived[number] < wire.size:
                raise Lost(f"{self.name} has ended")
            return obj if self.host.is_entry else pickle.loads(wire.sent[number])

    def close(self):
        self.wire.end()


def pickled(obj):
    try:
        return pickle.dumps(obj), obj
    except Exception as error:  # noqa: BLE001 - as the interface says
        failure = BuildFailed(f"can't be sent: {error}")
        return pickle.dumps(failure), failure


class Host:
    """rank None: the tokenizer. cannot_build: numbers whose build raises in this process."""

    def __init__(self, group, rank, cannot_build=()):
        self.group, self.rank = group, rank
        self.size = group.size if rank is not None else 0
        self.is_entry = rank == 0
        self.counters = Counters()
        self.log = []
        self.turn = 0
        self.cannot_build = cannot_build
        self.main = Channel(self, group.main, "main")
        self.opened = False

    def build(self, raw):
        if raw["number"] in self.cannot_build:
            raise MemoryError
        self.counters.add("objects_built")
        return build(raw)

    def broadcast_object(self, obj):
        return self.main.broadcast_object(obj)

    def open_channel(self):
        assert not self.opened
        assert self.rank is not None
        self.opened = True
        return Channel(self, self.group.second, "second")

    def dump(self, obj):
        buffers = []
        head = pickle.dumps(obj, protocol=5, buffer_callback=buffers.append)
        return head, [buffer.raw() for buffer in buffers]

    def load(self, head, buffers):
        return pickle.loads(head, buffers=buffers)


class MainThread:
    """A rank's; one that hangs is left behind."""

    def __init__(self):
        self.jobs = queue.SimpleQueue()
        threading.Thread(target=self.work, daemon=True).start()

    def submit(self, act, strategy):
        future = Future()
        self.jobs.put((future, act, strategy))
        return future

    def work(self):
        while job := self.jobs.get():
            future, act, strategy = job
            try:
                future.set_result(act(strategy))
            except BaseException as error:  # noqa: BLE001 - the test's to judge
                future.set_exception(error)


class Group:
    """One server. make: the variant's name, or what makes its strategy from a host."""

    def __init__(self, make, size, cannot_build=None):
        make = strategy_class(make) if isinstance(make, str) else make
        self.size = size
        self.main, self.second = Wire(size), Wire(size)
        self.tokenizer = make(Host(self, None))
        self.hosts = [Host(self, rank, (cannot_build or {}).get(rank, ())) for rank in range(size)]
        self.ranks = [make(host) for host in self.hosts]
        self.threads = [MainThread() for _ in range(size)]

    def on_all(self, act):
        """act(strategy) on every rank at once, each in a thread of its own; what each returned."""
        futures = [thread.submit(act, strategy) for thread, strategy in zip(self.threads, self.ranks, strict=True)]
        return [future.result(2 * PATIENCE_S) for future in futures]

    def hand_over(self, *numbers):
        """One receive batch, a request for each number. Of each rank: the inputs, or why there are none."""
        return self.play([[("request", f"r{place}", number) for place, number in enumerate(numbers)]])

    def play(self, turns, drop_aborted=False):
        """Turns of a rank's loop: lists of ("request", rid, number) and ("abort", rid). Of each rank: the outcomes of
        all requests that were materialised, in order. drop_aborted: a request is not, where its abort came first."""
        sent = [self.at_tokenizer(messages) for messages in turns]

        def live(strategy):
            outcomes = []
            for turn, messages in enumerate(sent):
                strategy.host.turn = turn
                outcomes += self.take_turn(strategy, pickle.loads(messages), drop_aborted)
            return outcomes

        return self.on_all(live)

    def at_tokenizer(self, messages):
        return pickle.dumps(
            [
                Request(rest[0], self.tokenizer.at_tokenizer(raw_inputs(rest[1]))) if kind == "request" else rest[0]
                for kind, *rest in messages
            ]
        )

    def take_turn(self, strategy, messages, drop_aborted):
        requests = [message for message in messages if isinstance(message, Request)]
        if requests:
            strategy.on_receive(requests)
        outcomes, gone = [], set()
        for message in messages:
            if not isinstance(message, Request):
                strategy.on_abort(message)
                gone.add(message)
            elif not (drop_aborted and message.rid in gone):
                outcomes.append(outcome(strategy, message))
                message.mm_inputs = None  # as the stand-in does
        return outcomes

    def close(self):
        for strategy in (*self.ranks, self.tokenizer):
            strategy.close()
        for thread in self.threads:
            thread.jobs.put(None)

    def counted(self, column):
        """Of the tokenizer and of each rank."""
        return [strategy.host.counters[column] for strategy in (self.tokenizer, *self.ranks)]


def outcome(strategy, request):
    try:
        return strategy.materialise(request)
    except Lost:
        raise
    except Exception as error:  # noqa: BLE001 - as every host must
        return str(error) or type(error).__name__


def truth(number):
    """What every rank must end up with."""
    try:
        return build(raw_inputs(number))
    except (BuildFailed, RuntimeError) as error:
        return str(error)


def made_in(folder, variant, **options):
    """What makes a strategy; `shm` writes to `folder`."""
    make = strategy_class(variant)
    return (
        functools.partial(make, folder=folder, **options)
        if issubclass(make, Shm)
        else functools.partial(make, **options)
    )
