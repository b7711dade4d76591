"""A server's own word about itself, over HTTP."""

from __future__ import annotations

import http.client
import json
import socket
from typing import Any

import msgspec

from mmload.errors import ServerError
from mmload.model.plan import Access
from mmload.plan.access import Site


class RankWord(msgspec.Struct, frozen=True):
    """What one rank says of itself: the variant that it really runs."""

    rank: int
    variant: str
    pid: int | None = None


class Announcement(msgspec.Struct, frozen=True):
    """What mmload's own code inside a server announces (`mmload` in /server_info); absent from a stock server."""

    variant: str
    idle_policy: str = "unknown"
    ranks: list[RankWord] = []


class ServerInfo(msgspec.Struct, frozen=True, kw_only=True):
    """flags: the server's own arguments. images, audio: does the model take them; None where the server won't say."""

    engine: str
    version: str | None
    model: str | None
    tp: int | None
    idle_policy: str
    announcement: Announcement | None
    images: bool | None = None
    audio: bool | None = None
    flags: dict[str, Any] = {}


class ServerClient:
    """Asks one server. Every method is bounded by its timeout and raises ServerError when there is no answer."""

    def __init__(self, url: str, access: Access | None = None) -> None:
        self._site = Site(url, access)
        self.url, self.host, self.port = self._site.url, self._site.host, self._site.port

    def is_healthy(self, timeout_s: float) -> bool:
        """True when /health answers 200, which takes SGLang a round trip through its ranks."""
        try:
            return self._site.get("/health", timeout_s).status == 200
        except (OSError, http.client.HTTPException):
            return False

    def info(self, timeout_s: float = 20.0) -> ServerInfo:
        server = self._json("/server_info", timeout_s) or self._json("/get_server_info", timeout_s)
        model = self._json("/model_info", timeout_s) or self._json("/get_model_info", timeout_s)
        if not server and not model and not self._json("/v1/models", timeout_s):
            raise ServerError(f"{self.url} answers, but not as an SGLang server does", "is it the right port?")
        return _server_info(server or {}, model or {})

    def _json(self, path: str, timeout_s: float) -> dict[str, Any] | None:
        try:
            answer = self._site.get(path, timeout_s)
        except (ConnectionRefusedError, socket.gaierror) as error:
            raise ServerError(f"nobody answers at {self.url}", "start a server first: mmload serve") from error
        except (OSError, http.client.HTTPException) as error:
            raise ServerError(f"{self.url}{path} gave no answer: {error or type(error).__name__}") from error
        if answer.status in (401, 403):
            raise ServerError(f"{self.url} answers {answer.status}: it wants a token", "put it into $MMLOAD_TOKEN")
        if answer.status != 200:
            return None
        try:
            document = json.loads(answer.body)
        except ValueError:
            return None
        return document if isinstance(document, dict) else None


def _server_info(server: dict[str, Any], model: dict[str, Any]) -> ServerInfo:
    said = server.get("mmload")
    announcement = msgspec.convert(said, Announcement) if isinstance(said, dict) else None
    if announcement is not None:
        idle_policy = announcement.idle_policy
    elif "sleep_on_idle" in server:
        idle_policy = "sleep" if server["sleep_on_idle"] else "poll"
    else:
        idle_policy = "unknown"
    hidden = ("mmload", "internal_states")
    return ServerInfo(
        engine=str(server.get("engine", "sglang")),
        version=server.get("version"),
        model=server.get("model_path") or model.get("model_path"),
        tp=server.get("tp_size"),
        idle_policy=idle_policy,
        announcement=announcement,
        images=model.get("has_image_understanding"),
        audio=model.get("has_audio_understanding"),
        flags={key: value for key, value in server.items() if key not in hidden},
    )
