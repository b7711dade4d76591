"""Errors of configuration files in a TOML writer's words, and the names that would have been right."""

from __future__ import annotations

import difflib
import re
from typing import TypeVar

import msgspec
from msgspec.inspect import LiteralType, StructType, Type, type_info

Part = TypeVar("Part", bound=Type)

_PLACE = re.compile(r" - at `(?:key in )?\$\.?(.*)`$")
_STEP = re.compile(r"\.?([^.\[\]]+)|\[([^\]]*)\]")


def nearest(word: str, known: list[str]) -> str:
    """A hint: the names most like `word`, else all of them."""
    close = difflib.get_close_matches(word, known, n=3, cutoff=0.5)
    if close:
        return f"did you mean {' or '.join(close)}?"
    return f"there are: {', '.join(known)}" if known else "there are none"


def in_toml_words(message: str) -> str:
    """msgspec's message in the words of a TOML file, without the place that it names."""
    message = re.sub(r"^Object contains unknown field `(.*?)`", r"unknown key `\1`", message)
    message = re.sub(r"^Object missing required field `(.*?)`", r"missing key `\1`", message)
    message = message.replace("`object`", "`table`").replace("`str`", "`string`").replace("`bool`", "`boolean`")
    return _PLACE.sub("", message)


def at(path: str, line: int | None) -> str:
    """Where in a file: ` (in `run.rate`, line 7)`, as far as it is known."""
    parts = [f"in `{path}`" if path else "", f"line {line}" if line else ""]
    known = ", ".join(part for part in parts if part)
    return f" ({known})" if known else ""


def steps_of(message: str) -> list[str | int]:
    """The keys that lead to what msgspec's message is about, as far as they are known: criteria, 1, check."""
    place = _PLACE.search(message)
    steps: list[str | int] = []
    for key, index in _STEP.findall(place[1]) if place else ():
        if not key and not index.isdigit():
            break
        steps.append(key or int(index))
    return steps


def unknown_key(message: str) -> str | None:
    """The key that msgspec's message says is unknown."""
    unknown = re.fullmatch(r"Object contains unknown field `(.*)`", _PLACE.sub("", message))
    return unknown[1] if unknown else None


def hint(message: str, type_: type[msgspec.Struct]) -> str:
    """The names that would have been right, as far as the message tells which."""
    unknown = unknown_key(message)
    if unknown is not None:
        table = re.search(r" - at `\$\.([^`\[]*)", message)
        return nearest(unknown, sorted(_keys(type_, table[1] if table else None)))
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
