"""configs/: TOML, one file a thing, its name the file's name. Errors name the file, the key and what was expected."""

from __future__ import annotations

import difflib
import re
import tomllib
from pathlib import Path
from typing import Literal, TypeVar

import msgspec
from msgspec.inspect import LiteralType, StructType, Type, type_info

from mmload.errors import ConfigError, UsageError

Kind = Literal["variants", "workloads", "gates", "engines", "phases"]
Config = TypeVar("Config", bound=msgspec.Struct)
Part = TypeVar("Part", bound=Type)

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
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from error
    return convert(document, type_, str(path))


def convert(document: object, type_: type[Config], where: str) -> Config:
    """A plain document checked against its struct; `where` (a file's name) opens the message of the ConfigError."""
    try:
        return msgspec.convert(document, type_)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{where}: {_in_toml_words(str(error))}", _hint(str(error), type_)) from error


def nearest(word: str, known: list[str]) -> str:
    """A hint: the names most like `word`, else all of them."""
    close = difflib.get_close_matches(word, known, n=3, cutoff=0.5)
    if close:
        return f"did you mean {' or '.join(close)}?"
    return f"there are: {', '.join(known)}" if known else "there are none"


def _in_toml_words(message: str) -> str:
    """msgspec's message in the words of a TOML file."""
    message = re.sub(r"^Object contains unknown field `(.*?)`", r"unknown key `\1`", message)
    message = re.sub(r"^Object missing required field `(.*?)`", r"missing key `\1`", message)
    message = message.replace("`object`", "`table`").replace("`str`", "`string`").replace("`bool`", "`boolean`")
    return re.sub(r" - at `\$\.?(.*?)`$", r" (in `\1`)", message)


def _hint(message: str, type_: type[msgspec.Struct]) -> str:
    """The names that would have been right, as far as the message tells which."""
    unknown = re.match(r"Object contains unknown field `([^`]*)`", message)
    if unknown:
        at = re.search(r" - at `\$\.([^`\[]*)", message)
        return nearest(unknown[1], sorted(_keys(type_, at[1] if at else None)))
    invalid = re.match(r"Invalid (?:enum )?value '([^']*)' - at `.*?\.([^.`\[]*)`", message)
    return nearest(invalid[1], sorted(_choices(type_, invalid[2]))) if invalid else ""


def _keys(type_: object, below: str | None) -> set[str]:
    """The keys of a table; below: the key of the outermost table that it stands in, None for that one itself."""
    found: set[str] = set()
    for struct in _structs(type_):
        for field in struct.fields:
            if below is None and struct.cls is type_:
                found.add(field.encode_name)
            elif below == field.encode_name:
                found |= {key.encode_name for inner in _structs(field.type) for key in inner.fields}
                found |= {inner.tag_field for inner in _structs(field.type) if inner.tag_field}
    return found


def _choices(type_: object, key: str) -> set[str]:
    """The values that a key may take, where they are words."""
    found: set[str] = set()
    for struct in _structs(type_):
        if struct.tag_field == key:
            found.add(str(struct.tag))
        for field in struct.fields:
            if field.encode_name == key:
                found |= {str(value) for literal in _parts(field.type, LiteralType) for value in literal.values}
    return found


def _structs(type_: object) -> list[StructType]:
    return _parts(type_ if isinstance(type_, Type) else type_info(type_), StructType)


def _parts(type_: Type, kind: type[Part]) -> list[Part]:
    """Every part of that kind in a described type, itself included, outermost first."""
    found, seen, todo = [], set(), [type_]
    while todo:
        part = todo.pop(0)
        if isinstance(part, StructType):
            if part.cls in seen:
                continue
            seen.add(part.cls)
            todo += [field.type for field in part.fields]
        if isinstance(part, kind):
            found.append(part)
        todo += [inner for name in ("types", "item_types") for inner in getattr(part, name, ())]
        todo += [getattr(part, name) for name in ("type", "item_type", "value_type") if hasattr(part, name)]
    return found


def _singular(kind: Kind) -> str:
    return kind.removesuffix("s")
