"""Reading an answer: whole or streamed, from /v1/chat/completions or /generate.

A reader is fed body bytes with the time they arrived and is asked at the end whether that was a correct answer.
"""

from __future__ import annotations

import hashlib
from typing import Any, Protocol, TypeVar

import msgspec

from mmload.drive.sse import ErrorEvent, SseParser
from mmload.model.records import Outcome

_KEPT_BYTES = 65_536


class BadAnswer(Exception):
    """Not a correct answer: its outcome, and why in a sentence."""

    def __init__(self, outcome: Outcome, reason: str) -> None:
        super().__init__(reason)
        self.outcome = outcome


class Answer:
    """What a correct answer said. token_ns: arrival of each piece of content, streamed answers only."""

    def __init__(self) -> None:
        self.text: list[str] = []
        self.token_ns: list[int] = []
        self.prompt_tokens: int | None = None
        self.completion_tokens: int | None = None
        self.cached_tokens: int | None = None

    def sha256(self) -> str:
        return hashlib.sha256("".join(self.text).encode()).hexdigest()


class AnswerReader(Protocol):
    """`ended`: the answer has said that it is complete, whatever bytes may still come to frame it."""

    content_type: str
    answer: Answer
    ended: bool

    def feed(self, chunk: bytes, now_ns: int) -> None:
        """Take a piece of the body. Raises BadAnswer as soon as that is certain."""

    def finish(self) -> None:
        """The body is complete. Raises BadAnswer unless it was a correct answer."""


class _PromptDetails(msgspec.Struct):
    cached_tokens: int | None = None


class _Usage(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    prompt_tokens_details: _PromptDetails | None = None


class _Message(msgspec.Struct):
    content: str | None = None
    reasoning_content: str | None = None
    tool_calls: list[msgspec.Raw] | None = None


class _Choice(msgspec.Struct):
    delta: _Message | None = None
    message: _Message | None = None
    finish_reason: str | None = None


class _Chat(msgspec.Struct):
    """object, message, detail: of errors that have no key of their own."""

    choices: list[_Choice] = []
    usage: _Usage | None = None
    error: Any = None
    object: Any = None
    message: Any = None
    detail: Any = None


class _Meta(msgspec.Struct):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cached_tokens: int | None = None
    finish_reason: Any = None


class _Generated(msgspec.Struct):
    text: str = ""
    meta_info: _Meta | None = None
    error: Any = None
    object: Any = None
    message: Any = None
    detail: Any = None


_Document = TypeVar("_Document", _Chat, _Generated)

_chat = msgspec.json.Decoder(_Chat)
_generated = msgspec.json.Decoder(_Generated)


def kept(text: str) -> str:
    """What a run folder keeps of an answer: its first 64 KiB in UTF-8."""
    return text.encode()[:_KEPT_BYTES].decode(errors="ignore")  # the last character may be cut in two


def reader_for(endpoint: str, *, stream: bool, adds_text: bool = False) -> AnswerReader:
    """The reader for an endpoint: /generate speaks SGLang's own form, everything else OpenAI's chat form. adds_text:
    each event of /generate adds to the text, instead of repeating it from the start."""
    if not endpoint.rstrip("/").endswith("/generate"):
        say: _Say = _say_chat
    else:
        say = _say_more if adds_text else _say_again
    return StreamReader(say) if stream else WholeReader(say)


class _Say(Protocol):
    def __call__(self, answer: Answer, payload: bytes) -> bool:
        """Add what one JSON document says; True if it brought content. Raises BadAnswer."""


class WholeReader:
    """One JSON document."""

    content_type = "application/json"

    def __init__(self, say: _Say) -> None:
        self.answer = Answer()
        self.ended = False
        self._say = say
        self._body: list[bytes] = []

    def feed(self, chunk: bytes, now_ns: int) -> None:  # noqa: ARG002 (a whole answer has no token times)
        self._body.append(chunk)

    def finish(self) -> None:
        if not self._say(self.answer, b"".join(self._body)):
            raise BadAnswer("wrong_output", "the answer has no token")


class StreamReader:
    """Server-sent events, one JSON document each, ended by `[DONE]`."""

    content_type = "text/event-stream"

    def __init__(self, say: _Say) -> None:
        self.answer = Answer()
        self._say = say
        self.ended = False
        self._events = SseParser()

    def feed(self, chunk: bytes, now_ns: int) -> None:
        for event in self._events.feed(chunk):
            if isinstance(event, ErrorEvent):
                raise BadAnswer("http_error", f"an error inside the answer: {event[:300].decode('utf-8', 'replace')}")
            if event == b"[DONE]":
                self.ended = True
            elif self.ended:
                raise BadAnswer("malformed", "an event after [DONE]")
            elif self._say(self.answer, event):
                self.answer.token_ns.append(now_ns)

    def finish(self) -> None:
        if not self.ended:
            raise BadAnswer("truncated", "the stream ended without [DONE]")
        if not self.answer.text:
            raise BadAnswer("wrong_output", "the answer has no token")


def _say_chat(answer: Answer, payload: bytes) -> bool:
    document = _read(_chat, payload)
    if document.usage is not None:
        answer.prompt_tokens = document.usage.prompt_tokens
        answer.completion_tokens = document.usage.completion_tokens
        details = document.usage.prompt_tokens_details
        answer.cached_tokens = details.cached_tokens if details else None
    brought = False
    for choice in document.choices:
        if choice.finish_reason == "abort":
            raise BadAnswer("http_error", "the server aborted the request")
        message = choice.delta or choice.message
        if message is not None and (content := message.content or message.reasoning_content):
            answer.text.append(content)
            brought = True
        if message is not None and message.tool_calls:
            answer.text += [bytes(call).decode() for call in message.tool_calls]
            brought = True
    return brought


def _say_again(answer: Answer, payload: bytes) -> bool:
    """SGLang repeats the whole text in each event. A server that does not is believed to add to it."""
    text = _take_generated(answer, payload)
    before = "".join(answer.text)
    added = text.removeprefix(before)
    if added:
        answer.text = [before, added]
    return bool(added)


def _say_more(answer: Answer, payload: bytes) -> bool:
    """SGLang that was started with --stream-output."""
    text = _take_generated(answer, payload)
    if text:
        answer.text.append(text)
    return bool(text)


def _take_generated(answer: Answer, payload: bytes) -> str:
    """The text of one document, once everything else that it says is noted."""
    document = _read(_generated, payload)
    if (meta := document.meta_info) is not None:
        answer.prompt_tokens = meta.prompt_tokens
        answer.completion_tokens = meta.completion_tokens
        answer.cached_tokens = meta.cached_tokens
        if isinstance(meta.finish_reason, dict) and meta.finish_reason.get("type") == "abort":
            raise BadAnswer("http_error", f"the server aborted the request: {_brief(meta.finish_reason)}")
    return document.text


def _read(decoder: msgspec.json.Decoder[_Document], payload: bytes) -> _Document:
    """A document that is no error. Raises BadAnswer."""
    try:
        document = decoder.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadAnswer("malformed", f"not the JSON expected ({error}): {payload[:80]!r}") from None
    said = document.error if document.error is not None else document.detail
    if said is None and document.object == "error":
        said = document.message
    if said is not None:
        raise BadAnswer("http_error", f"an error inside the answer: {_brief(said)}")
    return document


def _brief(error: object) -> str:
    if isinstance(error, dict) and "message" in error:
        error = error["message"]
    return str(error)[:300]
