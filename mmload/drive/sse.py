"""Server-sent events, parsed as the HTML standard says (section 9.2.6, "Interpreting an event stream")."""

from __future__ import annotations

_BOM = b"\xef\xbb\xbf"


class ErrorEvent(bytes):
    """The data of an event that is named `error`."""

    __slots__ = ()


class SseParser:
    """Feed it bytes cut anywhere; it gives back the data of each event that they complete.

    Lines end in LF, CRLF or CR; comments and fields other than `data` and `event: error` are skipped (an answer's
    events carry nothing in them); several data lines are joined by LF; an event without data is none.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[bytes] = []
        self._is_error = False
        self._skip_line_feed = False
        self._at_start = True

    def feed(self, chunk: bytes) -> list[bytes]:
        if self._at_start:
            chunk = self._without_bom(chunk)
        if self._skip_line_feed and chunk:
            chunk = chunk.removeprefix(b"\n")
            self._skip_line_feed = False
        if not chunk:
            return []
        self._skip_line_feed = chunk.endswith(b"\r")
        lines = (self._rest + chunk).splitlines(keepends=True)
        self._rest = b"" if lines[-1].endswith((b"\n", b"\r")) else lines.pop()
        events = []
        for line in lines:
            content = line.rstrip(b"\r\n")
            if content:
                self._take(content)
            elif self._data or self._is_error:
                data = b"\n".join(self._data)
                events.append(ErrorEvent(data) if self._is_error else data)
                self._data = []
                self._is_error = False
        return events

    def _take(self, line: bytes) -> None:
        if line.startswith(b"data:"):
            self._data.append(line[6:] if line[5:6] == b" " else line[5:])
        elif line == b"data":
            self._data.append(b"")
        elif line.startswith(b"event:"):
            self._is_error = line[6:].strip() == b"error"

    def _without_bom(self, chunk: bytes) -> bytes:
        chunk = self._rest + chunk
        self._rest = b""
        if len(chunk) < len(_BOM) and _BOM.startswith(chunk):
            self._rest = chunk
            return b""
        self._at_start = False
        return chunk.removeprefix(_BOM)
