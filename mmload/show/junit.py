"""A verdict as JUnit XML, for CI systems: a suite for each scene, one test case a criterion.

PASS                        passed
FAIL                        failure
INCONCLUSIVE, INVALID       error: nothing was shown
SKIPPED                     error where required, as the gate counts it; else skipped
not required, not PASS      skipped: it decides nothing, and its word is in the message

Elements and attributes are those of Jenkins' junit-10.xsd, which most readers of JUnit XML share.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Literal
from xml.etree import ElementTree as ET

from mmload.model.result import CriterionResult, Verdict
from mmload.show.answer_texts import shortened
from mmload.show.figures import SceneResults, by_scene, confidence_text, criterion_text, figures_text, looks_text

Outcome = Literal["failure", "error", "skipped"]

_UNPRINTABLE = re.compile(r"[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ANSWER_WIDTH = 1000


def to_junit(verdict: Verdict) -> str:
    """The XML document, with declaration and final newline."""
    counted = _counts(verdict.criteria)
    del counted["skipped"]  # the schema has it for a suite alone
    root = ET.Element("testsuites", {"name": "mmload gate", **counted})
    for scene in by_scene(verdict):
        _add_suite(root, verdict, scene)
    ET.indent(root)
    body = ET.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{body}\n'


def _add_suite(root: ET.Element, verdict: Verdict, scene: SceneResults) -> None:
    forced = " (FORCED)" if verdict.forced else ""
    name = f"{verdict.gate}: {scene.name}{forced}"
    suite = ET.SubElement(root, "testsuite", {"name": _printable(name), **_counts(scene.criteria)})
    properties = ET.SubElement(suite, "properties")
    for key, value in _properties(verdict, scene):
        ET.SubElement(properties, "property", {"name": _printable(key), "value": _printable(value)})
    for criterion in scene.criteria:
        _add_case(suite, f"mmload.gate.{verdict.gate}.{scene.name}", criterion)
    if cautions := [*(f"forced: {difference}" for difference in verdict.forced), *verdict.warnings]:
        ET.SubElement(suite, "system-err").text = _printable("\n".join(cautions))


def _properties(verdict: Verdict, scene: SceneResults) -> Iterator[tuple[str, str]]:
    yield "verdict", verdict.verdict
    yield "bounds", confidence_text(verdict)
    if looks := looks_text(verdict):
        yield "looks", looks
    if verdict.campaign:
        yield "campaign", verdict.campaign
    if scene.runs.load:
        yield "load", scene.runs.load
    yield "candidate", ", ".join(scene.runs.candidate)
    for baseline, runs in scene.runs.baselines.items():
        yield f"baseline {baseline}", ", ".join(runs)


def _counts(criteria: Iterable[CriterionResult]) -> dict[str, str]:
    outcomes = [_outcome(criterion) for criterion in criteria]
    counts = Counter(outcomes)
    return {
        "tests": str(len(outcomes)),
        "failures": str(counts["failure"]),
        "errors": str(counts["error"]),
        "skipped": str(counts["skipped"]),
    }


def _outcome(criterion: CriterionResult) -> Outcome | None:
    if criterion.verdict == "PASS":
        return None
    if not criterion.required:
        return "skipped"
    return "failure" if criterion.verdict == "FAIL" else "error"


def _add_case(suite: ET.Element, group: str, criterion: CriterionResult) -> None:
    names = {"classname": _printable(group), "name": _printable(criterion_text(criterion))}
    case = ET.SubElement(suite, "testcase", names)
    if outcome := _outcome(criterion):
        optional = "" if criterion.required else " (not required)"
        message = f"{criterion.verdict}{optional}: {figures_text(criterion)}; {criterion.needed or criterion.evidence}"
        kind = {} if outcome == "skipped" else {"type": criterion.verdict}
        told = ET.SubElement(case, outcome, {"message": _printable(message), **kind})
        if criterion.differences:
            told.text = _printable("\n".join(_differences(criterion)))
    ET.SubElement(case, "system-out").text = _printable(f"{figures_text(criterion)}: {criterion.evidence}")


def _differences(criterion: CriterionResult) -> Iterator[str]:
    for difference in criterion.differences:
        expected, given = shortened(difference.expected, difference.given, _ANSWER_WIDTH)
        yield f"{difference.item} ({difference.modality})"
        yield f"  expected: {expected} ({difference.expected_run})"
        yield f"  given:    {given} ({difference.given_run})"
    if criterion.more_differences:
        yield f"and {criterion.more_differences:,} more"


def _printable(text: str) -> str:
    """XML 1.0 can't hold most control characters, and the error text of a server may."""
    return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text)
