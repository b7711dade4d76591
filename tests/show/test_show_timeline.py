"""A run's course and the server's own figures on the terminal, as JSON and as CSV."""

from __future__ import annotations

import csv
import io
import json
import math

import msgspec
import numpy as np
import pytest
from show_samples import drawn, manifest, summary
from show_timeline_samples import server, timeline

from mmload.show.terminal_server import server_figures
from mmload.show.terminal_sheet import Drawn
from mmload.show.terminal_summary import render_summary
from mmload.show.terminal_timeline import render_timeline, timeline_in_short
from mmload.show.timeline_export import timeline_csv, timeline_json

VIEWS = {
    "timeline": render_timeline(timeline()),
    "timeline-short": Drawn(lambda sheet: timeline_in_short(timeline(), sheet)),
    "server": Drawn(lambda sheet: server_figures(server(), summary().cpu, sheet)),
}


@pytest.mark.parametrize("width", [80, 140])
@pytest.mark.parametrize("name", VIEWS)
def test_a_view_looks_as_it_did(name, width, golden):
    golden(f"{name}-{width}", drawn(VIEWS[name], width))


@pytest.mark.parametrize("name", VIEWS)
def test_a_view_in_ascii_looks_as_it_did(name, golden):
    text = drawn(VIEWS[name], 80, encoding="ascii")
    assert "?" not in text
    golden(f"{name}-80-ascii", text)


@pytest.mark.parametrize("width", [20, 40, 80, 200])
@pytest.mark.parametrize("name", VIEWS)
def test_a_view_fits_its_terminal(name, width):
    assert all(len(line) <= width for line in drawn(VIEWS[name], width).splitlines())


def test_the_summary_holds_the_server_s_figures_and_the_run_s_course():
    text = drawn(render_summary(summary(server=server()), manifest(), timeline()))
    assert text.index("by the server, ms") < text.index("CPU, % of a core") < text.index("a cell")
    assert "by the server" not in drawn(render_summary(summary(), manifest()))


def test_a_server_that_exports_little_leaves_little():
    bare = msgspec.structs.replace(server(), gauges={}, rates={}, latencies={}, schedulers={})
    assert drawn(Drawn(lambda sheet: server_figures(bare, {}, sheet))).split() == [
        "server",
        "scrapes",
        "19,",
        "failed",
        "2",
    ]


def test_a_run_without_a_server_s_word_is_drawn_from_what_there_is():
    one = timeline()
    bare = msgspec.structs.replace(one, series={"achieved_rps": one.series["achieved_rps"]})
    assert "achieved" in drawn(render_timeline(bare))
    assert "queued" not in drawn(Drawn(lambda sheet: timeline_in_short(bare, sheet)))


def test_the_p99_of_few_requests_is_said_to_be_the_longest():
    said = "the slowest of each bin"
    assert said not in drawn(render_timeline(timeline()))
    assert said in drawn(render_timeline(msgspec.structs.replace(timeline(), most_due=60)))


def test_json_says_null_for_what_is_unknown_or_infinite():
    document = json.loads(timeline_json(timeline()))
    assert document["phase"][6] == "measure"
    assert document["t_s"][6] == 0.0
    assert document["series"]["running"][0] is None
    assert document["series"]["response_p50_ms"][18] is None
    assert all(len(values) == len(document["t_s"]) for values in document["series"].values())


def test_csv_has_a_row_a_bin_and_tells_unknown_from_infinite():
    rows = list(csv.DictReader(io.StringIO(timeline_csv(timeline()))))
    assert [float(row["t_s"]) for row in rows] == timeline().t_s
    assert rows[0]["running"] == ""
    assert math.isinf(float(rows[18]["response_p50_ms"]))
    read = np.array([float(row["offered_rps"]) for row in rows])
    assert read == pytest.approx(timeline().series["offered_rps"])
