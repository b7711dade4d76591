"""Identical answers, item by item, and the kinds of input that were answered."""

import msgspec
import pytest
from factory import make_run

from mmload.judge.evidence import Rounds
from mmload.judge.figures import Terms
from mmload.judge.metrics import METRICS
from mmload.model.records import RequestRecord
from mmload.store.append import LineWriter
from mmload.store.read import read_lines

TERMS = Terms(0.95, 1.0)
SHORT = {"duration_s": 2.0, "rate_rps": 20.0}


def side(folder, variant, *rounds):
    """Runs of one variant; each round is what its Truth has other than usual."""
    return Rounds([make_run(folder, variant, **SHORT | {"number": n} | told) for n, told in enumerate(rounds)])


def identical(tmp_path, candidate, baseline):
    sides = side(tmp_path / "ours", "optimized", *candidate), side(tmp_path / "theirs", "original", *baseline)
    return METRICS["outputs_identical"].of_two(*sides, TERMS)


def covered(tmp_path, *rounds):
    return METRICS["modalities_covered"].of_one(side(tmp_path, "optimized", *rounds), TERMS)


def change_identity(run, **changes):
    """Write the run's first identity record anew."""
    first, *rest = read_lines(run.layout.requests, RequestRecord)
    run.layout.requests.unlink()
    with LineWriter(run.layout.requests) as writer:
        for record in (msgspec.structs.replace(first, **changes), *rest):
            writer.write(record)


def test_all_items_of_all_rounds_are_compared_each_with_that_of_its_round(tmp_path):
    rounds = ({"seed": 1}, {"seed": 2, "answers": ("one", "two", "three", "four")})
    figure = identical(tmp_path, rounds, rounds)
    assert (figure.value, figure.low, figure.high, figure.n) == (1.0, 1.0, 1.0, 8)
    assert figure.differences == ()


def test_a_difference_is_shown_with_both_texts_and_their_runs(tmp_path):
    figure = identical(tmp_path, ({"answers": ("red", "pink", "blue", "grey")},), ({},))
    (difference,) = figure.differences
    assert figure.value == 0.0
    assert (difference.item, difference.modality) == ("same-1", "image")
    assert (difference.expected, difference.given) == ("It is green.", "It is pink.")
    assert "original" in difference.expected_run
    assert "optimized" in difference.given_run
    assert "1 of 4 items: same-1" in figure.evidence


def test_a_difference_in_one_round_alone_is_one(tmp_path):
    other = {"seed": 2, "answers": ("red", "green", "blue", "gray")}
    figure = identical(tmp_path, ({"seed": 1}, other), ({"seed": 1}, {"seed": 2}))
    assert (figure.value, figure.n, [difference.item for difference in figure.differences]) == (0.0, 8, ["same-3"])


def test_of_many_differences_a_handful_is_shown_and_the_rest_counted(tmp_path):
    theirs, ours = ([f"{colour} {n}" for n in range(12)] for colour in ("red", "blue"))
    figure = identical(tmp_path, ({"answers": ours},), ({"answers": theirs},))
    assert (len(figure.differences), figure.more_differences) == (5, 7)
    assert "12 of 12 items: same-0, same-1, same-10 and 9 more" in figure.evidence


def test_another_number_of_ranks_and_another_load_are_no_hindrance(tmp_path):
    figure = identical(tmp_path, ({"tp": 1, "rate_rps": 10.0, "duration_s": 3.0},), ({"tp": 4},))
    assert figure.value == 1.0


def test_what_was_not_asked_of_both_is_not_compared(tmp_path):
    figure = identical(tmp_path, ({"seed": 1},), ({"seed": 2},))
    assert figure.value is None
    assert "seeds" in figure.obstacle
    fewer = identical(
        tmp_path / "fewer", ({"seed": 2, "answers": ("red", "green", "blue", "grey")},), ({"seed": 2}, {"seed": 3})
    )
    assert (fewer.value, fewer.n) == (1.0, 4)


@pytest.mark.parametrize("answers", [(), ("red",), ("red", "red", "red")])
def test_the_comparison_is_void_where_items_are_not_told_apart(tmp_path, answers):
    figure = identical(tmp_path, ({"answers": answers},), ({"answers": answers},))
    assert figure.value is None
    assert figure.obstacle


def test_a_difference_counts_though_the_baseline_gave_every_item_the_same_answer(tmp_path):
    figure = identical(tmp_path, ({"answers": ("red", "red", "red", "pink")},), ({"answers": ("red",) * 4},))
    (difference,) = figure.differences
    assert (figure.value, difference.expected, difference.given) == (0.0, "It is red.", "It is pink.")


@pytest.mark.parametrize(("answers", "value"), [((), None), (("red", "green", "blue", "pink"), 0.0)])
def test_an_item_that_the_baseline_did_not_answer_is_nothing_to_hold_the_candidate_against(tmp_path, answers, value):
    truth = {"answers": answers} if answers else {}
    ours, theirs = side(tmp_path / "ours", "optimized", truth), side(tmp_path / "theirs", "original", {})
    change_identity(theirs.runs[0].run, outcome="timeout", error="no answer in 30 s", output_sha256=None)
    figure = METRICS["outputs_identical"].of_two(ours, theirs, TERMS)
    assert figure.value == value
    said = "no answer of the baseline to same-0 (no answer: timeout: no answer in 30 s)"
    assert figure.evidence.endswith(f"1 of 4 items: same-3; {said}") if answers else figure.obstacle == said
    assert [difference.item for difference in figure.differences] == (["same-3"] if answers else [])


def test_what_one_run_of_the_baseline_did_not_answer_another_may_have(tmp_path):
    ours, theirs = side(tmp_path / "ours", "optimized", {}, {}), side(tmp_path / "theirs", "original", {}, {})
    change_identity(theirs.runs[0].run, outcome="timeout", error="no answer", output_sha256=None)
    assert METRICS["outputs_identical"].of_two(ours, theirs, TERMS).value == 1.0


def test_it_is_void_where_the_baseline_contradicts_itself(tmp_path):
    again = {"answers": ("red", "green", "blue", "black")}
    figure = identical(tmp_path, ({},), ({}, again))
    assert figure.value is None
    assert figure.obstacle == "the baseline's own runs differ in same-3"


def test_a_candidate_that_contradicts_itself_differs_and_the_evidence_says_so(tmp_path):
    again = {"answers": ("red", "green", "blue", "black")}
    figure = identical(tmp_path, ({}, again), ({},))
    assert figure.value == 0.0
    assert figure.evidence.endswith("1 of 4 items: same-3; the candidate's own runs differ in same-3")
    assert figure.differences[0].given == "It is black."


def test_an_item_that_one_side_did_not_answer_is_a_difference_with_the_error_as_its_text(tmp_path):
    ours, theirs = side(tmp_path / "ours", "optimized", {}), side(tmp_path / "theirs", "original", {})
    change_identity(ours.runs[0].run, outcome="http_error", error="HTTP 500: out of memory", output_sha256=None)
    (difference,) = METRICS["outputs_identical"].of_two(ours, theirs, TERMS).differences
    assert (difference.expected, difference.given) == ("It is red.", "(no answer: http_error: HTTP 500: out of memory)")


def test_an_item_that_neither_side_answered_says_nothing(tmp_path):
    sides = side(tmp_path / "ours", "optimized", {}), side(tmp_path / "theirs", "original", {})
    for rounds in sides:
        change_identity(rounds.runs[0].run, outcome="timeout", error="no answer", output_sha256=None)
    figure = METRICS["outputs_identical"].of_two(*sides, TERMS)
    assert (figure.value, figure.n) == (1.0, 3)


def test_folders_without_texts_are_compared_by_their_digests(tmp_path):
    old = {"keeps_answers": False}
    assert identical(tmp_path / "same", (old,), (old,)).value == 1.0
    (difference,) = identical(
        tmp_path / "other", (old | {"answers": ("red", "green", "blue", "pink")},), (old,)
    ).differences
    assert (difference.expected, difference.given) == (
        "(text not kept, sha256 grey)",
        "(text not kept, sha256 pink)",
    )


def test_each_kind_of_input_that_was_answered_counts_once(tmp_path):
    figure = covered(tmp_path, {"modalities": ("image", "images", "video", "audio", "text")})
    assert (figure.value, figure.low, figure.high) == (3.0, 3.0, 3.0)
    assert figure.n == 44


def test_a_kind_may_be_covered_by_another_round(tmp_path):
    assert covered(tmp_path, {"modalities": ("image",)}, {"modalities": ("images", "video")}).value == 2.0


def test_a_kind_that_is_missing_is_named_with_the_reason(tmp_path):
    audio = dict.fromkeys(range(1, 40, 2), "http_error")
    figure = covered(tmp_path, {"modalities": ("image", "audio"), "outcomes": audio, "answers": ()})
    assert figure.value == 1.0
    assert figure.evidence == (
        "requests.jsonl: image: 20 answered; video: not in the workload; audio: none answered: planted: http_error"
    )
