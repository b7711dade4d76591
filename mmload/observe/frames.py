"""From py-spy's frames to those of a run folder: `function (file:line)`, the file from its outermost package on.

py-spy's own short names begin below the last folder without an __init__.py, of which SGLang has several: its
sglang/srt/managers/scheduler.py would be scheduler.py.
"""

from __future__ import annotations

import re
from pathlib import Path

_BETWEEN_FRAMES = re.compile(r"(?<=\));")  # a lone `;` belongs to a name: C++ has them in template arguments
_FRAME = re.compile(r"^(?P<function>.*) \((?P<file>[^()]*?)(?::(?P<line>\d+))?\)$")
_INSTALLED = ("site-packages", "dist-packages")
_BREAKING = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")  # control characters and what ends a line


class FrameNamer:
    """Renames the frames of one process and keeps the source lines that they name.

    `source`: 'file:line', as in the frame, -> the line's text without indentation, where the file can be read.
    """

    def __init__(self, pid: int) -> None:
        self.source: dict[str, str] = {}
        self._root, self._cwd = _view(pid)
        self._names: dict[str, str] = {}
        self._files: dict[str, tuple[str, list[str]]] = {}

    def rename(self, stack: str) -> str:
        """A stack of py-spy's raw format, the root first, without its count. A frame without a line gets line 0."""
        return ";".join(self._rename_frame(frame) for frame in _BETWEEN_FRAMES.split(stack))

    def _rename_frame(self, raw: str) -> str:
        if raw not in self._names:
            clean = _BREAKING.sub("?", raw)
            frame = _FRAME.match(clean)
            function, path, line = (
                (frame["function"], frame["file"], int(frame["line"] or 0)) if frame else (clean, "", 0)
            )
            short, text = self._file(path)
            place = f"{short}:{line}".replace(";", ":")
            if 0 < line <= len(text):
                self.source[place] = text[line - 1].strip()
            self._names[raw] = f"{function.replace(';', ':')} ({place})"
        return self._names[raw]

    def _file(self, path: str) -> tuple[str, list[str]]:
        """The short name of a file, and its lines (none if it can't be read: frozen, generated, a library)."""
        if path not in self._files:
            file = self._root / (self._cwd / path).relative_to("/")
            python = file.suffix == ".py"
            self._files[path] = (_short(file) if python else Path(path).name, _lines(file) if python else [])
        return self._files[path]


def _view(pid: int) -> tuple[Path, Path]:
    """The root folder of a process's own view of the disk (a container has another) and its current folder in it."""
    root = Path(f"/proc/{pid}/root")
    try:
        cwd = Path(f"/proc/{pid}/cwd").readlink()
        return (Path("/") if root.samefile("/") else root), cwd
    except OSError:  # gone, or not ours to look into
        return Path("/"), Path("/")


def _short(file: Path) -> str:
    """From the outermost package that holds the file, else the file's name alone."""
    top = file
    for folder in file.parents:
        if folder.name in _INSTALLED:
            break
        if (folder / "__init__.py").exists():
            top = folder
    return file.relative_to(top.parent).as_posix()


def _lines(file: Path) -> list[str]:
    try:
        return file.read_text(encoding="utf-8", errors="replace").split("\n")  # Python counts no form feeds
    except OSError:
        return []
