"""How a comparison reads, on the terminal and as Markdown."""

import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from show_comparison_samples import BASELINE, BETTER, COMPARISON, MIXED, seen, unknown, without_valid_runs
from show_samples import drawn, drawn_lines

from mmload.model.comparison import Comparison, Level
from mmload.show.comparison_words import (
    bounds_text,
    compared_levels,
    improvement_text,
    level_text,
    notes_on,
    saving_text,
    shown_differences,
    verdict_text,
)
from mmload.show.markdown_comparison import comparison_to_markdown
from mmload.show.tables_comparison import render_comparison

VIEWS = {"comparison": COMPARISON, "comparison-invalid": without_valid_runs()}


@pytest.mark.parametrize("width", [80, 140])
@pytest.mark.parametrize("name", VIEWS)
def test_it_looks_as_it_did(name, width, golden):
    golden(f"{name}-{width}", drawn(render_comparison(VIEWS[name]), width))


def test_it_looks_as_it_did_in_colour_and_in_ascii(golden):
    golden("comparison-80-colour", drawn(render_comparison(COMPARISON), 80, colour="truecolor"))
    golden("comparison-80-ascii", drawn(render_comparison(COMPARISON), 80, encoding="ascii"))


def test_its_markdown_looks_as_it_did(golden):
    golden("comparison-markdown", comparison_to_markdown(COMPARISON))


@given(st.integers(60, 200))
def test_no_line_is_wider_than_the_terminal(width):
    assert max(map(len, drawn_lines(render_comparison(COMPARISON), width))) <= width


def test_it_comes_back_from_its_json_as_it_went():
    assert msgspec.json.decode(msgspec.json.encode(COMPARISON), type=Comparison) == COMPARISON


@pytest.mark.parametrize(
    ("difference", "improvement", "bounds"),
    [
        (seen("qps", 0.5), "+50 %", "+47 to +53 %"),
        (seen("qps", -0.012, 0.02), "-1.2 %", "-3.2 to +0.80 %"),
        (seen("qps", -11.9, 1.2), "-1,190 %", "-1,310 to -1,070 %"),
        (seen("qps", 0.0, 0.0), "+0.0 %", "+0.0 to +0.0 %"),
        (seen("qps", 0.1, low=None), "+10 %", "up to +13 %"),
        (seen("qps", 0.1, high=None), "+10 %", "from +7.0 %"),
        (seen("qps", 0.1, low=None, high=None), "+10 %", "could be anything"),
        (seen("response_p99_ms", 0.19, low=None, high=0.999), "+19 %", "could be anything"),
        (seen("qps", 0.19, low=-0.999, high=None), "+19 %", "could be anything"),
        (seen("qps", -2.0, low=-10.5, high=0.9), "-200 %", "could be anything"),
        (seen("qps", -2.0, low=-9.5, high=0.9), "-200 %", "-950 to +90 %"),
        (seen("error_rate", -0.001, 0.0005), "-0.10 points", "-0.15 to -0.05 points"),
        (unknown("qps", "why"), "-", ""),
    ],
)
def test_an_improvement_reads_as_a_signed_share(difference, improvement, bounds):
    assert (improvement_text(difference), bounds_text(difference)) == (improvement, bounds)


def test_an_infinite_percentile_is_not_taken_for_a_missing_one():
    assert level_text(MIXED, "response_p99_ms") == "∞"
    assert level_text(MIXED, "build_cpu") == "-"


def test_two_levels_of_different_sources_are_not_put_side_by_side():
    assert compared_levels(BETTER, BASELINE, "build_cpu") == ("6.40", "1.60")
    sampled = {**BETTER.levels, "build_cpu": Level(value=1.7, source="samples")}
    apart = msgspec.structs.replace(BETTER, levels=sampled)
    assert compared_levels(apart, BASELINE, "build_cpu") == ("-", "-")
    assert compared_levels(MIXED, BASELINE, "build_cpu") == ("6.40", "-")


def test_what_a_variant_improves_of_a_requests_cpu_is_in_brackets_where_it_may_be_chance():
    row = next(line for line in drawn(render_comparison(COMPARISON)).splitlines() if line.startswith("optimized  "))
    assert row.split()[-7:] == ["+50", "%", "better", "in", "6", "of", "8"]
    unsure = msgspec.structs.replace(BETTER, differences=[seen("cpu_ms_per_request", 0.21, 0.3)])
    assert (saving_text(BETTER), saving_text(unsure), saving_text(BASELINE)) == ("+50 %", "(+21 %)", "")


def test_a_word_for_a_whole_variant_says_of_how_many_figures_it_is():
    few = msgspec.structs.replace(
        BETTER, differences=[seen("build_cpu", 0.7), seen("qps", 0.01, 0.1), seen("cpu_ms_per_request", 0.2, 0.9)]
    )
    assert (verdict_text(few), verdict_text(MIXED), verdict_text(BASELINE)) == ("better in 1 of 3", "mixed", "baseline")
    assert verdict_text(msgspec.structs.replace(few, word="worse", differences=[])) == "worse"


def test_reasons_that_several_figures_share_are_said_once():
    first, *others = (
        seen(name, 0.0, 0.2, needed="3 more rounds would halve the interval") for name in ("qps", "cpu_work_pct")
    )
    side = msgspec.structs.replace(BETTER, differences=[first, *others])
    assert list(notes_on(side)) == ["QPS, rank work %: 3 more rounds would halve the interval"]


def test_what_nobody_counted_and_errors_that_did_not_occur_take_no_line():
    assert [one.figure for one in shown_differences(BETTER)][-2:] == ["build_cpu", "handoff_cpu"]
    assert "build_cpu" not in [one.figure for one in shown_differences(MIXED)]
    assert shown_differences(BASELINE) == []


def test_foreign_text_is_not_obeyed_in_markdown():
    hostile = msgspec.structs.replace(COMPARISON, warnings=["<script>alert(1)</script> | @user #12\n## x"])
    text = comparison_to_markdown(hostile)
    assert "<script>" not in text
    assert "\n## x" not in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {7, 10}
