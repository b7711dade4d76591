"""A request body in the words of the server's two endpoints, encoded once."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from mmload.model.plan import Modality
from mmload.plan.workload import Workload

_MIME = {  # the standard library's table differs from one Python and system to another
    ".bmp": "image/bmp",
    ".gif": "image/gif",
    ".jpeg": "image/jpeg",
    ".jpg": "image/jpeg",
    ".png": "image/png",
    ".webp": "image/webp",
    ".avi": "video/x-msvideo",
    ".mkv": "video/x-matroska",
    ".mov": "video/quicktime",
    ".mp4": "video/mp4",
    ".webm": "video/webm",
    ".flac": "audio/flac",
    ".m4a": "audio/mp4",
    ".mp3": "audio/mpeg",
    ".ogg": "audio/ogg",
    ".wav": "audio/wav",
}


class Ask(NamedTuple):
    """What a request asks, whatever the endpoint. images, videos, audios: data: URIs."""

    modality: Modality
    text: str
    max_tokens: int
    images: tuple[str, ...] = ()
    videos: tuple[str, ...] = ()
    audios: tuple[str, ...] = ()


def encode(ask: Ask, workload: Workload, model: str, extra: Mapping[str, object]) -> bytes:
    """The JSON body for the workload's endpoint, at temperature 0. extra: fields that are added or take the place of
    one of the same name."""
    make = _generate if workload.endpoint == "/generate" else _chat
    return msgspec.json.encode({**make(ask, workload, model), **extra})


def mime_of(path: Path) -> str | None:
    """The media type that a file's ending names; None for one that is no image, video or sound known here."""
    return _MIME.get(path.suffix.lower())


def data_uri(content: bytes, mime: str) -> str:
    return f"data:{mime};base64,{base64.b64encode(content).decode('ascii')}"


def _chat(ask: Ask, workload: Workload, model: str) -> dict[str, Any]:
    kinds = (("image_url", ask.images), ("video_url", ask.videos), ("audio_url", ask.audios))
    parts: list[dict[str, Any]] = [{"type": kind, kind: {"url": uri}} for kind, uris in kinds for uri in uris]
    words = [{"type": "text", "text": ask.text}] if ask.text else []
    content = [*parts, *words] if parts else ask.text
    body: dict[str, Any] = {
        "model": model,
        "messages": [{"role": "user", "content": content}],
        "temperature": 0,
        "max_tokens": ask.max_tokens,
        "stream": workload.stream,
    }
    if workload.stream:
        body["stream_options"] = {"include_usage": True}
    if workload.ignore_eos:
        body["ignore_eos"] = True
    return body


def _generate(ask: Ask, workload: Workload, _model: str) -> dict[str, Any]:
    media = {"image_data": ask.images, "video_data": ask.videos, "audio_data": ask.audios}
    tokens = workload.media_token * sum(len(uris) for uris in media.values())
    sampling: dict[str, Any] = {"temperature": 0, "max_new_tokens": ask.max_tokens}
    if workload.ignore_eos:
        sampling["ignore_eos"] = True
    present = {key: uris for key, uris in media.items() if uris}
    return {"text": tokens + ask.text, **present, "sampling_params": sampling, "stream": workload.stream}
