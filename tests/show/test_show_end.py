"""How a run ends on the terminal."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from show_samples import drawn, drawn_lines, manifest, rank_cpu, summary, verdict
from show_timeline_samples import timeline
from test_show_summary import some_summary

from mmload.model.records import OUTCOMES
from mmload.show.terminal_end import render_end
from mmload.show.terminal_sheet import Drawn
from mmload.show.terminal_timeline import timeline_in_short

replace = msgspec.structs.replace

A_BAD_DAY = summary(
    outcomes=dict.fromkeys(OUTCOMES, 9),
    cpu={**summary().cpu, **{f"scheduler_TP{rank}": rank_cpu(30 + rank) for rank in range(16)}},
    findings=[f"finding {number}" for number in range(9)],
    warnings=[f"warning {number}" for number in range(9)],
)


def end(changed=None, width=80, **of_manifest):
    return drawn(render_end(changed or summary(), manifest(**of_manifest), timeline()), width).splitlines()


@pytest.mark.parametrize("width", [80, 140])
def test_a_run_ends_in_about_forty_lines_even_on_a_bad_day(width):
    assert len(end(width=width)) <= 40
    assert len(end(A_BAD_DAY, width=width)) <= 56


def test_what_is_left_out_is_said_to_be_and_where_it_is():
    shown = end(A_BAD_DAY)
    assert "  and 11 more that burnt less" in shown
    assert "> and 6 more findings" in shown
    assert "! and 4 more warnings" in shown
    assert any("mmload runs show" in line for line in shown)


def test_the_busiest_ranks_are_those_that_are_shown():
    bars = [line.split()[0] for line in end(A_BAD_DAY) if line.startswith("  scheduler")]
    assert bars == [f"scheduler_TP{rank}" for rank in range(11, 16)]


def test_a_verdict_stands_below_the_two_lines_that_matter():
    shown = drawn(render_end(summary(), manifest(), None, verdict())).splitlines()
    assert shown[2] == "verdict     FAIL error_rate (required criteria: 3 PASS, 1 FAIL, 1 INCONCLUSIVE)"


def test_a_run_that_is_judged_at_once_is_not_told_to_be_judged():
    assert any("mmload gate" in line for line in end())
    assert not any("mmload gate" in line for line in end(summary(gate="smoke")))


def test_outcomes_have_bars_only_where_they_differ():
    shown = end(summary(outcomes={"ok": 2000, "timeout": 0}))
    assert "outcomes    ok 2,000" in shown
    assert sum("━" in line for line in end()) == 1
    assert sum("╸" in line for line in end()) == 3


def test_without_a_profile_the_busiest_rank_burns_what_it_burns():
    bare = {name: replace(cpu, work_pct=None, phases={}) for name, cpu in summary().cpu.items()}
    shown = end(summary(cpu=bare))
    assert "busiest rank TP0 burns 34.2 % of a core" in shown[1]
    assert not any("CPU by phase" in line for line in shown)


def test_a_handoff_that_was_not_counted_says_where_its_cost_is_from():
    assert "by stack samples" in "\n".join(end(summary(handoff_source="samples")))
    assert "handoff" not in end(summary(handoff={}))[1]


def test_a_run_of_which_nothing_is_known_ends_in_words_too():
    shown = end(summary(status="failed", duration_s=0.0, requests=0, cpu={}, outcomes={}, handoff={}), error="it died")
    assert shown[0] == " FAILED  it died"
    assert shown[2] == "measured    nothing: the run ended before its measure window"


def test_a_closed_loop_offers_nothing():
    one = timeline()
    told = {name: values for name, values in one.series.items() if name != "offered_rps"}
    text = drawn(Drawn(lambda sheet: timeline_in_short(replace(one, series=told), sheet)))
    assert "achieved, req/s" in text
    assert "offered" not in text


def test_what_is_in_flight_stands_in_for_a_queue_that_nobody_tells_of():
    one = timeline()
    told = {name: values for name, values in one.series.items() if name != "queued"}
    text = drawn(Drawn(lambda sheet: timeline_in_short(replace(one, series=told), sheet)))
    assert "in flight" in text


def test_offered_and_achieved_rate_have_one_scale():
    one = timeline()
    half = one.series | {"achieved_rps": one.series["offered_rps"] / 2}
    text = drawn(Drawn(lambda sheet: timeline_in_short(replace(one, series=half), sheet)))
    offered, achieved = (line for line in text.splitlines() if "req/s" in line)
    assert "█" in offered
    assert "█" not in achieved


@settings(max_examples=30, deadline=None)
@given(some_summary(), st.integers(60, 140))
def test_no_line_of_the_end_is_wider_than_the_terminal(changed, width):
    written = drawn_lines(render_end(changed, manifest(), timeline()), width)
    assert [line for line in written if len(line) > width and line.isascii()] == []


@settings(max_examples=20, deadline=None)
@given(some_summary(), st.integers(1, 59))
def test_the_narrowest_terminal_gets_an_end_too(changed, width):
    assert drawn(render_end(changed, manifest(), timeline()), width)
