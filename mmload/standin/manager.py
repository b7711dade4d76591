"""The requests in flight, as the front end sees them: SGLang's TokenizerManager without the tokenizing (processor.py).

Requests leave for the entry rank and tokens come back over two ZMQ sockets; one message holds the tokens of a whole
step, and is dealt out here to the handlers that wait for them.
"""

from __future__ import annotations

import asyncio
import pickle
import time

import zmq

from mmload.standin.answer import detokenise
from mmload.standin.api import Refused
from mmload.standin.messages import (
    AbortRequest,
    Announce,
    Failed,
    FlushCache,
    Greeting,
    Message,
    Prepared,
    Shutdown,
    Step,
    decode_reply,
)
from mmload.standin.metrics import Metrics


class Answer:
    """One request in flight and what has come of its answer."""

    def __init__(self, prepared: Prepared, received_s: float) -> None:
        self.rid = prepared.rid
        self.prompt_tokens = prepared.prompt_tokens
        self.max_new_tokens = prepared.max_new_tokens
        self.received_s = received_s
        self.cached_tokens = 0
        self.queue_s = 0.0
        self.token_ids: list[int] = []
        self.last_token_s = received_s
        self._read = 0
        self._refused: Refused | None = None
        self._news = asyncio.Event()

    @property
    def finished(self) -> bool:
        return len(self.token_ids) == self.max_new_tokens

    @property
    def text(self) -> str:
        return "".join(detokenise(self.token_ids))

    def add(self, token: int) -> None:
        self.token_ids.append(token)
        self._news.set()

    def refuse(self, refused: Refused) -> None:
        self._refused = refused
        self._news.set()

    async def next_words(self) -> list[str]:
        """The words since the last call, one or more; raises Refused when no more will come."""
        while self._read == len(self.token_ids):
            if self._refused is not None:
                raise self._refused
            self._news.clear()
            await self._news.wait()
        words = detokenise(self.token_ids[self._read :])
        self._read = len(self.token_ids)
        return words

    async def complete(self) -> None:
        """Wait for the last token; raises Refused when it won't come."""
        while not self.finished:
            await self.next_words()


class Manager:
    """All requests in flight, and the way to the ranks. failure: why nothing is answered any more."""

    def __init__(self, requests_address: str, replies_address: str, tp: int, metrics: Metrics) -> None:
        self.metrics = metrics
        self.ranks: dict[int, Announce] = {}
        self.ready = asyncio.Event()
        self.draining = False
        self.failure: str | None = None
        self._tp = tp
        self._answers: dict[str, Answer] = {}
        self._changed = asyncio.Event()  # a step came, or a request left
        self._last_step_s = 0.0
        context: zmq.Context[zmq.Socket[bytes]] = zmq.Context.instance()
        self._down = context.socket(zmq.PUSH)
        self._down.set(zmq.SNDHWM, 0)
        self._down.connect(requests_address)  # the side that connects queues, whether or not rank 0 is there
        self._up = context.socket(zmq.PULL)
        self._up.set(zmq.RCVHWM, 0)
        self._up.bind(replies_address)
        asyncio.get_running_loop().add_reader(self._up.fileno(), self._read_replies)
        self._send(Greeting())

    @property
    def in_flight(self) -> int:
        return len(self._answers)

    def submit(self, prepared: Prepared, received_s: float) -> Answer:
        """Send a request to the ranks; raises Refused while there is nobody to answer it."""
        self.check_open()
        answer = self._answers[prepared.rid] = Answer(prepared, received_s)
        self._down.send(prepared.payload, copy=False)
        return answer

    def check_open(self) -> None:
        """Raises Refused unless requests are taken."""
        if self.failure is not None:
            raise Refused(self.failure, 503, "ServiceUnavailableError")
        if self.draining or not self.ready.is_set():
            why = "The server is shutting down." if self.draining else "The server is starting."
            raise Refused(why, 503, "ServiceUnavailableError")

    def release(self, answer: Answer) -> None:
        """The handler is done with it. Unless it finished, the ranks forget it too."""
        if self._answers.pop(answer.rid, None) is not None:
            self.metrics.aborted += 1
            self._send(AbortRequest(answer.rid))
        self._changed.set()

    def flush_cache(self) -> bool:
        """Empty the prefix cache; False, and nothing done, while requests run."""
        if self._answers:
            return False
        self._send(FlushCache())
        return True

    def fail(self, why: str) -> None:
        """Nothing is answered from now on, and nothing that is in flight."""
        if self.failure is None:
            self.failure = why
        for answer in self._answers.values():
            answer.refuse(Refused(self.failure, 500, "InternalServerError"))
        self._answers.clear()
        self._changed.set()

    async def drain(self, timeout_s: float) -> None:
        """Take no more requests and wait for those in flight, not longer than that."""
        self.draining = True
        deadline_s = time.monotonic() + timeout_s
        while self._answers and time.monotonic() < deadline_s:
            await self._change(deadline_s - time.monotonic())

    async def step_within(self, timeout_s: float) -> bool:
        """Whether the ranks finish a step within that time."""
        start_s = time.monotonic()
        while self._last_step_s < start_s and self.failure is None:
            if not await self._change(start_s + timeout_s - time.monotonic()):
                return False
        return self.failure is None

    def close(self) -> None:
        """Tell the ranks to end, and close the sockets."""
        self._send(Shutdown())
        asyncio.get_running_loop().remove_reader(self._up.fileno())
        self._down.close(linger=1000)
        self._up.close(linger=0)

    async def _change(self, timeout_s: float) -> bool:
        self._changed.clear()
        try:
            await asyncio.wait_for(self._changed.wait(), max(0.0, timeout_s))
        except TimeoutError:
            return False
        return True

    def _send(self, message: Message) -> None:
        self._down.send(pickle.dumps(message))

    def _read_replies(self) -> None:
        while True:
            try:
                reply = decode_reply(self._up.recv(zmq.NOBLOCK))
            except zmq.Again:
                return
            match reply:
                case Step():
                    self._on_step(reply)
                case Failed(rid, message):
                    answer = self._answers.pop(rid, None)
                    if answer is not None:
                        answer.refuse(Refused(message, 500, "InternalServerError"))
                case Announce():
                    self.ranks[reply.rank] = reply
                    if len(self.ranks) == self._tp:
                        self.ready.set()

    def _on_step(self, step: Step) -> None:
        now_s = time.monotonic()
        metrics = self.metrics
        metrics.running, metrics.queued, metrics.used_tokens = step.running, step.queued, step.used_tokens
        metrics.count_tokens(len(step.tokens), now_s)
        for first in step.first:
            self._on_first_token(first.rid, first.cached_tokens, first.queue_s, now_s)
        for rid, token in zip(step.rids, step.tokens, strict=True):
            answer = self._answers.get(rid)
            if answer is None:  # its client left; the abort is on its way to the ranks
                continue
            if answer.token_ids:
                metrics.inter_token_latency.observe(now_s - answer.last_token_s)
            answer.last_token_s = now_s
            answer.add(token)
            if answer.finished:
                del self._answers[rid]
                metrics.e2e_latency.observe(now_s - answer.received_s)
        self._last_step_s = now_s
        self._changed.set()

    def _on_first_token(self, rid: str, cached_tokens: int, queue_s: float, now_s: float) -> None:
        answer = self._answers.get(rid)
        if answer is None:
            return
        answer.cached_tokens, answer.queue_s = cached_tokens, queue_s
        metrics = self.metrics
        metrics.requests += 1
        metrics.prompt_tokens += answer.prompt_tokens
        metrics.cached_tokens += cached_tokens
        metrics.time_to_first_token.observe(now_s - answer.received_s)
        metrics.queue_time.observe(queue_s)
        metrics.prefill_waiting.observe(queue_s)
