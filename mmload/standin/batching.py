"""Which requests run in the next step of the device: continuous batching as SGLang does it, prefill first, but a
step of decode between two of prefill: else what runs gets no token as long as something new comes in.

Pure and without a clock, so that ranks which saw the same messages choose the same batches.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

from mmload.standin.config import DeviceModel
from mmload.standin.inputs import MultimodalInputs
from mmload.standin.messages import GenerateRequest


@dataclass(slots=True)
class Sequence:
    """A request on its way through the device. answer: all its tokens, on the entry rank, from its prefill on.

    inputs: kept until the prefill has read them. error: why there are none though there should be.
    """

    request: GenerateRequest
    inputs: MultimodalInputs | None
    error: str | None
    queued_ns: int
    answer: list[int] = field(default_factory=list)
    emitted: int = 0
    cached_tokens: int = 0
    queue_ns: int = 0

    @property
    def tokens(self) -> int:
        """The most that it will ever hold on the device."""
        return self.request.prompt_tokens + self.request.max_new_tokens


class Batch(NamedTuple):
    """One step: the first token of each member (prefill), or the next one (decode)."""

    prefill: bool
    members: list[Sequence]


class Batcher:
    """The waiting and the running requests of one rank."""

    def __init__(self, device: DeviceModel) -> None:
        self._device = device
        self.waiting: deque[Sequence] = deque()
        self.running: dict[str, Sequence] = {}
        self.used_tokens = 0
        self._prefilled_last = False

    @property
    def busy(self) -> bool:
        return bool(self.waiting or self.running)

    def add(self, sequence: Sequence) -> None:
        self.waiting.append(sequence)

    def next_batch(self) -> Batch | None:
        decode_is_due = self._prefilled_last and self.running
        admitted = [] if decode_is_due else self._admit()
        self._prefilled_last = bool(admitted)
        if admitted:
            return Batch(prefill=True, members=admitted)
        if self.running:
            return Batch(prefill=False, members=list(self.running.values()))
        return None

    def advance(self, batch: Batch) -> None:
        """Every member has one more token; those with all of theirs leave."""
        for sequence in batch.members:
            sequence.emitted += 1
            if sequence.emitted == sequence.request.max_new_tokens:
                self.remove(sequence.request.rid)

    def remove(self, rid: str) -> bool:
        """Forget a request; False if it was not there any more."""
        sequence = self.running.pop(rid, None)
        if sequence is not None:
            self.used_tokens -= sequence.tokens
            return True
        for waiting in self.waiting:
            if waiting.request.rid == rid:
                self.waiting.remove(waiting)
                return True
        return False

    def _admit(self) -> list[Sequence]:
        admitted: list[Sequence] = []
        prompt_tokens = 0
        while self.waiting and len(self.running) < self._device.max_running_requests:
            sequence = self.waiting[0]
            prompt_tokens += sequence.request.prompt_tokens
            alone = not self.running
            if admitted and prompt_tokens > self._device.max_prefill_tokens:
                break
            if not alone and self.used_tokens + sequence.tokens > self._device.max_total_tokens:
                break
            self.running[sequence.request.rid] = self.waiting.popleft()
            self.used_tokens += sequence.tokens
            admitted.append(sequence)
        return admitted
