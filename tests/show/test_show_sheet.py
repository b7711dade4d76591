from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from show_samples import drawn

from mmload.show.terminal_sheet import (
    EXTRA,
    Column,
    Drawn,
    Sheet,
    beside,
    fact,
    flow,
    grid,
    paragraph,
    separated,
    styled,
)

NAME, LATE, EARLY, EXTRAS = (
    Column("name", right=False, elastic=True),
    Column("p50", 1),
    Column("p90", 2),
    Column("n", EXTRA),
)


def sheet(width):
    return Sheet(Console(file=io.StringIO(), width=width, color_system=None, _environ={}), width)


def plain(lines):
    return [line.plain for line in lines]


def table(width):
    rows = [
        [styled(cell) for cell in row] for row in (("response", "61.2", "88.0", "2,000"), ("ITL", "9.81", "9.9", "7"))
    ]
    return plain(grid([NAME, LATE, EARLY, EXTRAS], rows, sheet(width)))


def test_a_column_that_folds_goes_on_below_under_its_own_beginning():
    columns = [Column("claim", right=False, elastic=True, folds=True), Column("ms")]
    rows = [[styled("  the fastest of all"), styled("12")], [styled("short"), styled("7")]]
    assert plain(grid(columns, rows, sheet(16))) == [
        "claim         ms",
        "  the fastest 12",
        "  of all",
        "short          7",
    ]


@pytest.mark.parametrize(
    ("width", "head"),
    [
        (80, "name       p50   p90      n"),
        (26, "name       p50   p90"),
        (19, "name      p50  p90"),
        (17, "name       p50"),
        (8, "name"),
    ],
)
def test_a_narrow_table_loses_extras_then_space_then_its_least_column(width, head):
    assert table(width)[0] == head


def test_a_table_that_can_lose_nothing_more_cuts_its_names():
    assert table(6) == ["name", "respo…", "ITL"]


def test_a_table_of_only_headless_columns_has_no_head():
    assert plain(grid([Column(right=False), Column()], [[styled("a"), styled("1")]], sheet(20))) == ["a  1"]


def test_facts_break_between_items_and_hang_below_the_first():
    items = [styled("ok 1,993"), styled("timeout 4")]
    assert plain(fact("outcomes", items, sheet(80))) == ["outcomes    ok 1,993   timeout 4"]
    assert plain(fact("outcomes", items, sheet(30))) == ["outcomes    ok 1,993", "            timeout 4"]
    assert fact("outcomes", [], sheet(30)) == []


def test_a_paragraph_hangs_below_its_lead():
    assert plain(paragraph(styled("one two three"), sheet(9), "! ")) == ["! one two", "  three"]


def test_blocks_stand_beside_each_other_where_they_fit():
    left, right = [styled("aa"), styled("a")], [styled("bbb")]
    assert plain(beside(left, right, sheet(10))) == ["aa     bbb", "a"]
    assert plain(beside(left, right, sheet(9))) == ["aa", "a", "", "bbb"]


def test_no_blank_line_stands_where_a_block_is_empty():
    assert plain(separated([], [styled("a")], [], [styled("b")], [])) == ["a", "", "b"]


def test_markup_and_escape_sequences_in_foreign_text_are_only_text():
    hostile = "[red]x[/red] \x1b[2J\x1b]0;title\x07 \u202etxt"
    written = drawn(Drawn(lambda _: [styled(hostile)]), colour="truecolor")
    assert "[red]x[/red]" in written
    assert "\x1b" not in written
    assert "\u202e" not in written


@given(st.lists(st.text(max_size=30), max_size=8), st.integers(1, 60))
def test_nothing_that_flows_is_wider_than_its_sheet_unless_one_character_is(items, width):
    lines = flow([styled(item) for item in items], sheet(width))
    assert all(line.cell_len <= max(2, width) for line in lines)


@given(st.lists(st.lists(st.text(max_size=20), min_size=4, max_size=4), max_size=5), st.integers(40, 60))
def test_no_table_is_wider_than_its_sheet(rows, width):
    columns = [Column("name", right=False, elastic=True), *(Column("x", rank=rank) for rank in (1, 2, EXTRA))]
    lines = list(grid(columns, [[styled(cell) for cell in row] for row in rows], sheet(width)))
    assert all(line.cell_len <= width for line in lines)
