"""Scrapes share their names in server.jsonl, and come back whole."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmload.errors import FolderError
from mmload.model.records import ScrapeLine, ServerScrape
from mmload.store.append import LineWriter
from mmload.store.read import read_lines
from mmload.store.scrapes import ScrapeWriter, whole_scrapes

S = 1_000_000_000
PAGE = {'a{b="c"}': 1.0, "d": 2.0}

pages = st.dictionaries(st.sampled_from("abcd"), st.floats(width=32), max_size=4)
histories = st.lists(st.tuples(st.integers(1, 50), pages | st.text(min_size=1)), max_size=20)


def written(path, scrapes):
    path.unlink(missing_ok=True)
    with ScrapeWriter(path) as writer:
        for scrape in scrapes:
            writer.write(scrape)
    return path


def read_back(path):
    return list(whole_scrapes(lambda: read_lines(path, ScrapeLine)))


def scrapes_of(history):
    t_ns, scrapes = 0, []
    for after_s, said in history:
        t_ns += after_s * S
        kind = {"error": said} if isinstance(said, str) else {"metrics": said}
        scrapes.append(ServerScrape(t_ns=t_ns, took_ns=after_s, **kind))
    return scrapes


@given(histories, st.randoms(use_true_random=False))
def test_what_was_scraped_comes_back_in_any_order_of_lines(tmp_path_factory, history, rng: random.Random):
    scrapes = scrapes_of(history)
    path = written(tmp_path_factory.getbasetemp() / "server.jsonl", scrapes)
    finite = [
        ServerScrape(
            t_ns=scrape.t_ns,
            took_ns=scrape.took_ns,
            metrics={name: value for name, value in scrape.metrics.items() if math.isfinite(value)},
            error=scrape.error,
        )
        for scrape in scrapes
    ]
    assert read_back(path) == finite
    lines = path.read_bytes().splitlines(keepends=True)
    rng.shuffle(lines)
    path.write_bytes(b"".join(lines))
    assert sorted(read_back(path), key=lambda scrape: scrape.t_ns) == finite


def test_names_are_written_once_a_minute_and_when_they_change(tmp_path):
    longer = PAGE | {"e": 3.0}
    moments = [(0, PAGE), (1, PAGE), (2, longer), (3, longer), (4, PAGE), (59, PAGE), (65, PAGE), (66, PAGE)]
    path = written(tmp_path / "server.jsonl", [ServerScrape(t_ns=t * S, metrics=page) for t, page in moments])
    whole = [line.t_ns // S for line in read_lines(path, ScrapeLine) if line.names_ns is None]
    assert whole == [0, 2, 4, 65]


def test_a_value_that_is_not_finite_now_and_then_makes_no_new_names(tmp_path):
    scrapes = [ServerScrape(t_ns=t * S, metrics=PAGE | {"f": math.nan if t % 2 else 1.0}) for t in range(6)]
    path = written(tmp_path / "server.jsonl", scrapes)
    assert [line.names_ns for line in read_lines(path, ScrapeLine)] == [None, 0, 0, 0, 0, 0]
    assert ["f" in scrape.metrics for scrape in read_back(path)] == [True, False] * 3


def test_a_failed_scrape_between_takes_no_names_away(tmp_path):
    scrapes = [
        ServerScrape(t_ns=1, metrics=PAGE),
        ServerScrape(t_ns=2, error="refused"),
        ServerScrape(t_ns=3, metrics=PAGE),
    ]
    assert read_back(written(tmp_path / "server.jsonl", scrapes)) == scrapes


def test_folders_of_older_versions_have_every_name_in_every_line(tmp_path):
    path = tmp_path / "server.jsonl"
    path.write_text('{"t_ns":1,"metrics":{"a":1.0},"error":null}\n{"t_ns":2,"metrics":{"a":2.0},"error":null}\n')
    assert [scrape.metrics for scrape in read_back(path)] == [{"a": 1.0}, {"a": 2.0}]


@pytest.mark.parametrize("values", [[1.0], [1.0, 2.0, 3.0]])
def test_values_without_their_names_are_damage(tmp_path, values):
    path = tmp_path / "server.jsonl"
    with LineWriter(path) as writer:
        writer.write(ServerScrape(t_ns=5, metrics=PAGE))
        writer.write(ScrapeLine(t_ns=9, names_ns=5, values=values))
    with pytest.raises(FolderError, match="the names of the scrape at 9 ns are missing"):
        read_back(path)
