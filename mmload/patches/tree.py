"""Somebody's SGLang: where it is, which version, and its files while they are edited."""

from __future__ import annotations

import re
from pathlib import Path

from mmload.errors import UsageError
from mmload.patches.diff import git_diff
from mmload.patches.source import Source

_FORMS = "a checkout, its python folder, a site-packages folder, an unpacked wheel, or the package sglang itself"
_VERSION = re.compile(r"""^__version__ = (?:version = )?["']([^"']+)["']""", re.MULTILINE)


class Tree:
    """The package `sglang` in a folder, read as it is needed and never written. Names are relative to it:
    `srt/managers/scheduler.py`."""

    def __init__(self, folder: Path) -> None:
        """Raises UsageError where there is no SGLang."""
        self.folder = folder
        self.package = _package_in(folder)
        self.root = _root_of(self.package)
        self.version = _version_of(self.package)
        self._sources: dict[str, Source] = {}
        self._added: dict[str, str] = {}

    def source(self, name: str) -> Source:
        """A file as it stands with the edits made so far. Raises UsageError where there is none."""
        if name not in self._sources:
            self._sources[name] = Source(name, self._read(name))
        return self._sources[name]

    def has(self, name: str) -> bool:
        return (self.package / name).is_file()

    def add(self, name: str, text: str) -> None:
        """A new file."""
        self._added[name] = text

    def mentions(self, pattern: str, files: str) -> bool:
        """Whether one of the files that match a glob has this regular expression."""
        found = re.compile(pattern)
        return any(found.search(path.read_text(encoding="utf-8")) for path in self.package.glob(files))

    def diff(self) -> str:
        """All edits, in git's form, with paths relative to `root`; empty where there are none."""
        prefix = self.package.relative_to(self.root).as_posix()
        edited = {name: git_diff(f"{prefix}/{name}", it.original, it.text) for name, it in self._sources.items()}
        added = {name: git_diff(f"{prefix}/{name}", None, text) for name, text in self._added.items()}
        return "".join(text for _, text in sorted((edited | added).items()))

    def _read(self, name: str) -> str:
        try:
            return (self.package / name).read_bytes().decode("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"cannot read {self.package / name}: {error}") from error


def _package_in(folder: Path) -> Path:
    here = folder.resolve()
    for candidate in (here / "python" / "sglang", here / "sglang", here):
        if candidate.name == "sglang" and (candidate / "srt").is_dir():
            return candidate
    raise UsageError(f"there is no SGLang in {folder}", f"--sglang takes {_FORMS}")


def _root_of(package: Path) -> Path:
    """Where `git apply` is to be run. Inside a repository that is its top: git takes the paths of a diff from there,
    and passes over those that lie elsewhere without a word."""
    for folder in package.parents:
        if (folder / ".git").exists():
            return folder
    above = package.parent
    return above.parent if above.name == "python" else above


def _version_of(package: Path) -> str:
    for name in ("_version.py", "version.py"):
        path = package / name
        found = _VERSION.search(path.read_text(encoding="utf-8")) if path.is_file() else None
        if found:
            return found[1]
    return "of an unknown version"
