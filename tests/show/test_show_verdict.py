from __future__ import annotations

from typing import get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from show_samples import criterion, drawn, drawn_lines, verdict, verdict_of_scenes

from mmload.model.result import CriterionResult, JudgedRuns, VerdictWord
from mmload.show.figures import criterion_text, figure_and_bounds
from mmload.show.tables_verdict import render_verdict

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
    assert "    shown only; n 2,000" in lines(judged)


def test_an_undecided_criterion_says_what_would_decide_it():
    judged = verdict(criteria=[criterion("qps", ">", 70, verdict="INCONCLUSIVE", needed="480 requests more")])
    assert "    needed: 480 requests more" in lines(judged)


def test_where_the_evidence_is_stands_under_every_criterion():
    said = [line for line in lines(verdict(), 140) if line.startswith("    ")]
    assert [line.split(";")[0].strip() for line in said] == [
        "n 2,000",
        "n 2,000",
        "n 2,000",
        "n 812",
        "n 0",
        "needed: no run of rollback to compare with: mmload run --variant rollback --rate 100",
        "shown only",
    ]


def test_what_all_criteria_rest_on_is_said_once():
    broken = {"verdict": "INVALID", "evidence": "manifest.json: a worker stalled", "n": 0, "value": None}
    judged = verdict(verdict="INVALID", criteria=[criterion(name, ">", 1, **broken) for name in ("qps", "qps_ratio")])
    assert "\n".join(lines(judged)).count("stalled") == 1


@pytest.mark.parametrize(
    ("ends", "text"),
    [
        ({"low": None}, "-∞ to 500"),
        ({"high": None}, "480 to ∞"),
        ({"low": None, "high": None}, "no bounds"),
        ({"low": 490, "high": 490, "value": 490}, "exact"),
        ({"low": 490, "high": 490, "value": 490, "confidence": 0.95}, "490 to 490"),
    ],
)
def test_an_end_that_nothing_bounds_reads_as_infinite(ends, text):
    judged = criterion("response_p99_ms", "<", 600, **{"value": 490, "low": 480, "high": 500} | ends)
    assert figure_and_bounds(judged) == ("490", text)


def test_a_figure_that_is_infinite_reads_so_and_one_that_is_missing_does_not():
    infinite = criterion("response_p99_ms", "<", 600, value=None, low=700, high=None)
    missing = criterion("response_p99_ms", "<", 600, value=None, low=None, high=None)
    wholly = msgspec.structs.replace(missing, infinite=["value", "low", "high"])
    assert (figure_and_bounds(infinite), figure_and_bounds(missing)) == (("∞", "700 to ∞"), ("-", ""))
    assert figure_and_bounds(wholly) == ("∞", "∞ to ∞")


def test_no_word_of_a_passing_line_is_lost():
    caution = "one run of each, so not how two starts differ"
    judged = verdict(criteria=[criterion("qps_ratio", ">", 1, evidence=f"requests.jsonl: {'block ' * 20}; {caution}")])
    assert caution in " ".join("\n".join(lines(judged)).split())


def test_a_run_that_several_criteria_lack_is_asked_for_once():
    command = "no run of rollback to compare with: mmload run --variant rollback --rate 100"
    lacking = {"baseline": "rollback", "verdict": "INCONCLUSIVE", "needed": command}
    written = lines(
        verdict(criteria=[criterion(name, ">", 1, **lacking) for name in ("qps_ratio", "cpu_work_ratio")]), 140
    )
    assert "\n".join(written).count(command) == 1
    assert "    needed: as above, for qps_ratio > 1 vs rollback" in written


def test_what_was_run_stands_above_the_runs_of_each_scene():
    written = "\n".join(lines(verdict_of_scenes(), 140))
    assert "on main\nload        images-small, 100 req/s, TP 4, standin 0.1.0, stand-in\ncandidate " in written


def test_a_scene_that_nothing_was_asked_of_has_no_empty_table():
    judged = verdict(scenes={"main": JudgedRuns(candidate=["a"]), "one": JudgedRuns(candidate=["b"])})
    assert "\n".join(lines(judged, 140)).count("criterion ") == 1


def test_a_margin_stands_beside_the_limit_that_it_moves():
    texts = [
        criterion_text(criterion("qps_ratio", op, 1, margin=0.05, baseline="rollback")) for op in ("<", ">", ">=", "<=")
    ]
    assert texts == [
        "qps_ratio < 1 + 0.05 vs rollback",
        "qps_ratio > 1 - 0.05 vs rollback",
        "qps_ratio >= 1 - 0.05 vs rollback",
        "qps_ratio <= 1 + 0.05 vs rollback",
    ]


def test_what_takes_from_the_verdicts_weight_is_said_before_the_table_and_in_the_last_line():
    written = "\n".join(lines(verdict_of_scenes(), 140))
    head, _, rest = written.partition("criterion ")
    assert " FORCED  original: model: stand-in, not qwen" in head
    assert "warning: look 3 of 1 planned" in head
    assert " ".join(rest.split()).endswith("; look 3 of 1 planned; runs that differ were compared by force")


def test_each_scene_names_its_runs_once_and_holds_its_own_criteria():
    written = "\n".join(lines(verdict_of_scenes(), 140))
    _, main, modalities, single = written.split("\non ")
    assert "20261120T031400Z-optimized-77a0 and 3 more" in main
    assert "modalities_covered >= 3" in modalities
    assert "baselines   original: 20261120T031400Z-original-77a0" in single
    assert "the baseline on main" in single
    assert written.count("20261120T031400Z-rollback-77a0") == 1


def test_answers_that_differ_are_shown_where_they_do():
    written = lines(verdict_of_scenes())
    expected, given = (
        [line for line in written if line.startswith(f"      {label}")] for label in ("expected", "given")
    )
    assert "two cows" in expected[0]
    assert "three `cows`" in given[0]
    assert "    and 1 more" in written


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
        for shown in (judged.metric, judged.baseline or "", judged.verdict, *figure_and_bounds(judged)):
            assert shown in text
