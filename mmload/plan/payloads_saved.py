"""A few requests of a workload as files that a person can look at."""

from __future__ import annotations

import base64
import binascii
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from mmload.errors import FolderError
from mmload.model.plan import Modality, OpenLoop, Plan
from mmload.plan.arrivals import PoolSize
from mmload.plan.payloads import prepare
from mmload.plan.pool import PoolReader
from mmload.plan.workload import Workload


class Sampled(NamedTuple):
    """One request as it would be sent. media: (MIME type, content), in the order of the body."""

    item: str
    modality: Modality
    body: bytes
    media: list[tuple[str, bytes]]


def sample(name: str, workload: Workload, count: int, seed: int = 0) -> list[Sampled]:
    """The first `count` load items of a run of this workload and seed. Raises ConfigError."""
    plan = Plan(
        variant=None,
        workload_name=name,
        workload=msgspec.to_builtins(workload),
        load=OpenLoop(rate_rps=workload.rate_rps),
        identity_items=0,
        seed=seed,
    )
    with tempfile.TemporaryDirectory(prefix="mmload-") as scratch:
        pool = prepare(plan, PoolSize(count, count), Path(scratch))
        reader = PoolReader(pool.folder)
        return [_sampled(reader, reader.slot(number)) for number in range(pool.load)]


def save(samples: list[Sampled], folder: Path) -> list[Path]:
    """Every medium as a file of its own, and the first body as indented JSON. Raises FolderError."""
    files = [(f"{first.item}.body.json", msgspec.json.format(first.body, indent=2)) for first in samples[:1]]
    for one in samples:
        for number, (mime, content) in enumerate(one.media):
            files.append((f"{one.item}-{number}.{mime.partition('/')[2] or 'bin'}", content))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for file, content in files:
            (folder / file).write_bytes(content)
    except OSError as error:
        raise FolderError(f"cannot write {folder}: {error.strerror}", "give a writable folder: --save DIR") from error
    return [folder / file for file, _ in files]


def _sampled(reader: PoolReader, slot: int) -> Sampled:
    body = bytes(reader.body(slot))
    return Sampled(reader.item_id(slot), reader.modality(slot), body, list(_media(msgspec.json.decode(body))))


def _media(document: Any) -> Iterator[tuple[str, bytes]]:
    """Every data: URI in a JSON document, decoded."""
    if isinstance(document, dict | list):
        for value in document.values() if isinstance(document, dict) else document:
            yield from _media(value)
    elif isinstance(document, str) and document.startswith("data:"):
        head, _, encoded = document.partition(",")
        try:
            yield head.removeprefix("data:").partition(";")[0], base64.b64decode(encoded, validate=True)
        except binascii.Error:  # a text that only looks like one
            return
