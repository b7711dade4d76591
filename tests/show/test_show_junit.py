from xml.etree import ElementTree as ET

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from junit_rules import faults
from show_samples import criterion, verdict, verdict_of_scenes

from mmload.show.junit import to_junit

PASSED = criterion("response_p99_ms", "<", 500, value=94.651, low=88.97, high=112.5, n=13_000)


def document(*criteria):
    return ET.fromstring(to_junit(verdict(criteria=list(criteria))))


def only_case(*criteria):
    return document(*criteria).find("testsuite/testcase")


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
    assert case.attrib == {"classname": "mmload.gate.release.main", "name": "response_p99_ms < 500 vs rollback"}
    figures = "94.7 (89.0 to 112.5), n 13,000"
    assert case.find("failure").get("message") == f"FAIL: {figures}; requests.jsonl: exact order statistics"
    assert case.find("system-out").text == f"{figures}: requests.jsonl: exact order statistics"


def test_times_that_are_infinite_are_said_to_be():
    dead = msgspec.structs.replace(PASSED, value=None, low=None, high=None, infinite=["value", "low"], verdict="FAIL")
    assert only_case(dead).find("failure").get("message").startswith("FAIL: ∞ (∞ to ∞), n 13,000; ")


def test_what_is_needed_is_in_the_message():
    open_ = msgspec.structs.replace(PASSED, verdict="INCONCLUSIVE", value=None, low=None, high=None, needed="40 s more")
    assert only_case(open_).find("error").get("message") == "INCONCLUSIVE: no figure, n 13,000; 40 s more"


def test_the_counts_are_those_of_the_cases():
    words = ("PASS", "FAIL", "FAIL", "INVALID", "INCONCLUSIVE")
    root = document(*(msgspec.structs.replace(PASSED, verdict=word) for word in words))
    for element in (root, root.find("testsuite")):
        assert [element.get(name) for name in ("tests", "failures", "errors")] == ["5", "2", "2"]


def test_each_scene_is_a_suite_that_names_its_runs():
    suites = ET.fromstring(to_junit(verdict_of_scenes())).findall("testsuite")
    assert [suite.get("name") for suite in suites] == [
        "release: main (FORCED)",
        "release: modalities (FORCED)",
        "release: single-rank (FORCED)",
    ]
    assert [len(suite.findall("testcase")) for suite in suites] == [3, 1, 2]
    properties = {one.get("name"): one.get("value") for one in suites[0].iter("property")}
    assert properties["candidate"].split(", ")[3] == "20261120T031403Z-optimized-77a3"
    assert properties["baseline rollback"].startswith("20261120T031400Z-rollback-77a0, ")
    assert properties["load"] == "images-small, 100 req/s, TP 4, standin 0.1.0, stand-in"
    assert properties["looks"] == "look 3 of 1 planned"
    assert suites[0].find("system-err").text.startswith("forced: original: model: stand-in, not qwen\nlook 3 of 1")


def test_answers_that_differ_are_in_the_failure():
    failure = ET.fromstring(to_junit(verdict_of_scenes())).findall("testsuite/testcase/failure")[1]
    assert "expected: The picture shows a red house" in failure.text
    assert "three `cows` | <script>" in failure.text
    assert failure.text.endswith("and 1 more")


@pytest.mark.parametrize("judged", [verdict(), verdict_of_scenes(), verdict(verdict="INVALID", criteria=[])])
def test_the_document_keeps_the_rules_of_the_common_schema(judged):
    assert faults(to_junit(judged)) == []


@pytest.mark.parametrize(
    ("document", "fault"),
    [
        ("<testsuites skipped='0'/>", "testsuites has skipped"),
        ("<testsuite name='x' tests='0' errors='0'/>", "testsuite lacks failures"),
        ("<testsuites><testcase name='x'/></testsuites>", "testcase in testsuites"),
        ("<testsuites time='1e3'/>", "the time of testsuites is 1e3"),
        ("<testsuites>words</testsuites>", "words in testsuites"),
        ("<report/>", "report is no root"),
    ],
)
def test_a_document_that_breaks_a_rule_is_told(document, fault):
    assert fault in faults(document)


@given(st.text(st.characters()))
def test_whatever_a_server_said_the_document_stays_well_formed(text):
    text_everywhere = msgspec.structs.replace(PASSED, verdict="INVALID", evidence=text, on=f"x{text}")
    judged = verdict(criteria=[text_everywhere], forced=[text], warnings=[text])
    root = ET.fromstring(to_junit(judged))
    assert root.find("testsuite/testcase/error").get("message").startswith("INVALID: ")
    assert faults(to_junit(judged)) == []
