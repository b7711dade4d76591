"""What comes of one request: filled by the manager token by token, read by the handler that writes it to the client."""

from __future__ import annotations

import asyncio

from mmload.standin.answer import detokenise
from mmload.standin.api import Refused
from mmload.standin.messages import Prepared


class Answer:
    """One request in flight and what has come of its answer. counted: in the metrics (a health check is not)."""

    def __init__(self, prepared: Prepared, received_s: float, counted: bool = True) -> None:
        self.counted = counted
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
