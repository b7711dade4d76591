"""The plots of a report: what is drawn, and that the same is said in words and figures."""

from __future__ import annotations

import math

import msgspec
import numpy as np
import pytest
from factory import make_run
from report_made import one_run, report

from mmload.analyse.phase_series import PhaseSeries
from mmload.analyse.report_series import curve
from mmload.analyse.summary import summarise
from mmload.show.page_data import asset
from mmload.show.palette import PHASE_COLOURS
from mmload.show.report_curves import curve_plots
from mmload.show.report_load import load_tables
from mmload.show.report_panels import overlaid, panels_of

replace = msgspec.structs.replace


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """20 s at 100 requests/s, two of them not ok; nothing is known of its phases."""
    return replace(report(one_run(tmp_path_factory.mktemp("out"))).runs[0], phases={})


def with_phases(run, *names):
    """Each of these processes did nothing but hash in the last two bins, in the profile window."""
    bins = np.full(len(run.timeline.t_s), np.nan)
    bins[-2:] = 12.5
    one = PhaseSeries(profiled={"hash": 12.5}, stamped={}, bins={"hash": bins})
    return replace(run, phases=dict.fromkeys(names, one))


def with_ranks(run, cpu_pct):
    """Rank after rank with so much CPU in each bin."""
    cpu = {f"cpu_pct.scheduler_TP{rank}": np.full(len(run.timeline.t_s), pct) for rank, pct in enumerate(cpu_pct)}
    named = [name.removeprefix("cpu_pct.") for name in cpu]
    return with_phases(replace(run, timeline=replace(run.timeline, series=run.timeline.series | cpu)), *named)


def panel(run, name):
    return next(one for one in panels_of(run, "run7", 0) if one.id == f"run7-{name}")


def cells(table):
    return [[cell.text for cell in row] for row in table.rows]


def test_each_series_has_its_own_unit_in_the_plot_in_words_and_in_figures(run):
    response = panel(run, "response")
    units = {series.label: series.unit for series in response.series}
    assert units == {"P99": "ms", "p50": "ms", "not ok": "requests"}
    assert "not ok 0 to 2 requests" in response.about or "not ok 0 to 1 requests" in response.about
    assert [row[:2] for row in cells(response.text)] == [["P99", "ms"], ["p50", "ms"], ["not ok", "requests"]]


def test_where_every_bin_has_fewer_than_a_hundred_requests_p99_says_that_it_is_the_longest(run):
    sparse = replace(run, timeline=replace(run.timeline, most_due=99))
    assert panel(sparse, "response").series[0].label == "P99 (the slowest of each bin)"
    (title,) = [one.title for one in overlaid([sparse], {run.run_id: 0}, {run.side: "s0"}) if one.id == "all-p99"]
    assert title == "Response time, P99 (the slowest of each bin)"


def test_a_process_has_its_phases_where_they_are_known_and_its_total_everywhere(run):
    shown = panel(with_phases(run, "scheduler_TP0"), "phases-scheduler-tp0")
    total, hashed = shown.series
    assert (total.kind, hashed.kind, hashed.colour) == ("line", "stack", "phase-hash")
    assert [value is None for value in hashed.values] == [True] * (len(hashed.values) - 2) + [False] * 2
    assert sum(value is not None for value in total.values) > 20
    assert "in the profile window hash 12.5 %" in shown.about
    assert cells(shown.text) == [["hash", "12.5"], ["together", "12.5"]]


def test_phases_lie_below_the_cpu_of_all_processes_a_panel_for_each_rank_and_the_tokenizer(run):
    shown = with_phases(run, "scheduler_TP1", "tokenizer", "scheduler_TP0", "detokenizer")
    keys = [one.id.removeprefix("run7-") for one in panels_of(shown, "run7", 0)]
    at = keys.index("cpu")
    assert keys[at + 1 : at + 4] == ["phases-tokenizer", "phases-scheduler-tp0", "phases-scheduler-tp1"]
    assert not any("detokenizer" in key for key in keys)


def test_of_many_ranks_three_are_shown_and_said_to_stand_for_the_others(run):
    shown = with_ranks(run, [5.0, 40.0, *[20.0] * 6, 3.0])
    titles = [one.title for one in panels_of(shown, "run7", 0) if "phases" in one.id]
    assert len(titles) == 3
    assert "CPU of TP1 by phase, the most CPU of 9 ranks" in titles
    assert "CPU of TP8 by phase, the least CPU of 9 ranks" in titles
    assert len([one for one in panels_of(with_ranks(run, [5.0] * 8), "run7", 0) if "phases" in one.id]) == 8


def test_every_phase_has_its_colour_in_the_page():
    css = asset("chart.css")
    assert all(f".phase-{phase} {{\n  color: var(--phase-{phase});" in css for phase in PHASE_COLOURS)


@pytest.mark.parametrize(
    ("requests", "known"),
    [(9, "p50"), (19, "p90"), (20, "p95"), (99, "p95"), (100, "p99"), (324, "p99"), (10_000, "p99.99")],
)
def test_a_percentile_that_would_be_the_longest_of_them_all_is_no_figure(run, requests, known):
    one = replace(run, curves={"ttft_ms": curve(np.arange(1.0, requests + 1))})
    (plot,) = curve_plots("run0", [one], {}, None)
    heads, (row,) = plot.text.columns[3:], cells(plot.text)
    assert [head for head, cell in zip(heads, row[3:], strict=True) if cell != "-"][-1] == known
    assert "-" in plot.text.note


def test_a_plot_in_which_no_answer_was_ok_says_infinite_in_its_figures(run):
    one = replace(run, curves={"response_ms": curve(np.full(500, math.inf))})
    (plot,) = curve_plots("run0", [one], {}, None)
    assert plot.curves[0].curve.ms == []
    assert cells(plot.text)[0][:4] == ["response time", "500", "500", "∞"]


def test_a_closed_loop_has_no_row_of_what_was_offered(tmp_path):
    for concurrency, offered in ((None, True), (4, False)):
        rates, _ = load_tables(summarise(make_run(tmp_path, number=offered, duration_s=5, concurrency=concurrency)))
        assert (cells(rates)[0][0] == "offered") == offered
        assert ("offered" in rates.note) == offered
