"""POST /generate: SGLang's own request and answer. A stream repeats the whole text so far in every event."""

from __future__ import annotations

import time

import msgspec

from mmload.standin.api import Ask, Modality, Refused, checked_tokens, decode_media
from mmload.standin.in_flight import Answer


class _SamplingParams(msgspec.Struct, frozen=True):
    max_new_tokens: int | None = None
    temperature: float = 1.0
    seed: int | None = msgspec.field(name="sampling_seed", default=None)


class _GenerateRequest(msgspec.Struct):
    text: str | None = None
    input_ids: list[int] | None = None
    image_data: str | list[str] | None = None
    video_data: str | list[str] | None = None
    audio_data: str | list[str] | None = None
    sampling_params: _SamplingParams = _SamplingParams()
    stream: bool = False


_decoder = msgspec.json.Decoder(_GenerateRequest)


def parse(body: bytes, default_max_tokens: int) -> Ask:
    """Raises Refused, naming what is wrong and where."""
    try:
        request = _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refused(f"1 validation error: {error}", kind="Bad Request") from error
    if request.text is None and request.input_ids is None:
        raise Refused("Either text, input_ids or input_embeds should be provided.")
    text = request.text if request.text is not None else " ".join(map(str, request.input_ids or ()))
    kinds: tuple[tuple[Modality, str | list[str] | None], ...] = (
        ("IMAGE", request.image_data),
        ("VIDEO", request.video_data),
        ("AUDIO", request.audio_data),
    )
    media = [
        decode_media(modality, source)
        for modality, sources in kinds
        for source in ([sources] if isinstance(sources, str) else sources or ())
    ]
    return Ask(
        parts=(*media, text),
        max_new_tokens=checked_tokens(request.sampling_params.max_new_tokens, default_max_tokens),
        temperature=request.sampling_params.temperature,
        seed=request.sampling_params.seed,
        stream=request.stream,
    )


class Writer:
    """The answer to one /generate request, as bytes."""

    def __init__(self, answer: Answer, ask: Ask) -> None:  # noqa: ARG002 - the form of an endpoint's writer
        self._answer = answer

    def tokens(self, words: list[str]) -> bytes:  # noqa: ARG002 - the text so far is the answer's own
        return b"data: " + self.whole() + b"\n\n"

    def end(self) -> bytes:
        return b"data: [DONE]\n\n"

    def error(self, refused: Refused) -> bytes:
        return b"data: " + msgspec.json.encode({"error": refused.fields()}) + b"\n\ndata: [DONE]\n\n"

    def whole(self) -> bytes:
        answer = self._answer
        done = answer.finished
        meta: dict[str, object] = {
            "id": answer.rid,
            "finish_reason": {"type": "length", "length": answer.max_new_tokens} if done else None,
            "prompt_tokens": answer.prompt_tokens,
            "weight_version": "default",
            "total_retractions": 0,
            "queue_time": answer.queue_s,
            "completion_tokens": len(answer.token_ids),
            "cached_tokens": answer.cached_tokens,
        }
        if done:
            meta["e2e_latency"] = time.monotonic() - answer.received_s
        return msgspec.json.encode({"text": answer.text, "output_ids": answer.token_ids, "meta_info": meta})
