"""What a client asks, whatever the endpoint, and how it is refused."""

from __future__ import annotations

import binascii
from typing import Literal

import msgspec

Modality = Literal["IMAGE", "VIDEO", "AUDIO"]


class Refused(Exception):
    """A request that is not answered, in SGLang's words: status and the fields of its error object."""

    def __init__(self, message: str, status: int = 400, kind: str = "BadRequestError") -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.kind = kind

    def fields(self) -> dict[str, object]:
        return {"object": "error", "message": self.message, "type": self.kind, "param": None, "code": self.status}


class Medium(msgspec.Struct, frozen=True):
    """One image, video or audio as the client sent it: the bytes of its file."""

    modality: Modality
    data: bytes


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """One request. parts: words and media in the order of the prompt. seed: what a sampled answer (temperature above
    0) hangs on where the client gives one."""

    parts: tuple[str | Medium, ...]
    max_new_tokens: int
    model: str = "default"
    temperature: float = 1.0
    seed: int | None = None
    stream: bool = False
    include_usage: bool = False


def decode_media(modality: Modality, source: str) -> Medium:
    """A medium from a data: URI or from bare base64; raises Refused."""
    if source.startswith(("http://", "https://", "file://")):
        raise Refused(f"Unsupported {modality} source: the stand-in reads data: URIs only")
    encoded = source
    if source.startswith("data:"):
        header, comma, encoded = source.partition(",")
        if not comma or not header.endswith(";base64"):
            raise Refused(f"Unsupported {modality} data: URI: expected data:<type>;base64,<data>")
    try:
        data = binascii.a2b_base64(encoded, strict_mode=True)
    except (binascii.Error, ValueError) as error:
        raise Refused(f"Error while loading {modality} data: not valid base64: {error}") from error
    if not data:
        raise Refused(f"Error while loading {modality} data: it is empty")
    return Medium(modality, data)


def checked_tokens(asked: int | None, default: int) -> int:
    """How many tokens to answer with; raises Refused below 1."""
    if asked is None:
        return default
    if asked < 1:
        raise Refused(f"max_new_tokens must be at least 1, got {asked}.")
    return asked
