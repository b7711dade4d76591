"""The requests in flight, as the front end sees them: SGLang's TokenizerManager without the tokenizing (processor.py).

Requests leave for the entry rank and tokens come back over two ZMQ sockets; one message holds the tokens of a whole
step, and is dealt out here to the handlers that wait for them.
"""

from __future__ import annotations

import asyncio
import pickle
import time

import zmq

from mmload.standin.api import Refused
from mmload.standin.in_flight import Answer
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
    Together,
    decode_reply,
)
from mmload.standin.metrics import Metrics


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

    def submit(self, prepared: Prepared, received_s: float, counted: bool = True) -> Answer:
        """Send a request to the ranks; raises Refused while there is nobody to answer it."""
        self.check_open()
        answer = self._answers[prepared.rid] = Answer(prepared, received_s, counted)
        self._down.send(prepared.payload, copy=False)
        return answer

    def receive_together(self, requests: int) -> None:
        """The ranks take the next so many requests as one receive batch."""
        self._send(Together(requests))

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

    def _send(self, message: Message | Together) -> None:
        self._down.send(pickle.dumps(message))

    def _read_replies(self) -> None:
        while self._up.poll(0):
            reply = decode_reply(self._up.recv())
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
        for first in step.first:
            if first.rid in self._answers:
                answer = self._answers[first.rid]
                answer.cached_tokens, answer.queue_s = first.cached_tokens, first.queue_s
        for rid, token in zip(step.rids, step.tokens, strict=True):
            if rid in self._answers:  # else its client left, and the abort is on its way to the ranks
                self._on_token(self._answers[rid], token, now_s)
        metrics.end_step(now_s)
        self._last_step_s = now_s
        self._changed.set()

    def _on_token(self, answer: Answer, token: int, now_s: float) -> None:
        answer.add(token)
        if answer.finished:
            del self._answers[answer.rid]
        if answer.counted:
            self.metrics.count_token(answer, now_s)
        answer.last_token_s = now_s
