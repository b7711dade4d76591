from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from show_samples import criterion, drawn, drawn_lines, verdict

from mmload.model.result import CriterionResult, VerdictWord
from mmload.show.tables_verdict import render_verdict
from mmload.show.terminal_figures import figures

WORDS = get_args(VerdictWord)


def lines(judged, width=80):
    return drawn(render_verdict(judged), width).splitlines()


@pytest.mark.parametrize("word", WORDS)
def test_the_last_line_is_the_verdict(word):
    assert lines(verdict(verdict=word), 140)[-1].startswith(f" {word} ")


def test_a_failed_gate_names_the_criteria_that_failed_it():
    assert lines(verdict())[-1] == " FAIL  error_rate (required criteria: 3 PASS, 1 FAIL, 1 INCONCLUSIVE)"


def test_a_required_criterion_that_was_skipped_is_named_by_an_inconclusive_gate():
    judged = verdict(verdict="INCONCLUSIVE", criteria=[criterion("qps", ">", 70, verdict="SKIPPED")])
    assert lines(judged)[-1] == " INCONCLUSIVE  qps (required criteria: 1 SKIPPED)"


def test_a_criterion_that_is_not_required_says_so_and_is_not_counted():
    judged = verdict(verdict="PASS", criteria=[criterion("qps", ">", 70), criterion("qps", ">", 90, required=False)])
    assert lines(judged)[-1] == " PASS  required criteria: 1 PASS"
    assert "    shown only: not required" in lines(judged)


def test_an_undecided_criterion_says_what_would_decide_it():
    judged = verdict(criteria=[criterion("qps", ">", 70, verdict="INCONCLUSIVE", needed="480 requests more")])
    assert "    needed: 480 requests more" in lines(judged)


def test_a_gate_without_criteria_is_drawn_too():
    assert lines(verdict(verdict="INVALID", criteria=[]))[-1] == " INVALID  required criteria: none"


amounts = st.none() | st.floats(-1e5, 1e5).map(lambda value: round(value, 4))
some_criterion = st.builds(
    CriterionResult,
    metric=st.sampled_from(["qps", "response_p99_ratio", "handoff_cpu_saved", "rss_growth_mb_per_h"]),
    op=st.sampled_from(["<", ">="]),
    limit=st.sampled_from([500, 0.001, 1.05]),
    baseline=st.none() | st.sampled_from(["original", "rollback"]),
    required=st.booleans(),
    value=amounts,
    low=amounts,
    high=amounts,
    n=st.integers(0, 100_000),
    verdict=st.sampled_from(WORDS),
    evidence=st.text(max_size=200),
    needed=st.none() | st.text(max_size=200),
)


@settings(max_examples=50, deadline=None)
@given(st.lists(some_criterion, max_size=6), st.sampled_from([80, 140]))
def test_no_line_is_too_wide_and_every_figure_is_there(criteria, width):
    written = drawn_lines(render_verdict(verdict(criteria=criteria)), width)
    assert [line for line in written if len(line) > width and line.isascii()] == []
    text = "\n".join(written)
    for judged in criteria:
        row = (judged.metric, judged.baseline or "", judged.verdict)
        for shown in (*row, *figures([judged.value, judged.low, judged.high], most=4, limit=judged.limit)):
            assert shown in text
