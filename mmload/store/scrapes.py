"""Scrapes in server.jsonl. The names of a page are 30 times as long as its values (0.5.23 at TP 2: 668 metrics, 120 kB
and 4 kB) and seldom change, so they are written once a minute and when they change, and shared by the lines between."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from mmload.errors import FolderError
from mmload.model.records import ScrapeLine, ServerScrape
from mmload.store.append import LineWriter

_NAMES_EVERY_NS = 60_000_000_000


class ScrapeWriter:
    """Appends scrapes to server.jsonl, and hands each over at once. Raises FolderError as LineWriter does."""

    def __init__(self, path: Path) -> None:
        self._lines = LineWriter(path)
        self._names: tuple[str, ...] = ()
        self._names_ns = 0

    def write(self, scrape: ServerScrape) -> None:
        """Here a value may be not finite, too."""
        names = tuple(scrape.metrics)
        known = names == self._names and scrape.t_ns - self._names_ns < _NAMES_EVERY_NS
        if known and scrape.error is None:
            values: list[float | None] = list(scrape.metrics.values())
            line = ScrapeLine(t_ns=scrape.t_ns, took_ns=scrape.took_ns, names_ns=self._names_ns, values=values)
            self._lines.write(line)
        else:
            self._lines.write(scrape)
            if scrape.error is None:
                self._names, self._names_ns = names, scrape.t_ns
        self._lines.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._lines.close()


def whole_scrapes(read: Callable[[], Iterable[ScrapeLine]]) -> Iterator[ServerScrape]:
    """The scrapes that lines stand for, in the order of the lines, whatever that is. read: the lines, each time anew.
    Raises FolderError where a line's names are not among them."""
    names: dict[int, tuple[str, ...]] = {}
    for line in read():
        if line.names_ns is None:
            names[line.t_ns] = tuple(line.metrics)
            metrics = line.metrics
        else:
            if line.names_ns not in names:  # the lines are not in the order of their times
                names |= {other.t_ns: tuple(other.metrics) for other in read() if other.names_ns is None}
            metrics = dict(zip(_names_of(line, names), line.values, strict=True))
        finite = {name: value for name, value in metrics.items() if value is not None}
        yield ServerScrape(t_ns=line.t_ns, took_ns=line.took_ns, metrics=finite, error=line.error)


def _names_of(line: ScrapeLine, names: dict[int, tuple[str, ...]]) -> tuple[str, ...]:
    found = names.get(line.names_ns or 0, ())
    if len(found) != len(line.values):
        raise FolderError(f"server.jsonl is damaged: the names of the scrape at {line.t_ns} ns are missing")
    return found
