"""Arrivals recorded elsewhere: a JSONL or CSV file with the time of each request and, if wanted, its item.

A time is `t_s` (seconds), `timestamp_ms` (milliseconds) or `timestamp` (seconds, or a date and time in ISO 8601); only
differences count. An item is `item`: the number of an item of the workload, counted from 0. Nothing else is used: the
lengths that published traces carry (`input_length`, `ContextTokens`) are the workload's business.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from mmload.errors import ConfigError

_TIME_KEYS = ("t_s", "timestamp_ms", "timestamp")
_KEYS = (*_TIME_KEYS, "item")
_MAX_ITEM = 2**31 - 1


class Trace(NamedTuple):
    """due_offset_ns (int64): from the first request, sorted. item (int32): None where the file names no items. unused:
    the file's keys that say nothing about arrivals. in_seconds: its times were numbers under `timestamp`."""

    due_offset_ns: NDArray[np.int64]
    item: NDArray[np.int32] | None
    unused: tuple[str, ...] = ()
    in_seconds: bool = False

    @property
    def notices(self) -> list[str]:
        """What a reader of published traces should know, a sentence each: not all of them write seconds."""
        if not self.unused:
            return []
        found = [f"columns not used: {', '.join(self.unused)} (the workload decides what is sent)"]
        if self.in_seconds:
            found.append("`timestamp` is read as seconds: name it `timestamp_ms` if it is in milliseconds")
        return found


def read_trace(path: Path) -> Trace:
    """The requests of a trace, sorted by time (equal times keep the file's order).

    Raises ConfigError naming the file and the line for a request without a time, with a time or item that can't be
    read, or with an item where others have none, for a CSV file without a header, and for a file without requests.
    """
    times: list[float] = []
    items: list[int] = []
    unused: dict[str, None] = {}
    in_seconds = False
    for where, row in _rows(path):
        key = _time_key(row, where)
        times.append(_time_s(key, row[key], where))
        in_seconds |= key == "timestamp" and _is_number(row[key])
        unused |= dict.fromkeys(row.keys() - _KEYS)
        if row.get("item") not in (None, ""):
            items.append(_item(row["item"], where))
        if items and len(items) != len(times):
            raise ConfigError(f"{where}: some requests name an `item` and some don't", "name one in each line, or none")
    if not times:
        raise ConfigError(f"{path} has no requests")
    due_s = np.array(times)
    order = np.argsort(due_s, kind="stable")
    due_ns = np.rint((due_s[order] - due_s[order[0]]) * 1e9).astype(np.int64)
    item = np.array(items, np.int32)[order] if items else None
    return Trace(due_ns, item, tuple(sorted(unused)), in_seconds)


def file_sha256(path: Path) -> str:
    """Hex digest of the file, so that a plan can tell whether its trace is still the same. Raises ConfigError."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error


def _rows(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """'FILE line N' and the keys of that line, in lower case (published traces write TIMESTAMP)."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            if path.suffix.lower() == ".csv":
                yield from _csv_rows(file, path)
                return
            for number, line in enumerate(file, 1):
                if line.strip():
                    where = f"{path} line {number}"
                    yield where, {key.lower(): value for key, value in _json_object(line, where).items()}
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise ConfigError(f"{path} is not a text file of JSON lines or CSV: {error}") from error


def _csv_rows(file: Iterable[str], path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    reader = csv.DictReader(file)
    header = [name.strip().lower() for name in reader.fieldnames or ()]
    if header and not set(header) & set(_TIME_KEYS):
        raise ConfigError(
            f"{path} line 1: expected a header that names the time as one of {', '.join(_TIME_KEYS)}, "
            f"got {','.join(header)!r}",
            "the first line of a CSV file names its columns, 't_s,item' for example",
        )
    reader.fieldnames = header
    for row in reader:
        yield f"{path} line {reader.line_num}", {key: value for key, value in row.items() if key is not None}


def _json_object(line: str, where: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(line, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise ConfigError(f"{where}: expected a JSON object, {error}") from error


def _time_key(row: Mapping[str, Any], where: str) -> str:
    key = next((key for key in _TIME_KEYS if row.get(key) not in (None, "")), None)
    if key is None:
        raise ConfigError(f"{where}: expected a time in one of {', '.join(_TIME_KEYS)}")
    return key


def _is_number(value: Any) -> bool:
    try:
        float(value)
    except (TypeError, ValueError):
        return False
    return True


def _time_s(key: str, value: Any, where: str) -> float:
    try:
        time = float(value)
    except (TypeError, ValueError):
        if key != "timestamp":
            raise ConfigError(f"{where}: `{key}` expected a number, got {value!r}") from None
        time = _iso_time_s(value, where)
    if not np.isfinite(time):
        raise ConfigError(f"{where}: `{key}` expected a finite number, got {value!r}")
    return time / 1e3 if key == "timestamp_ms" else time


def _iso_time_s(text: Any, where: str) -> float:
    try:
        moment = datetime.fromisoformat(str(text))
    except ValueError:
        raise ConfigError(f"{where}: `timestamp` expected seconds or an ISO 8601 time, got {text!r}") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _item(value: Any, where: str) -> int:
    if isinstance(value, (int, str)) and str(value).isdecimal() and int(value) <= _MAX_ITEM:
        return int(value)
    raise ConfigError(f"{where}: `item` expected a whole number from 0, got {value!r}")
