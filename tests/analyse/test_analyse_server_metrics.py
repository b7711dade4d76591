"""What the server says of itself, held against values whose truth is known."""

import math
from pathlib import Path

import msgspec
import numpy as np
import pytest
from factory import START_NS, make_run
from hypothesis import given
from hypothesis import strategies as st

from mmload.analyse.latency import nearest_rank
from mmload.analyse.server_findings import foreign_load, scrape_warnings, server_findings
from mmload.analyse.server_latency import client_ms
from mmload.analyse.server_metrics import server_figures
from mmload.analyse.server_series import server_series
from mmload.analyse.summary import summarise
from mmload.model.records import ScrapeLine, ServerScrape
from mmload.store.read import Run, read_lines
from mmload.store.requests import table_of
from mmload.store.scrapes import ScrapeWriter, whole_scrapes

S = 1_000_000_000
EDGES_S = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
NOTHING_SENT = table_of(())
PAGES = Path(__file__).parent / "pages"


def histogram(name, values_s, edges_s=EDGES_S, labels=""):
    """The lines of a Prometheus histogram that has observed these values."""
    values_s = np.asarray(values_s, float)
    buckets = {f'{name}_bucket{{le="{edge}"{labels}}}': float((values_s <= edge).sum()) for edge in edges_s}
    return buckets | {
        f'{name}_bucket{{le="+Inf"{labels}}}': float(len(values_s)),
        f"{name}_sum{{{labels.lstrip(',')}}}": float(values_s.sum()),
        f"{name}_count{{{labels.lstrip(',')}}}": float(len(values_s)),
    }


E2E, QUEUE = "sglang:e2e_request_latency_seconds", "sglang:queue_time_seconds"


def figures(*pages, requests=NOTHING_SENT):
    series = server_series((ServerScrape(t_ns=t * S, metrics=p) for t, p in enumerate(pages)), 0, len(pages) * S)
    return server_figures(series, requests, [])


@given(st.lists(st.floats(0.001, 5), min_size=1, max_size=200), st.lists(st.floats(0.001, 5), max_size=50))
def test_a_percentile_lies_in_the_bucket_that_is_said(values_s, before_s):
    e2e = figures(histogram(E2E, before_s), histogram(E2E, [*before_s, *values_s])).latencies["e2e"]
    ordered = np.sort(values_s)
    assert e2e.n == len(values_s)
    assert e2e.mean_ms == pytest.approx(1e3 * np.mean(values_s))
    for p, (low, high) in ((0.5, e2e.p50_ms), (0.9, e2e.p90_ms), (0.99, e2e.p99_ms)):
        truth_ms = 1e3 * ordered[nearest_rank(p, len(ordered)) - 1]
        assert low < truth_ms * (1 + 1e-12)
        assert high is None or truth_ms <= high * (1 + 1e-12)


def test_the_last_bucket_has_no_end():
    e2e = figures(histogram(E2E, []), histogram(E2E, [0.03, 7.0, 9.0])).latencies["e2e"]
    assert e2e.p50_ms == (1000.0, None)


def test_a_histogram_that_did_not_grow_says_nothing():
    assert figures(histogram(E2E, [0.3]), histogram(E2E, [0.3])).latencies == {}


def test_a_server_that_was_not_asked_has_no_figures():
    assert figures() is None


def test_counters_are_rates_and_gauges_have_mean_and_most():
    pages = [{"sglang:num_requests_total": 4.0 * t, "sglang:num_queue_reqs": float(t % 3)} for t in range(7)]
    found = figures(*pages)
    assert found.rates == {"requests": 4.0}
    assert (found.gauges["queued"].mean, found.gauges["queued"].max) == (pytest.approx(6 / 7), 2.0)
    assert (found.scrapes, found.failed, found.longest_gap_s, found.restarts) == (7, 0, 1.0, 0)


def test_the_latencies_come_in_the_order_of_a_request():
    grown = {}
    for name in ("queue_time", "inter_token_latency", "e2e_request_latency", "time_to_first_token"):
        grown |= histogram(f"sglang:{name}_seconds", [0.1])
    grown |= histogram("sglang:per_stage_req_latency_seconds", [0.1], labels=',stage="prefill_forward"')
    nothing = dict.fromkeys(grown, 0.0)
    assert list(figures(nothing, grown).latencies) == ["e2e", "ttft", "itl", "queue", "stage prefill_forward"]


@pytest.mark.parametrize("version", ["0.5.6", "0.5.23"])
def test_a_real_page_gives_every_figure(version):
    """Ten scrapes of SGLang at TP 2, two seconds apart, under 8 requests/s of images with 16 tokens each."""
    path = PAGES / f"sglang-{version}.jsonl"
    scrapes = list(whole_scrapes(lambda: read_lines(path, ScrapeLine)))
    series = server_series(scrapes, 0, 2**62)
    found = server_figures(series, NOTHING_SENT, ["scheduler_TP0", "scheduler_TP1"])
    first, last = scrapes[0].metrics, scrapes[-1].metrics

    def grown(start):
        (name,) = [key for key in last if key.startswith(start) and 'tp_rank="1"' not in key]
        return last[name] - first[name]

    seconds = (scrapes[-1].t_ns - scrapes[0].t_ns) / S
    assert found.rates["requests"] == pytest.approx(grown("sglang:num_requests_total{") / seconds)
    assert found.rates["generation_tokens"] == pytest.approx(16 * found.rates["requests"], rel=0.05)
    for name, base in (("e2e", E2E), ("ttft", "sglang:time_to_first_token_seconds"), ("queue", QUEUE)):
        latency = found.latencies[name]
        assert latency.n == grown(f"{base}_count{{")
        assert latency.mean_ms == pytest.approx(1e3 * grown(f"{base}_sum{{") / latency.n)
        assert latency.p50_ms[0] < latency.p99_ms[1]
    stage = {"0.5.6": "stage prefill_waiting", "0.5.23": "stage prefill_forward"}[version]
    assert found.latencies[stage].n == found.latencies["queue"].n
    assert set(found.gauges) == {"running", "queued", "generation_tokens_per_s", "token_usage", "cache_hit_rate"}
    assert set(found.schedulers) == ({"scheduler_TP0", "scheduler_TP1"} if version == "0.5.23" else set())
    for scheduler in found.schedulers.values():
        assert 30 < scheduler.cpu_pct < 70
        assert sum(scheduler.stages.values()) == pytest.approx(1)


def scraped(run, service_s, queue_s=0.0, foreign=0):
    """The run with scrapes that count its answers, each with so long at the server and so long in its queue."""
    done_ns = np.sort(run.requests.done_ns)
    with ScrapeWriter(run.layout.server) as writer:
        for second in range(45):
            t_ns = START_NS + second * S
            done = int((done_ns <= t_ns).sum()) + foreign * second
            values_s = np.full(done, service_s) * np.linspace(0.9, 1.1, done)
            page = histogram(E2E, values_s) | histogram(QUEUE, np.full(done, queue_s))
            writer.write(ServerScrape(t_ns=t_ns, metrics=page))
    return summarise(Run(run.layout.path))


def test_the_client_s_own_figures_stand_beside_the_server_s(tmp_path):
    summary = scraped(make_run(tmp_path, response_ms=np.full(4000, 60.2), lag_ms=0.2), 0.055)
    e2e = summary.server.latencies["e2e"]
    assert e2e.client_ms == pytest.approx(60.0, abs=0.01)
    assert e2e.client_n == pytest.approx(e2e.n, abs=20)
    assert e2e.mean_ms == pytest.approx(55, rel=0.02)
    assert summary.findings == []
    assert summary.warnings == []


def test_time_that_the_server_does_not_see_is_found(tmp_path):
    summary = scraped(make_run(tmp_path, response_ms=np.full(4000, 60.2)), 0.030)
    (said,) = [finding for finding in summary.findings if "network" in finding]
    assert said.startswith("of 60 ms from sent to done (mean) the server counts 30 as its own")


def test_time_in_the_queue_is_found(tmp_path):
    summary = scraped(make_run(tmp_path, response_ms=np.full(4000, 60.2)), 0.058, queue_s=0.045)
    (said,) = [finding for finding in summary.findings if "queue" in finding]
    assert said.startswith("of 60 ms from sent to done (mean) 45 are spent in the server's queue")


def test_a_short_run_finds_nothing(tmp_path):
    assert scraped(make_run(tmp_path, duration_s=3, response_ms=np.full(300, 60.2)), 0.01).findings == []


def test_somebody_else_s_requests_are_a_warning(tmp_path):
    summary = scraped(make_run(tmp_path), 0.055, foreign=10)
    assert any(warning.endswith("of this run: somebody else loads it too") for warning in summary.warnings)


def test_failures_gaps_and_restarts_are_warnings():
    requests = "sglang:num_requests_total"
    scrapes = [
        ServerScrape(t_ns=0, metrics={requests: 9.0}),
        ServerScrape(t_ns=1 * S, error="/metrics answers 500 Internal Server Error"),
        ServerScrape(t_ns=8 * S, metrics={requests: 2.0}),
    ]
    assert scrape_warnings(server_series(scrapes, 0, 9 * S)) == [
        "1 of 3 scrapes of /metrics failed in the window: /metrics answers 500 Internal Server Error",
        "no scrape of /metrics came back for 8.0 s of the window",
        "the server's counters fell in the window: it, or a part of it, began anew",
    ]


def test_nothing_is_found_where_nothing_was_scraped():
    nothing = server_series([], 0, S)
    assert (
        server_findings(nothing, NOTHING_SENT) == scrape_warnings(nothing) == foreign_load(nothing, NOTHING_SENT) == []
    )


def test_what_the_client_measured_is_taken_by_when_it_was_complete(tmp_path):
    requests = make_run(tmp_path, duration_s=5).requests
    start_ns, end_ns = START_NS + 3 * S, START_NS + 4 * S
    records = requests.of_phase("measure")
    expected = [
        (int(done) - int(sent)) / 1e6
        for done, sent in zip(records.done_ns, records.sent_ns, strict=True)
        if start_ns < done <= end_ns
    ]
    assert sorted(client_ms("e2e", requests, start_ns, end_ns)) == pytest.approx(sorted(expected))
    gaps = client_ms("itl", requests, -(2**62), 2**62)
    assert len(gaps) == 3 * len(requests)
    assert len(client_ms("itl", requests, start_ns, end_ns)) == pytest.approx(300, abs=30)
    assert len(client_ms("queue", requests, start_ns, end_ns)) == 0


def test_the_figures_are_json_with_nothing_infinite(tmp_path):
    summary = scraped(make_run(tmp_path, duration_s=5), 3.0)
    assert summary.server.latencies["e2e"].p50_ms == (1000.0, None)
    read = msgspec.json.decode(msgspec.json.encode(summary), type=type(summary))
    assert read.server == summary.server
    assert not math.isinf(summary.server.latencies["e2e"].mean_ms)
