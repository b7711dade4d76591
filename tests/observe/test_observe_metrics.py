"""Scraping /metrics, and the text that stands there."""

import socket
import threading
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from math import inf, isnan
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmload.errors import FolderError
from mmload.model.records import ScrapeLine
from mmload.observe import metrics
from mmload.observe.metrics import MetricsScraper
from mmload.observe.prometheus import parse_prometheus
from mmload.store.read import read_lines
from mmload.store.scrapes import whole_scrapes

PAGE = """\
# HELP sglang:num_running_reqs The number of running requests.
# TYPE sglang:num_running_reqs gauge
sglang:num_running_reqs{engine_type="unified",model_name="/models/a b",tp_rank="0"} 3.0
sglang:e2e_request_latency_seconds_bucket{le="+Inf"} 7
sglang:e2e_request_latency_seconds_sum 1.5e-3
up 1 1395066363000
nothing NaN
"""


@pytest.fixture
def serve():
    """A server whose answers are taken from a list, the last one again and again: (url, number of requests so far)."""
    servers = []

    def start(*answers):
        asked = []

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                status, body = answers[min(len(asked), len(answers) - 1)]
                asked.append(self.path)
                self.send_response(status)
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *arguments):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}", asked

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def speak():
    """A server that says to each who connects what a function has it say: its URL."""
    listener = socket.create_server(("127.0.0.1", 0))
    ended = threading.Event()

    def serve(say):
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            with connection, suppress(OSError):
                connection.recv(65536)
                say(connection, ended)

    def start(say):
        threading.Thread(target=serve, args=(say,), daemon=True).start()
        return f"http://127.0.0.1:{listener.getsockname()[1]}"

    yield start
    ended.set()
    listener.close()


def scrapes(path):
    return list(whole_scrapes(lambda: read_lines(path, ScrapeLine)))


def scraped(url, path):
    """The records of a scrape at the start and one at the end, or of both in one, and what was warned of."""
    scraper = MetricsScraper(url, path, interval_s=3600)
    scraper.start()
    scraper.stop()
    return scrapes(path), scraper.warnings


@pytest.mark.parametrize(
    ("line", "key", "value"),
    [
        ("a 1", "a", 1),
        ("a:b_c 1.5e3", "a:b_c", 1500),
        ('a{b="c"} -2', 'a{b="c"}', -2),
        ('a{b="}, \\"x\\" 1"} 3', 'a{b="}, \\"x\\" 1"}', 3),
        ('a{b="back\\\\",c=""}\t4', 'a{b="back\\\\",c=""}', 4),
        ("a{} 5", "a{}", 5),
        ("a +Inf", "a", inf),
        ("a -Inf", "a", -inf),
        ("  a 6 1395066363000  ", "a", 6),
        ('a_bucket{le="1"} 7 # {trace_id="x"} 0.5', 'a_bucket{le="1"}', 7),
    ],
)
def test_a_sample_line_is_its_printed_name_and_its_value(line, key, value):
    assert parse_prometheus(line) == {key: value}


def test_not_a_number_is_read_as_such():
    assert isnan(parse_prometheus("a NaN")["a"])


@pytest.mark.parametrize("line", ["<html>", "a", "a b", '{"a": 1}', "a 1 2 3", "1a 2", 'a{b="c} 1'])
def test_a_page_that_is_something_else_is_refused_with_the_line(line):
    with pytest.raises(ValueError, match="line 2 is no Prometheus sample"):
        parse_prometheus(f"up 1\n{line}\n")


@given(st.dictionaries(st.from_regex(r"[a-z_:]{1,9}", fullmatch=True), st.text(max_size=20), min_size=1))
def test_any_label_value_survives_when_it_is_escaped_as_the_format_says(labels):
    def escaped(text):
        return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\r", "")

    key = "m{" + ",".join(f'{name}="{escaped(value)}"' for name, value in labels.items()) + "}"
    assert parse_prometheus(f"{key} 1\n") == {key: 1}


@pytest.mark.live
def test_each_scrape_is_a_record_of_finite_values(serve, tmp_path):
    url, asked = serve((200, PAGE))
    scraper = MetricsScraper(url, tmp_path / "server.jsonl")
    scraper.start()
    scraper.stop()
    assert set(asked) == {"/metrics"}
    assert scrapes(tmp_path / "server.jsonl")[0].metrics == {
        'sglang:num_running_reqs{engine_type="unified",model_name="/models/a b",tp_rank="0"}': 3.0,
        'sglang:e2e_request_latency_seconds_bucket{le="+Inf"}': 7.0,
        "sglang:e2e_request_latency_seconds_sum": 0.0015,
        "up": 1.0,
    }
    assert scraper.warnings == []


@pytest.mark.live
def test_a_scrape_can_be_asked_for_between_two_ticks(serve, tmp_path, until):
    url, asked = serve((200, "a 1"))
    scraper = MetricsScraper(url, tmp_path / "server.jsonl", interval_s=3600)
    scraper.start()
    until(lambda: len(asked) == 1)
    scraper.scrape_now()
    until(lambda: len(asked) == 2)
    scraper.stop()
    assert len(scrapes(tmp_path / "server.jsonl")) == 3


@pytest.mark.live
def test_scrapes_follow_one_another_by_the_clock(serve, tmp_path, until):
    url, asked = serve((200, "a 1"))
    scraper = MetricsScraper(url, tmp_path / "server.jsonl", interval_s=0.01)
    scraper.start()
    until(lambda: len(asked) > 5)
    scraper.stop()
    stored = scrapes(tmp_path / "server.jsonl")
    assert len(stored) == len(asked)
    assert all(before.t_ns < after.t_ns for before, after in pairwise(stored))
    assert all(scrape.metrics == {"a": 1.0} for scrape in stored)


@pytest.mark.live
def test_a_server_without_metrics_is_one_record_and_one_warning(serve, tmp_path, until):
    url, asked = serve((404, "no"))
    scraper = MetricsScraper(url, tmp_path / "server.jsonl", interval_s=0.01)
    scraper.start()
    until(lambda: not scraper._thread.is_alive())
    scraper.stop()
    (scrape,) = scrapes(tmp_path / "server.jsonl")
    assert scrape.error == "/metrics answers 404 Not Found"
    assert scraper.warnings == ["server metrics: /metrics answers 404 Not Found"]
    assert len(asked) == 1


@pytest.mark.live
def test_failing_scrapes_are_records_with_their_error_and_one_warning(serve, tmp_path, until):
    url, asked = serve((500, "no"), (500, "no"), (200, "<html>"), (200, "a 1"))
    scraper = MetricsScraper(url, tmp_path / "server.jsonl", interval_s=0.01)
    scraper.start()
    until(lambda: len(asked) > 4)
    scraper.stop()
    first, second, third, fourth, *_ = scrapes(tmp_path / "server.jsonl")
    assert "500" in first.error
    assert "500" in second.error
    assert "line 1 is no Prometheus sample" in third.error
    assert fourth.metrics == {"a": 1.0}
    assert len(scraper.warnings) == 1


@pytest.mark.live
def test_a_server_that_is_gone_is_an_error_in_the_record(serve, tmp_path):
    scraper = MetricsScraper("http://127.0.0.1:1", tmp_path / "server.jsonl", interval_s=3600)
    scraper.start()
    scraper.stop()
    assert all("refused" in scrape.error for scrape in scrapes(tmp_path / "server.jsonl"))


@pytest.mark.live
def test_a_full_disk_ends_the_scraping_and_is_raised(serve, tmp_path, until):
    url, _ = serve((200, "a 1"))
    scraper = MetricsScraper(url, Path("/dev/full"))
    scraper.start()
    until(lambda: scraper.failed)
    with pytest.raises(FolderError, match="full"):
        scraper.stop()


def _silence(_connection, ended):
    ended.wait()


def _drip(connection, ended):
    connection.sendall(b"HTTP/1.1 200 OK\r\n\r\na ")
    while not ended.wait(0.05):
        connection.sendall(b"1")


def _drip_of_headers(connection, ended):
    while not ended.wait(0.05):
        connection.sendall(b"H")


@pytest.mark.live
@pytest.mark.parametrize("say", [_silence, _drip, _drip_of_headers])
def test_an_answer_that_does_not_end_is_given_up_and_said(speak, tmp_path, monkeypatch, say):
    monkeypatch.setattr(metrics, "_TIMEOUT_S", 0.3)
    found, warnings = scraped(speak(say), tmp_path / "server.jsonl")
    assert found
    for scrape in found:
        assert "timed out" in scrape.error or "not complete within 0.3 s" in scrape.error
        assert scrape.took_ns > 200_000_000
    assert len(warnings) == 1


@pytest.mark.live
def test_a_page_that_breaks_off_is_no_page(speak, tmp_path):
    def say(connection, _ended):
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\na 1\n")

    found, _ = scraped(speak(say), tmp_path / "server.jsonl")
    assert all("IncompleteRead" in scrape.error and scrape.metrics == {} for scrape in found)


@pytest.mark.live
def test_a_page_too_large_is_not_read_to_its_end(speak, tmp_path, monkeypatch):
    monkeypatch.setattr(metrics, "_MOST_BYTES", 1 << 20)

    def say(connection, ended):
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while not ended.is_set():
            connection.sendall(b"a 1\n" * 65536)

    found, _ = scraped(speak(say), tmp_path / "server.jsonl")
    assert [scrape.error for scrape in found] == ["/metrics is longer than 1 MiB"] * len(found)


@pytest.mark.live
@pytest.mark.parametrize("page", [b"\xff\xfe\x00", b'a{b="' + b'"' * 200_000, b"\x00" * 5000])
def test_garbage_is_an_error_in_the_record(speak, tmp_path, page):
    def say(connection, _ended):
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n" + page)

    found, warnings = scraped(speak(say), tmp_path / "server.jsonl")
    assert all(scrape.error and len(scrape.error) < 400 for scrape in found)
    assert len(warnings) == 1


@pytest.mark.live
def test_a_page_that_is_dear_to_read_is_read_more_rarely_and_said(serve, tmp_path, until, monkeypatch):
    monkeypatch.setattr(metrics, "_MOST_OF_A_CORE", 1e-6)
    url, asked = serve((200, "a 1"))
    scraper = MetricsScraper(url, tmp_path / "server.jsonl", interval_s=0.01)
    scraper.start()
    until(lambda: scraper.warnings)
    scraper.scrape_now()
    until(lambda: len(asked) == 2)
    scraper.stop()
    assert scraper.warnings[0].startswith("server metrics: reading a page takes ")
    assert len(asked) == 3


@pytest.mark.live
def test_what_is_not_finite_is_left_out(serve, tmp_path):
    url, _ = serve((200, PAGE))
    (first, *_), _ = scraped(url, tmp_path / "server.jsonl")
    assert "nothing" not in first.metrics
    assert first.took_ns > 0
