"""POST /v1/chat/completions: the request's form, and the answer's, as SGLang 0.5.6 sends it (byte for byte in a stream,
but for the values)."""

from __future__ import annotations

import time

import msgspec

from mmload.standin.api import Ask, Medium, Refused, checked_tokens, decode_media
from mmload.standin.in_flight import Answer


class _Url(msgspec.Struct):
    url: str


class _Text(msgspec.Struct, tag_field="type", tag="text"):
    text: str


class _Image(msgspec.Struct, tag_field="type", tag="image_url"):
    image_url: _Url

    def medium(self) -> Medium:
        return decode_media("IMAGE", self.image_url.url)


class _Video(msgspec.Struct, tag_field="type", tag="video_url"):
    video_url: _Url

    def medium(self) -> Medium:
        return decode_media("VIDEO", self.video_url.url)


class _Audio(msgspec.Struct, tag_field="type", tag="audio_url"):
    audio_url: _Url

    def medium(self) -> Medium:
        return decode_media("AUDIO", self.audio_url.url)


class _Message(msgspec.Struct):
    role: str
    content: str | list[_Text | _Image | _Video | _Audio] | None = None


class _StreamOptions(msgspec.Struct):
    include_usage: bool | None = False


class _ChatRequest(msgspec.Struct):
    messages: list[_Message]
    model: str = "default"
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    temperature: float | None = None
    seed: int | None = None
    stream: bool = False
    stream_options: _StreamOptions | None = None
    n: int = 1


_decoder = msgspec.json.Decoder(_ChatRequest)


def parse(body: bytes, default_max_tokens: int) -> Ask:
    """Raises Refused, naming what is wrong and where."""
    try:
        request = _decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise Refused(f"1 validation error: {error}", kind="Bad Request") from error
    if not request.messages:
        raise Refused("Messages cannot be empty.")
    if request.n != 1:
        raise Refused(f"Unsupported n: the stand-in gives one answer, asked for {request.n}")
    asked = request.max_tokens if request.max_completion_tokens is None else request.max_completion_tokens
    return Ask(
        parts=tuple(part for message in request.messages for part in _parts(message)),
        max_new_tokens=checked_tokens(asked, default_max_tokens),
        model=request.model,
        temperature=1.0 if request.temperature is None else request.temperature,
        seed=request.seed,
        stream=request.stream,
        include_usage=request.stream_options is not None and bool(request.stream_options.include_usage),
    )


def _parts(message: _Message) -> list[str | Medium]:
    parts: list[str | Medium] = [message.role]
    if isinstance(message.content, str):
        parts.append(message.content)
    else:
        parts += [part.text if isinstance(part, _Text) else part.medium() for part in message.content or ()]
    return parts


class Writer:
    """The answer to one chat request, as bytes. Chunks of a stream are put together from two constant pieces, since
    one is sent for every token."""

    def __init__(self, answer: Answer, ask: Ask) -> None:
        self._answer = answer
        self._ask = ask
        self._created = int(time.time())
        head = msgspec.json.encode(
            {"id": answer.rid, "object": "chat.completion.chunk", "created": self._created, "model": ask.model}
        )
        self._head = b"data: " + head[:-1] + b',"choices":['
        self._opened = False

    def tokens(self, words: list[str]) -> bytes:
        """The next words of a stream, a chunk each; before the first one the chunk with the role."""
        chunks = [self._chunk(b"null", b'"%b"' % word.encode()) for word in words]
        if not self._opened:
            self._opened = True
            chunks.insert(0, self._chunk(b'"assistant"', b'""'))
        return b"".join(chunks)

    def end(self) -> bytes:
        """The chunk with the reason of the end, the usage where it was asked for, and the end mark."""
        last = self._chunk(b"null", b"null", b'"length"')
        usage = b""
        if self._ask.include_usage:
            usage = self._head + b'],"usage":' + msgspec.json.encode(self._usage()) + b"}\n\n"
        return last + usage + b"data: [DONE]\n\n"

    def error(self, refused: Refused) -> bytes:
        """A stream that has begun ends with the error object."""
        return b"data: " + msgspec.json.encode({"error": refused.fields()}) + b"\n\ndata: [DONE]\n\n"

    def whole(self) -> bytes:
        message = {"role": "assistant", "content": self._answer.text, "reasoning_content": None, "tool_calls": None}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "length", "matched_stop": None}
        return msgspec.json.encode(
            {
                "id": self._answer.rid,
                "object": "chat.completion",
                "created": self._created,
                "model": self._ask.model,
                "choices": [choice],
                "usage": self._usage(),
                "metadata": {"weight_version": "default"},
            }
        )

    def _chunk(self, role: bytes, content: bytes, finish_reason: bytes = b"null") -> bytes:
        return b"".join(
            (
                self._head,
                b'{"index":0,"delta":{"role":',
                role,
                b',"content":',
                content,
                b',"reasoning_content":null,"tool_calls":null},"logprobs":null,"finish_reason":',
                finish_reason,
                b',"matched_stop":null}],"usage":null}\n\n',
            )
        )

    def _usage(self) -> dict[str, object]:
        answer = self._answer
        return {
            "prompt_tokens": answer.prompt_tokens,
            "total_tokens": answer.prompt_tokens + len(answer.token_ids),
            "completion_tokens": len(answer.token_ids),
            "prompt_tokens_details": {"cached_tokens": answer.cached_tokens},
            "reasoning_tokens": 0,
        }
