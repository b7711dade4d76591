from __future__ import annotations

import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from mmload.show.terminal_figures import count, figure, figures, interval, percent, plain, size, span, stopwatch


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "-"),
        (math.nan, "-"),
        (math.inf, "inf"),
        (-math.inf, "-inf"),
        (0, "0"),
        (0.04123, "0.0412"),
        (9.812, "9.81"),
        (61.24, "61.2"),
        (142.4, "142"),
        (1423.9, "1,424"),
        (-61.24, "-61.2"),
    ],
)
def test_a_figure_has_three_digits_or_more(value, text):
    assert figure(value) == text


def test_figures_that_belong_together_have_the_same_decimals():
    assert figures([61.24, 142.37, 203.18]) == ["61.2", "142.4", "203.2"]
    assert figures([2.08, 30_012.34]) == ["2.1", "30,012.3"]
    assert interval(99.61, 98.87, 100.24) == ("99.6", "98.9 to 100.2")
    assert interval(99.61, None, None) == ("99.6", "")


def test_a_figure_never_reads_as_the_limit_that_it_is_not():
    assert figures([499.8, 480], limit=500) == ["499.8", "480.0"]
    assert figures([500, 480], limit=500) == ["500", "480"]
    assert figures([0.0009991, 0.0005], most=4, limit=0.001) == ["0.000999", "0.000500"]


def test_a_figure_that_four_digits_do_not_tell_from_the_limit_is_said_to_be_less_or_more():
    assert figures([0.0005, 0.000999999, 0.00100001], most=4, limit=0.001) == ["0.0005", "<0.0010", ">0.0010"]
    assert figures([499.996, 500.004], limit=500) == ["<500", ">500"]
    assert figures([0.00000001, 0.0], most=4, limit=0) == [">0.0000", "0.0000"]


@given(st.lists(st.none() | st.floats(allow_nan=True, allow_infinity=True), max_size=6))
def test_figures_are_one_text_for_each_number_whatever_it_is(values):
    assert len(figures(values)) == len(values)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (percent(0.4213), "42.1"),
        (percent(None), "-"),
        (size(412_000_000), "412 MB"),
        (size(12_300_000_000), "12.3 GB"),
        (size(0), "0 B"),
        (span(12), "12 s"),
        (span(7300), "2 h"),
        (span(0), "0 s"),
        (stopwatch(21.2), "0:22"),
        (stopwatch(3723), "1:02:03"),
        (stopwatch(-1), "0:00"),
        (count(1, "request"), "1 request"),
        (count(2000, "request"), "2,000 requests"),
    ],
)
def test_amounts_carry_their_unit(text, expected):
    assert text == expected


@given(st.text())
@example("a\u2028b\x1cc\x85d")
def test_foreign_text_can_neither_steer_the_terminal_nor_break_the_line(text):
    harmless = plain(text)
    assert len(harmless) == len(text)
    assert len(harmless.splitlines()) <= 1
    assert not any(ord(c) < 32 or 127 <= ord(c) < 160 or c in "\u202a\u202e\u2066\u2069" for c in harmless)
