"""A word alone is not right: the reason must be."""

from mmload.errors import RunInvalid, ServerDied
from mmload.model.result import CriterionResult
from mmload.selftest.seen import Seen, by_exit, by_gate

RESULT = CriterionResult(
    metric="error_rate",
    op="<",
    limit=0.001,
    baseline=None,
    required=True,
    value=0.002,
    low=0.0011,
    high=None,
    n=5000,
    verdict="FAIL",
    evidence="requests.jsonl: Clopper-Pearson",
)


def test_the_gates_word_comes_with_its_figure_its_bounds_and_its_evidence():
    seen = by_gate(RESULT, "FAIL")
    assert (seen.came, seen.amiss) == ("FAIL", None)
    assert seen.reason == "error_rate < 0.001: 0.0020 (0.0011 to ∞), n 5,000: requests.jsonl: Clopper-Pearson"


def test_another_word_is_amiss():
    assert by_gate(RESULT, "PASS").amiss == "it is not PASS"


def test_the_right_word_for_another_reason_is_amiss():
    assert by_gate(RESULT, "FAIL").saying("highest: scheduler_TP1").amiss is not None
    assert by_gate(RESULT, "FAIL").saying("Clopper").amiss is None


def test_what_was_amiss_first_is_said():
    assert Seen(came="a", reason="b").but("first").but("second").amiss == "first"
    assert Seen(came="a", reason="b").but(None).but("second").amiss == "second"


def test_a_run_that_came_to_its_end_found_nothing():
    assert by_exit(None, "rank 1").amiss == "nothing was found"


def test_an_exit_is_right_only_with_its_code_and_its_sentence():
    assert by_exit(ServerDied("the server ended:\nrank 1 is gone"), "rank 1").amiss is None
    assert by_exit(ServerDied("rank 0 is gone"), "rank 1").amiss is not None
    assert by_exit(RunInvalid("rank 1 was not heard"), "rank 1").amiss == "it is not exit 5"
