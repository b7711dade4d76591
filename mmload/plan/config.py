"""configs/: TOML, one file a thing, its name the file's name. Errors name the file, the key and what was expected."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, TypeVar

import msgspec

from mmload.errors import ConfigError, UsageError
from mmload.plan.config_hints import at, hint, in_toml_words, nearest, steps_of, unknown_key
from mmload.plan.config_lines import line_of

Kind = Literal["variants", "workloads", "gates", "engines", "phases", "claims"]
Config = TypeVar("Config", bound=msgspec.Struct)

_PACKAGE = Path(__file__).resolve().parent.parent
_PACKAGED = (_PACKAGE / "configs", _PACKAGE.parent / "configs")  # in the wheel; in a checkout


def search_path() -> list[Path]:
    """The folders searched for configuration, the first match wins: ./configs, then the packaged copy."""
    return [Path("configs"), *(folder for folder in _PACKAGED if folder.is_dir())]


def names(kind: Kind) -> list[str]:
    """The names of all things of a kind, sorted."""
    return sorted({file.stem for folder in search_path() for file in (folder / kind).glob("*.toml")})


def find(kind: Kind, name_or_file: str) -> Path:
    """The file of a named thing, or the file itself if a path to one was given; raises UsageError with the nearest
    names otherwise."""
    if name_or_file.endswith(".toml") or "/" in name_or_file:
        path = Path(name_or_file)
        if path.is_file():
            return path
        raise UsageError(f"no {_singular(kind)} file {name_or_file}", f"named ones: {', '.join(names(kind))}")
    for folder in search_path():
        path = folder / kind / f"{name_or_file}.toml"
        if path.is_file():
            return path
    raise UsageError(f"unknown {_singular(kind)} {name_or_file!r}", nearest(name_or_file, names(kind)))


def load(kind: Kind, name_or_file: str, type_: type[Config]) -> Config:
    """The named thing, checked against its struct; raises UsageError (not there) or ConfigError (wrong)."""
    return load_file(find(kind, name_or_file), type_)


def load_file(path: Path, type_: type[Config]) -> Config:
    return load_text(read_text(path), type_, str(path))


def read_text(path: Path) -> str:
    """Raises ConfigError where the file can't be read, or is not text."""
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from error


def load_text(text: str, type_: type[Config], where: str) -> Config:
    """The content of a file that is called `where`, checked; the ConfigError names the line."""
    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # tomllib's own error is a ValueError; others come of huge numbers
        raise ConfigError(f"{where} is not valid TOML: {error}") from error
    return convert(document, type_, where, text)


def convert(document: object, type_: type[Config], where: str, text: str = "", within: tuple[str, ...] = ()) -> Config:
    """A plain document checked against its struct; `where` (a file's name) opens the message of the ConfigError. text:
    of the file, to find the line in; within: the keys that lead to the document in it."""
    try:
        return msgspec.convert(document, type_)
    except msgspec.ValidationError as error:
        message = str(error)
        steps = [*within, *steps_of(message)]
        unknown = unknown_key(message)
        line = line_of(text, steps if unknown is None else [*steps, unknown])
        place = at(_dotted(steps), line)
        raise ConfigError(f"{where}: {in_toml_words(message)}{place}", hint(message, type_)) from error


def _dotted(steps: Sequence[str | int]) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps).removeprefix(".")


def _singular(kind: Kind) -> str:
    return kind.removesuffix("s")
