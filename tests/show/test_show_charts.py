from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmload.show.palette import ASCII, UNICODE, glyphs_for
from mmload.show.terminal_charts import bar, sparkline, stack

amounts = st.floats(0, 1e9)
widths = st.integers(-1, 200)
glyph_sets = st.sampled_from([UNICODE, ASCII])


@pytest.mark.parametrize(
    ("value", "expected"),
    [(0, ""), (-3, ""), (100, "━━━━"), (50, "━━"), (60, "━━╸"), (0.01, "╸"), (1000, "━━━━")],
)
def test_a_bar_is_as_long_as_its_value(value, expected):
    assert bar(value, 100, 4) == expected


def test_a_bar_in_ascii_has_whole_cells():
    assert bar(60, 100, 5, ASCII) == "###"


@given(amounts, amounts, widths, glyph_sets)
def test_a_bar_never_outgrows_its_width(value, top, width, glyphs):
    assert len(bar(value, top, width, glyphs)) <= max(0, width)


@given(amounts, amounts, st.floats(1, 1e9), glyph_sets)
def test_a_greater_value_never_has_a_shorter_bar(one, other, top, glyphs):
    low, high = sorted([one, other])
    assert len(bar(low, top, 30, glyphs)) <= len(bar(high, top, 30, glyphs))


def test_a_sparkline_shows_the_course_of_its_values():
    assert sparkline([0, 1, 2, 3, 4, 5, 6, 7, 8], 9) == "▁▂▃▄▅▆▇██"
    assert sparkline([0, 8], 9, glyphs=ASCII) == "_#"
    assert sparkline([4, 4], 9, top=8) == "▅▅"


def test_a_sparkline_averages_what_shares_a_cell():
    assert sparkline([0, 8, 8, 8], 2) == "▅█"


@given(st.lists(amounts, max_size=200), widths, st.none() | amounts, glyph_sets)
def test_a_sparkline_has_a_cell_a_value_until_it_is_full(values, width, top, glyphs):
    assert len(sparkline(values, width, top, glyphs)) == max(0, min(len(values), width))


@given(st.dictionaries(st.sampled_from("abcdefgh"), st.floats(0, 1)), st.integers(0, 120))
def test_a_stacked_bar_gives_every_share_its_cells_within_one(shares, width):
    cells = stack(shares, width)
    whole = max(1.0, sum(shares.values()))
    assert sum(cells.values()) <= width
    for name, share in shares.items():
        assert abs(cells.get(name, 0) - share / whole * width) <= 1


def test_a_stacked_bar_of_everything_is_full():
    assert stack({"a": 1 / 3, "b": 1 / 3, "c": 1 / 3}, 10) == {"a": 4, "b": 3, "c": 3}


@pytest.mark.parametrize(
    ("encoding", "glyphs"), [("utf-8", UNICODE), ("ascii", ASCII), ("latin-1", ASCII), ("?", ASCII)]
)
def test_charts_use_only_what_the_encoding_can_take(encoding, glyphs):
    assert glyphs_for(encoding) is glyphs


def test_a_sparkline_tells_unknown_from_infinite():
    nan, inf = float("nan"), float("inf")
    assert sparkline([nan, 0, inf, 8, nan], 9) == " ▁∞█ "
    assert sparkline([nan, 0, inf, 8, nan], 9, glyphs=ASCII) == " _^# "
    assert sparkline([nan, 8, 0, 0, nan, nan], 3) == "█▁ "
    assert sparkline([nan, nan], 2) == "  "
