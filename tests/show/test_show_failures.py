"""The reasons of failures, in the terminal and in a report: strangers' words, as plain text."""

import msgspec
import pytest
from factory import make_run
from report_made import HOSTILE, report
from show_samples import drawn, drawn_lines, summary

from mmload.model.result import Failure
from mmload.show.report_failures import failure_table
from mmload.show.report_page import report_page
from mmload.show.terminal_failures import failure_kinds, most_frequent_failure
from mmload.show.terminal_sheet import Drawn

FAILURE = Failure(outcome="http_error", error="no", requests=3, first_s=0.04, last_s=19.2, example="9f3c-4")
EVIL = f"{HOSTILE}\x1b[31m[bold]\r\n\u202e{'long ' * 30}"


def terminal(view, changed, width=80):
    return drawn(Drawn(lambda sheet: view(changed, sheet)), width)


@pytest.mark.parametrize("view", [failure_kinds, most_frequent_failure])
@pytest.mark.parametrize("width", [60, 80, 140])
def test_a_hostile_text_is_plain_text_within_the_terminal(view, width):
    evil = summary(failures=[msgspec.structs.replace(FAILURE, error=EVIL, example=EVIL[:40])])
    shown = terminal(view, evil, width)
    assert not {"\x1b", "\r", "\u202e"} & set(shown)
    assert [line for line in drawn_lines(Drawn(lambda sheet: view(evil, sheet)), width) if len(line) > width] == []
    assert "</script><img src=x" in shown


def test_without_failures_nothing_is_said():
    fine = summary(failures=[])
    assert terminal(failure_kinds, fine) == terminal(most_frequent_failure, fine) == ""
    assert failure_table(fine) is None


def test_every_kind_has_its_outcome_number_times_and_example_and_below_it_what_was_said():
    shown = terminal(failure_kinds, summary(more_failures=3)).splitlines()
    assert shown[1].split() == ["timeout", "4", "6.3", "13.0", "9f3c-1137"]
    assert shown[2] == "    no complete answer within 30 s"
    assert shown[-2:] == ["  and 3 more kinds", "  #: what differs from one request to the next"]


def test_a_run_ends_with_the_most_frequent_kind_on_a_line_of_its_own():
    long = summary(failures=[msgspec.structs.replace(FAILURE, error="no " * 60)])
    (line,) = terminal(most_frequent_failure, long).splitlines()
    assert line.startswith("most often  3 http_error: no no")
    assert len(line) == 80


def test_a_report_has_a_row_for_each_kind_and_says_how_many_more_there_are():
    table = failure_table(summary(failures=[FAILURE], more_failures=1))
    assert [cell.text for cell in table.rows[0]] == ["http_error", "3", "no", "0.150 %", "0.0", "19.2", "9f3c-4"]
    assert table.note.startswith("and 1 more kind; due: in seconds")


def test_what_a_hostile_server_said_stands_in_the_report_and_does_nothing_there(tmp_path):
    run = make_run(tmp_path, duration_s=5, outcomes={3: "http_error"})
    path = run.layout.requests
    told = msgspec.json.encode(EVIL).decode()
    path.write_text(path.read_text().replace('"planted: http_error"', told), encoding="utf-8")
    html = report_page(report(run))
    assert "&lt;/script&gt;&lt;img src=x onerror=" in html[html.index('class="failures"') :]
    assert "<img src=x" not in html
    assert "\u202e" not in html
