"""Scraping /metrics, and the text that stands there."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from math import inf, isnan
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmload.errors import FolderError
from mmload.model.records import ServerScrape
from mmload.observe.metrics import MetricsScraper
from mmload.observe.prometheus import parse_prometheus
from mmload.store.read import read_lines

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


def scrapes(path):
    return list(read_lines(path, ServerScrape))


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
