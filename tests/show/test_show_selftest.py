"""The selftest's rows and its end, from rows of every state."""

import msgspec
import pytest
from rich.console import Console, Group
from show_samples import drawn, drawn_lines

from mmload.model.live import LiveView
from mmload.model.selftest import SelftestReport, SelftestRow, SimulatedRate, Tally
from mmload.show.progress_selftest import SelftestProgress
from mmload.show.tables_selftest import render_report, render_row

RIGHT = SelftestRow(
    name="errors",
    planted=True,
    truth="every 500th request fails, the limit is 0.1 %",
    expected="FAIL",
    came="FAIL",
    reason="error_rate 0.002 (0.00115 to 0.00324), limit < 0.001: requests.jsonl: Clopper-Pearson",
    state="right",
    took_s=23.4,
)
ROWS = [
    RIGHT,
    msgspec.structs.replace(
        RIGHT,
        name="lost-rank",
        truth="rank 1 is killed in mid-run",
        expected="exit 5",
        came="exit 0",
        reason="the run came to its end",
        amiss="nothing was found",
        state="wrong",
    ),
    msgspec.structs.replace(
        RIGHT,
        name="starved-generator",
        planted=False,
        truth="nothing",
        expected="PASS",
        came="INVALID",
        reason="requests were sent late: lag p99 [bold]27.2 ms[/bold], the limit is 10 ms",
        amiss="the host left nothing to judge by",
        state="not judged",
        attempts=2,
    ),
    msgspec.structs.replace(
        RIGHT, came="exit 5", reason="no free port", amiss="no server could be run", state="not made"
    ),
]
RATE = SimulatedRate(
    metric="response_p99_ms",
    about="20,000 requests in bursts of 5, which the gate declares",
    trials=1000,
    at_limit_passed=21,
    at_limit_failed=34,
    better_passed=987,
    better_failed=2,
    worse_passed=1,
    worse_failed=1000,
)
REPORT = SelftestReport(
    mmload="1.0",
    quick=False,
    complete=True,
    rows=ROWS,
    false_alarms=Tally(wrong=0, judged=1),
    misses=Tally(wrong=1, judged=2),
    simulated=[RATE, msgspec.structs.replace(RATE, metric="qps", about="40 s at a limit of 70/s", better_passed=1000)],
    kept="/tmp/mmload-selftest-x",
)
BARE = msgspec.structs.replace(REPORT, rows=[], simulated=[], kept=None, complete=False)


def all_of(report):
    return Group(*map(render_row, report.rows), render_report(report))


@pytest.mark.parametrize(("name", "colour"), [("selftest", None), ("selftest-colour", "truecolor")])
@pytest.mark.parametrize("width", [80, 140])
def test_a_selftest_looks_as_it_did(name, colour, width, golden):
    golden(f"{name}-{width}", drawn(all_of(REPORT), width, colour))


def test_one_that_ended_before_its_first_row_says_so():
    assert "ended before all rows had their turn" in drawn(render_report(BARE))


@pytest.mark.parametrize("width", [40, 80, 140])
@pytest.mark.parametrize("report", [REPORT, BARE])
def test_no_line_is_wider_than_the_terminal(report, width):
    assert max(map(len, drawn(all_of(report), width).splitlines())) <= width


def test_rows_come_as_they_are_made_and_nothing_else_where_there_is_no_terminal(tmp_path):
    with (tmp_path / "log").open("w+") as log:
        with SelftestProgress(Console(file=log, width=80), rows=1) as progress:
            progress.begins("errors")
            progress.shows(LiveView(stage="measure"))
            progress.ended(RIGHT)
        log.seek(0)
        assert log.read() == drawn(render_row(RIGHT))


@pytest.mark.parametrize("width", [60, 80, 140])
def test_nothing_of_a_row_is_cut_off_at_the_edge_of_the_terminal(width):
    assert all(len(line) <= width for row in ROWS for line in drawn_lines(render_row(row), width))
