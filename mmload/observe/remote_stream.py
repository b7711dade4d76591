"""The driver's side of a stream of stacks: a thread that reads it until the agent has ended it."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from contextlib import suppress

import msgspec

from mmload.errors import FolderError, ServerError
from mmload.observe.agent_link import AgentLink, AgentStream
from mmload.observe.agent_protocol import Failed, Line

_MOST_S = 120.0  # from the driver's word to the end of a stream: an agent may say for ever that it is alive


class StreamReader(ABC):
    """Begins a stream at `start`, and ends it in `_end`. _trouble: why there is no more than what came."""

    def __init__(self, link: AgentLink, path: str, request: msgspec.Struct) -> None:
        self._link = link
        self._trouble = "it was stopped before it began"
        self._path = path
        self._body = request
        self._stream: AgentStream | None = None
        self._stopping = False
        self._failed: FolderError | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self._thread = threading.Thread(target=self._run, name=f"remote{self._path}", daemon=True)
        self._thread.start()

    @abstractmethod
    def _take(self, line: Line) -> bool:
        """Whether it is the last. Raises ServerError for one that should not be, FolderError where it can't be kept."""

    def _end(self) -> None:
        """Have the agent bring what there is still. Raises the FolderError that was met."""
        self._stopping = True
        if self._thread:
            if self._stream:
                self._ask_for_end(self._stream)
            self._thread.join(_MOST_S)
            if self._thread.is_alive() and self._stream:
                self._stream.close()
                self._thread.join()
        if self._failed:
            raise self._failed

    def _run(self) -> None:
        try:
            self._stream = self._link.stream(self._path, self._body)
            if self._stopping:
                self._ask_for_end(self._stream)
            self._read(self._stream)
        except ServerError as error:
            self._trouble = str(error)
        except FolderError as error:
            self._failed = error
        finally:
            if self._stream:
                self._stream.close()

    def _read(self, stream: AgentStream) -> None:
        """To its very end: only then does the agent begin another."""
        is_over = False
        for line in stream:
            if isinstance(line, Failed):
                raise self._link.trouble(line.error)
            is_over = self._take(line) or is_over
        if not is_over:
            raise self._link.trouble("its stacks broke off")

    @staticmethod
    def _ask_for_end(stream: AgentStream) -> None:
        with suppress(ServerError):  # then the stream breaks off too, and says it
            stream.end()
