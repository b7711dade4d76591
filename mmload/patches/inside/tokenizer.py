"""The tokenizer manager's side of a strategy, and a scheduler's side that takes what comes from there.

`_tokenize_one_request` calls `built`, off the event loop; `_send_one_request` and `_send_batch_request` call `packed`.
"""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, cast

from mmload.handoff.strategy import HandoffFailed, Host, Strategy
from mmload.patches.inside.counting import Counters
from mmload.patches.inside.errors import ServerError
from mmload.patches.inside.messages import media_field
from mmload.patches.inside.rank import RankHandoff
from mmload.serve.overlay.tensors import pickle_apart, unpickle_joined


class TokenizerHandoff:
    """A strategy in the tokenizer process, and its host.

    from_dict: MultimodalInputs.from_dict. refusal: what to raise for a request that this server can't take now, made
    from a status code and a detail (fastapi.HTTPException). against: an option that doesn't go with the strategy ->
    whether the server was started with it.
    """

    rank: int | None = None
    size = 0
    is_entry = False

    def __init__(
        self,
        strategy: type[Strategy],
        from_dict: Callable[[Any], Any],
        refusal: Callable[[int, str], Exception],
        against: Mapping[str, bool],
    ) -> None:
        for option, given in against.items():
            if given:
                raise ServerError(f"the variant {strategy.name} does not go with {option}")
        self.counters = Counters()
        self._from_dict = from_dict
        self._refusal = refusal
        self._strategy = strategy(cast("Host", self))

    async def built(self, raw: Any) -> Any:
        """The inputs object of a request, None of one without media. Raises ValueError, which SGLang answers with
        400."""
        if raw is None:
            return None
        try:
            return await asyncio.to_thread(self._from_dict, raw)
        except Exception as error:
            raise ValueError(f"Malformed multimodal inputs: {error!r}") from error

    @contextmanager
    def packed(self, message: Any) -> Iterator[Any]:
        """What leaves in place of a request, or of a batch of them, while it leaves: the request itself is as before,
        since SGLang sends copies of one where several answers are wanted. Raises the refusal."""
        payloads: list[Any] = []
        try:
            yield self._pack(message, payloads)
        except BaseException as error:
            for payload in payloads:
                self._strategy.withdraw(payload)
            if isinstance(error, HandoffFailed):
                raise self._refusal(503, str(error)) from error
            raise

    def build(self, built: Any) -> Any:
        return built

    def dump(self, obj: Any) -> tuple[bytes, list[memoryview]]:
        return pickle_apart(obj)

    def _pack(self, message: Any, payloads: list[Any]) -> Any:
        sent = copy.copy(message)
        batch = getattr(message, "batch", None)
        if isinstance(batch, list):
            sent.batch = [self._pack(each, payloads) for each in batch]
        elif field := media_field(message):
            payloads.append(self._strategy.at_tokenizer(getattr(message, field)))
            setattr(sent, field, payloads[-1])
        return sent


class MappingRankHandoff(RankHandoff):
    """The scheduler's side of a strategy that packs. stages: pipeline stages, whose ranks receive the request too."""

    def __init__(
        self,
        strategy: type[Strategy],
        group: Any,
        dist: Any,
        from_dict: Callable[[Any], Any],
        stages: int,
    ) -> None:
        super().__init__(strategy, group, dist, from_dict)
        self.size *= stages

    def takes(self, media: Any) -> bool:
        """Not what came to the ranks by another way than the tokenizer manager's."""
        return not isinstance(media, dict)

    def load(self, head: bytes, buffers: Sequence[memoryview]) -> Any:
        return unpickle_joined(head, buffers)
