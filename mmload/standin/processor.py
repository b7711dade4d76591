"""What the tokenizer process does to a request before it leaves for the ranks: media to features, prompt to segments,
the variant's own part of the handoff, and the pickle. Safe to use from several threads."""

from __future__ import annotations

import hashlib
import os
from typing import Any

from mmload.handoff.strategy import BuildFailed, HandoffFailed, Strategy
from mmload.standin.api import Ask, Medium, Refused
from mmload.standin.audio import FRAMES_PER_TOKEN, audio_features
from mmload.standin.config import StandinConfig
from mmload.standin.messages import GenerateRequest, Prepared, Segment
from mmload.standin.pickles import pickle_object
from mmload.standin.vision import MERGE, MediaError, image_features, video_features


class Processor:
    """SGLang's multimodal processor and the tokenizing half of its TokenizerManager."""

    def __init__(self, config: StandinConfig, strategy: Strategy, text_only: bool = False) -> None:
        self._config = config
        self._strategy = strategy
        self._text_only = text_only

    def prepare(self, rid: str, ask: Ask) -> Prepared:
        """The pickled request for the ranks; raises Refused where it can't be answered."""
        items: list[dict[str, Any]] = []
        segments: list[Segment] = []
        prompt = hashlib.blake2b(_sampling_seed(ask), digest_size=16)
        for part in ask.parts:
            if isinstance(part, Medium):
                item, tokens = self._features(part)
                items.append(item)
                segments.append(Segment(tokens, key=None))
            else:
                words = part.encode("utf-8", "surrogatepass")
                prompt.update(words)
                key = hashlib.blake2b(words, digest_size=16).digest()
                segments.append(Segment(max(1, len(part.split())), key))
        prompt_tokens = sum(segment.tokens for segment in segments)
        self._check_length(prompt_tokens, ask.max_new_tokens)
        handoff = self._handoff(items) if items else None
        request = GenerateRequest(rid, prompt.digest(), segments, prompt_tokens, ask.max_new_tokens, handoff)
        try:
            payload = pickle_object(request, self._strategy.host.counters)
        except BaseException:
            self._withdraw(handoff)
            raise
        return Prepared(rid, prompt_tokens, ask.max_new_tokens, payload, handoff)

    def withdraw(self, prepared: Prepared) -> None:
        """It does not leave: its client did, or nobody answers any more."""
        self._withdraw(prepared.handoff)

    def _features(self, medium: Medium) -> tuple[dict[str, Any], int]:
        """The raw item of mm_inputs (inputs.py) and the number of prompt tokens that it takes."""
        if self._text_only:
            raise Refused(f"The model {self._config.model} is text-only: it takes no {medium.modality} input.")
        try:
            if medium.modality == "AUDIO":
                feature = audio_features(medium.data)
                tokens = max(1, feature.shape[1] // FRAMES_PER_TOKEN)
                return {"modality": "AUDIO", "feature": feature, "grid": None}, tokens
            load = image_features if medium.modality == "IMAGE" else video_features
            feature, grid = load(medium.data, self._config.vision)
        except MediaError as error:
            raise Refused(f"Error while loading {medium.modality} data: {error}") from error
        return {"modality": medium.modality, "feature": feature, "grid": grid}, feature.shape[0] // MERGE**2

    def _handoff(self, items: list[dict[str, Any]]) -> Any:
        self._strategy.host.counters.add("requests")
        try:
            return self._strategy.at_tokenizer({"mm_items": items})
        except BuildFailed as error:
            raise Refused(str(error)) from error
        except HandoffFailed as error:
            raise Refused(str(error), 503, "ServiceUnavailableError") from error

    def _withdraw(self, handoff: Any) -> None:
        if handoff is not None:
            self._strategy.withdraw(handoff)

    def _check_length(self, prompt_tokens: int, max_new_tokens: int) -> None:
        limit = self._config.context_length
        if prompt_tokens + max_new_tokens > limit:
            raise Refused(
                f"Requested token count exceeds the model's maximum context length of {limit} tokens. You requested a "
                f"total of {prompt_tokens + max_new_tokens} tokens: {prompt_tokens} tokens from the input messages and "
                f"{max_new_tokens} tokens for the completion."
            )


def _sampling_seed(ask: Ask) -> bytes:
    """Nothing at temperature 0, where the answer hangs on the prompt alone."""
    if ask.temperature == 0:
        return b""
    return os.urandom(16) if ask.seed is None else str(ask.seed).encode()
