"""One scheduler rank: SGLang's Scheduler, on a modelled device.

The loop and its function names are SGLang's, so that one reader of flame graphs and one set of rules know both. All
ranks turn in lockstep: rank 0 takes what came over ZMQ and broadcasts it, then each does the same with the same list.

What a function's CPU time is spent on, the innermost named function deciding (a wait decides wherever it stands):

    poll_for_work                                                      idle-poll
    wait_for_work                                                      idle-poll, asleep
    wait_for_job (a strategy's background threads)                     idle-poll, asleep
    wait_for_device                                                    device-wait, asleep
    recv_requests, read_inbox                                          receive
    broadcast_pyobj, broadcast_object, send_object, receive_object,
    broadcast, broadcast_size, wait_for_broadcast, map_segment         broadcast
    from_dict, set_pad_value, materialise                              materialise
    hash_feature                                                       hash
    pickle_object, unpickle_object, pickle_apart, unpickle_joined      pickle
    process_input_requests, handle_generate_request,
    get_next_batch_to_run, event_loop                                  schedule
    run_batch, sample_features, gather_digests                         forward
    process_batch_result                                               reply
"""

from __future__ import annotations

import os
import time
import traceback
from collections.abc import Iterator

import msgspec
import zmq

from mmload.errors import ServerDied
from mmload.handoff.strategy import BuildFailed, Strategy
from mmload.standin.answer import compose, sample_digest
from mmload.standin.batching import Batch, Batcher, Sequence
from mmload.standin.config import DeviceModel
from mmload.standin.host import RankHost
from mmload.standin.messages import (
    AbortRequest,
    Announce,
    Failed,
    FirstToken,
    FlushCache,
    GenerateRequest,
    Greeting,
    Message,
    Reply,
    Shutdown,
    Step,
    Together,
    encode_reply,
)
from mmload.standin.pickles import unpickle_object
from mmload.standin.prefix_cache import PrefixCache

_REQUESTS = b"r"  # the tag of the broadcast of received messages


class Scheduler:
    """The loop of one rank."""

    def __init__(
        self,
        host: RankHost,
        strategy: Strategy,
        device: DeviceModel,
        inbox: zmq.Socket[bytes],
        outbox: zmq.Socket[bytes],
        poll_on_idle: bool,
    ) -> None:
        self.host = host
        self.counters = host.counters
        self.strategy = strategy
        self.device = device
        self.poll_on_idle = poll_on_idle
        self.batcher = Batcher(device)
        self.prefix_cache = PrefixCache(device.max_total_tokens)
        self.stopping = False
        self._aborts: list[Message] = []
        self._inbox = inbox
        self._outbox = outbox
        self._idle = self.poll_for_work if poll_on_idle else self.wait_for_work

    def event_loop(self) -> None:
        while not self.stopping:
            self.process_input_requests(self.recv_requests())
            batch = self.get_next_batch_to_run()
            if batch is not None:
                self.run_batch(batch)
                self.process_batch_result(batch)

    def recv_requests(self) -> list[Message]:
        """The new messages, the same on every rank."""
        size = 0 if self.batcher.busy else self._idle()
        messages = self.read_inbox() if self.host.is_entry else []
        return self.broadcast_pyobj(messages, size) if self.host.size > 1 else messages

    def poll_for_work(self) -> int:
        """A wait that spins. It has a name of its own because its CPU is real."""
        return self.wait_for_work()

    def wait_for_work(self) -> int:
        """Nothing runs: sleep, or poll as SGLang does, until there is a message. Ranks but the entry rank learn of it
        by the size of the next list, and return that."""
        if not self.host.is_entry:
            while not (size := self.host.collective.broadcast_size(_REQUESTS)):
                pass
            return size
        while not self._inbox.poll(0 if self.poll_on_idle else None):
            if self.host.size > 1:
                self.host.collective.broadcast_size(_REQUESTS, 0)
        return 0

    def read_inbox(self) -> list[Message]:
        """What has come, at most max_recv_per_poll: under overload more comes while this is received, and what runs
        would wait for ever longer lists. What was announced to come Together is waited for."""
        messages, self._aborts = self._aborts, []
        least, most = 0, self.device.max_recv_per_poll
        while len(messages) < most and self._inbox.poll(None if len(messages) < least else 0):
            with self.counters.timed("receive"):
                frame = self._inbox.recv(copy=False)
            message = unpickle_object(frame.buffer, self.counters)
            if isinstance(message, Together):
                least = len(messages) + message.messages
                most = max(most, least)
            else:
                messages.append(message)
        return messages

    def broadcast_pyobj(self, messages: list[Message], size: int) -> list[Message]:
        """SGLang's: the size of the pickled list (0 for an empty one), then its bytes. `size`: known to a rank that
        waited for it, else 0."""
        if not self.host.is_entry:
            size = size or self.host.collective.broadcast_size(_REQUESTS)
            return self.host.receive_object(_REQUESTS, size) if size else []
        if messages:
            self.host.send_object(_REQUESTS, messages)
        else:
            self.host.collective.broadcast_size(_REQUESTS, 0)
        return messages

    def process_input_requests(self, messages: list[Message]) -> None:
        with_media = [m for m in messages if isinstance(m, GenerateRequest) and m.mm_inputs is not None]
        if with_media:
            self.counters.add("receive_batches")
            self.counters.add("requests", len(with_media))
            with self.counters.on_the_clock("handler_wall_seconds"):
                self.strategy.on_receive(with_media)
        for message in messages:
            match message:
                case GenerateRequest():
                    self.handle_generate_request(message)
                case AbortRequest(rid):
                    self.batcher.remove(rid)
                    self.strategy.on_abort(rid)
                    if self.host.is_entry and not self.batcher.busy:  # no step will tell that nothing runs any more
                        self._reply(Step(rids=[], tokens=[], first=[], running=0, queued=0, used_tokens=0))
                case FlushCache():
                    self.prefix_cache.clear()
                case Greeting():
                    self._reply(Announce(self.host.rank or 0, os.getpid(), self.strategy.name))
                case Shutdown():
                    self.stopping = True

    def handle_generate_request(self, request: GenerateRequest) -> None:
        inputs = error = None
        if request.mm_inputs is not None:
            try:
                with self.counters.on_the_clock("handler_wall_seconds"):
                    inputs = self.strategy.materialise(request)
            except ServerDied:
                raise
            except Exception as failure:  # noqa: BLE001 - a bad request, or a bad strategy, fails this request alone
                error = str(failure) or type(failure).__name__
                if not isinstance(failure, BuildFailed):
                    traceback.print_exc()
            request.mm_inputs = None
        self.batcher.add(Sequence(request, inputs, error, queued_ns=time.monotonic_ns()))

    def get_next_batch_to_run(self) -> Batch | None:
        return self.batcher.next_batch()

    def run_batch(self, batch: Batch) -> None:
        """One step of the device. What the CPU does for it runs beside it; then the device is waited for."""
        start_ns = time.monotonic_ns()
        if not batch.prefill:
            wait_for_device(start_ns + self.device.decode_ns(len(batch.members)))
            return
        new_tokens = 0
        for sequence in batch.members:
            sequence.queue_ns = start_ns - sequence.queued_ns
            sequence.cached_tokens = self.prefix_cache.match(cache_keys(sequence))
            new_tokens += sequence.request.prompt_tokens - sequence.cached_tokens
        parts = self.gather_digests([self.sample_features(sequence) for sequence in batch.members])
        for sequence, digests in zip(batch.members, zip(*parts, strict=True), strict=False):
            self._answer(sequence, digests)
        wait_for_device(start_ns + self.device.prefill_ns(new_tokens))

    def sample_features(self, sequence: Sequence) -> bytes | str:
        """The digest of what this rank holds for the request, or why it holds nothing."""
        with self.counters.timed("sample"):
            digest = sample_digest(sequence.inputs)
        sequence.inputs = None
        return digest if sequence.error is None else sequence.error

    def gather_digests(self, digests: list[bytes | str]) -> list[list[bytes | str]]:
        """Those of every rank, on the entry rank (elsewhere none): all take part in a prefill, as in an all-reduce."""
        parts = self.host.collective.gather(msgspec.msgpack.encode(digests))
        return [msgspec.msgpack.decode(part) for part in parts or ()]

    def process_batch_result(self, batch: Batch) -> None:
        self.batcher.advance(batch)
        if not self.host.is_entry:
            return
        answered = [sequence for sequence in batch.members if sequence.answer]
        first = [
            FirstToken(each.request.rid, each.cached_tokens, each.queue_ns / 1e9)
            for each in answered
            if each.emitted == 1
        ]
        step = Step(
            rids=[each.request.rid for each in answered],
            tokens=[each.answer[each.emitted - 1] for each in answered],
            first=first,
            running=len(self.batcher.running),
            queued=len(self.batcher.waiting),
            used_tokens=self.batcher.used_tokens,
        )
        self._reply(step)

    def _answer(self, sequence: Sequence, digests: tuple[bytes | str, ...]) -> None:
        """Compose the answer. A rank that holds no inputs fails the request: it leaves all ranks by the next list."""
        request = sequence.request
        error = next((each for each in digests if isinstance(each, str)), None)
        if error is None:
            read = [each for each in digests if isinstance(each, bytes)]
            sequence.answer = compose(request.prompt, read, request.max_new_tokens)
            return
        self._reply(Failed(request.rid, error))
        if request.max_new_tokens > 1:
            self._aborts.append(AbortRequest(request.rid))

    def _reply(self, reply: Reply) -> None:
        self._outbox.send(encode_reply(reply))


def wait_for_device(until_ns: int) -> None:
    """Sleep: the device works, and no CPU is burnt for it."""
    while (left_ns := until_ns - time.monotonic_ns()) > 0:
        time.sleep(left_ns / 1e9)


def cache_keys(sequence: Sequence) -> Iterator[tuple[bytes, int]]:
    """(key, tokens) of the prompt's segments; a medium's key is its pad value, as in SGLang's padded prompt."""
    items = iter(sequence.inputs.mm_items if sequence.inputs is not None else ())
    for segment in sequence.request.segments:
        if segment.key is not None:
            yield segment.key, segment.tokens
        else:
            item = next(items, None)
            yield str(item and item.pad_value).encode(), segment.tokens
