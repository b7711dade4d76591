from xml.etree import ElementTree as ET

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmload.model.result import CriterionResult, Verdict
from mmload.show.junit import to_junit

PASSED = CriterionResult(
    metric="response_p99_ms",
    op="<",
    limit=500,
    baseline=None,
    required=True,
    value=94.651,
    low=88.97,
    high=112.5,
    n=13_000,
    verdict="PASS",
    evidence="requests.jsonl: exact binomial",
)


def verdict_with(*criteria):
    return Verdict(
        verdict="FAIL",
        gate="release",
        candidate="20261120T000100Z-optimized-0001",
        baselines={},
        confidence=0.95,
        criteria=list(criteria),
    )


def only_case(*criteria):
    return ET.fromstring(to_junit(verdict_with(*criteria))).find("testsuite/testcase")


@pytest.mark.parametrize(
    ("word", "required", "tag"),
    [
        ("PASS", True, None),
        ("FAIL", True, "failure"),
        ("INCONCLUSIVE", True, "error"),
        ("INVALID", True, "error"),
        ("SKIPPED", True, "error"),
        ("PASS", False, None),
        ("FAIL", False, "skipped"),
        ("INCONCLUSIVE", False, "skipped"),
        ("SKIPPED", False, "skipped"),
    ],
)
def test_each_verdict_has_its_place_in_junit(word, required, tag):
    case = only_case(msgspec.structs.replace(PASSED, verdict=word, required=required))
    assert [child.tag for child in case] == ([tag, "system-out"] if tag else ["system-out"])


def test_a_case_carries_criterion_figure_bounds_number_and_evidence():
    failed = msgspec.structs.replace(PASSED, verdict="FAIL", baseline="rollback", needed=None)
    case = only_case(failed)
    assert case.attrib == {"classname": "mmload.gate.release", "name": "response_p99_ms < 500 vs rollback"}
    assert case.find("failure").get("message") == "FAIL: 94.65 [88.97, 112.5], n 13,000; requests.jsonl: exact binomial"
    assert case.find("system-out").text == "94.65 [88.97, 112.5], n 13,000: requests.jsonl: exact binomial"


def test_what_is_needed_is_in_the_message():
    open_ = msgspec.structs.replace(PASSED, verdict="INCONCLUSIVE", value=None, low=None, high=None, needed="40 s more")
    assert only_case(open_).find("error").get("message") == "INCONCLUSIVE: no figure, n 13,000; 40 s more"


def test_the_counts_are_those_of_the_cases():
    words = ("PASS", "FAIL", "FAIL", "INVALID", "INCONCLUSIVE")
    root = ET.fromstring(to_junit(verdict_with(*(msgspec.structs.replace(PASSED, verdict=word) for word in words))))
    for element in (root, root.find("testsuite")):
        assert [element.get(name) for name in ("tests", "failures", "errors", "skipped")] == ["5", "2", "2", "0"]


@given(st.text(st.characters()))
def test_whatever_a_server_said_the_document_stays_well_formed(text):
    case = only_case(msgspec.structs.replace(PASSED, verdict="INVALID", evidence=text))
    assert case.find("error").get("message").startswith("INVALID: ")
