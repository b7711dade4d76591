"""The user's own requests: a JSONL file, one request a line.

    {"text": "What is this?", "images": ["cat.jpg"], "max_tokens": 64}
    {"text": "Describe it.", "videos": ["data:video/mp4;base64,AAAA"], "expected": "A cat."}
    {"body": {"model": "default", "messages": [], "temperature": 0}}

Media are paths beside the file or data: URIs. A `body` is sent as it is. `expected` is the text that the answer must
have. A line may carry the time at which a trace wants it sent (arrivals_trace).
"""

from __future__ import annotations

import codecs
from pathlib import Path
from typing import Annotated, Any

import msgspec

from mmload.errors import ConfigError
from mmload.model.plan import Modality
from mmload.plan.config_hints import hint
from mmload.plan.payloads_body import Ask, data_uri, mime_of

_PART_KINDS = {"image_url": "image", "video_url": "video", "audio_url": "audio"}  # chat completions
_DATA_KINDS = {"image_data": "image", "video_data": "video", "audio_data": "audio"}  # /generate


class Given(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One line of the file. The times are for whoever replays it as a trace."""

    text: str = ""
    images: tuple[str, ...] = ()
    videos: tuple[str, ...] = ()
    audios: tuple[str, ...] = ()
    max_tokens: Annotated[int, msgspec.Meta(ge=1)] = 128
    expected: str | None = None
    body: msgspec.Raw = msgspec.Raw()
    t_s: float | None = None
    timestamp_ms: float | None = None
    timestamp: float | str | None = None

    def __post_init__(self) -> None:
        parts = bool(self.text or self.images or self.videos or self.audios)
        if self.raw_body is None and not parts:
            raise ValueError("expected `text`, `images`, `videos`, `audios` or `body`")
        if self.raw_body is not None and parts:
            raise ValueError("expected `body` alone: it is sent as it is")

    @property
    def raw_body(self) -> bytes | None:
        """The bytes of `body` as they stand in the file; None for a line without."""
        return bytes(self.body) or None

    @property
    def asks_for_stream(self) -> bool:
        """What a `body` says itself; both endpoints answer in one piece unless asked."""
        return self.raw_body is not None and bool(msgspec.json.decode(self.raw_body).get("stream"))

    @property
    def modality(self) -> Modality:
        if self.raw_body is not None:
            return _modality_of_body(msgspec.json.decode(self.raw_body))
        return _modality(["image"] * len(self.images) + ["video"] * len(self.videos) + ["audio"] * len(self.audios))


def read_given(path: Path) -> list[Given]:
    """The requests of a file, every medium in it checked to be there.

    Raises ConfigError naming the file, the line and what was expected.
    """
    decoder = msgspec.json.Decoder(Given)
    given: list[Given] = []
    try:
        with path.open("rb") as file:
            for number, line in enumerate(file, 1):
                if line.strip():
                    given.append(_checked(line, decoder, path.parent, f"{path} line {number}"))
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
    if not given:
        raise ConfigError(f"{path} has no requests", "expected one JSON object a line")
    return given


def ask_of(given: Given, base: Path) -> Ask:
    """The request of a line without `body`; its paths lie in `base`. Raises ConfigError for a file gone meanwhile."""
    images, videos, audios = (
        tuple(_uri(medium, base) for medium in media) for media in (given.images, given.videos, given.audios)
    )
    return Ask(given.modality, given.text, given.max_tokens, images, videos, audios)


def _uri(medium: str, base: Path) -> str:
    if medium.startswith("data:"):
        return medium
    path = base / medium
    try:
        return data_uri(path.read_bytes(), mime_of(path) or "application/octet-stream")
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error


def _checked(line: bytes, decoder: msgspec.json.Decoder[Given], base: Path, where: str) -> Given:
    try:
        given = decoder.decode(line.removeprefix(codecs.BOM_UTF8))
        if given.raw_body is not None and not isinstance(msgspec.json.decode(given.raw_body), dict):
            raise ConfigError(f"{where}: expected an object in `body`")
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{where}: {error}", hint(str(error), Given)) from error
    for medium in (*given.images, *given.videos, *given.audios):
        if not medium.startswith("data:"):
            path = base / medium
            if "://" in medium:
                raise ConfigError(f"{where}: {medium} is not fetched", "expected a path or a data: URI")
            if not path.is_file():
                raise ConfigError(f"{where}: there is no file {path}")
            if mime_of(path) is None:
                raise ConfigError(f"{where}: {path.name} does not tell what it is", "it needs an ending such as .jpg")
    return given


def _modality_of_body(body: dict[str, Any]) -> Modality:
    kinds: list[str] = []
    for key, kind in _DATA_KINDS.items():
        value = body.get(key)
        kinds += [kind] * (len(value) if isinstance(value, list) else value is not None)
    messages = body.get("messages")
    for message in messages if isinstance(messages, list) else []:
        content = message.get("content") if isinstance(message, dict) else None
        parts = content if isinstance(content, list) else []
        named = [part.get("type") for part in parts if isinstance(part, dict)]
        kinds += [_PART_KINDS[name] for name in named if isinstance(name, str) and name in _PART_KINDS]
    return _modality(kinds)


def _modality(kinds: list[str]) -> Modality:
    match sorted(set(kinds)):
        case []:
            return "text"
        case ["image"]:
            return "image" if len(kinds) == 1 else "images"
        case ["video"]:
            return "video"
        case ["audio"]:
            return "audio"
        case _:
            return "mixed"
