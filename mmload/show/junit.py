"""A verdict as JUnit XML, for CI systems: one test case a criterion.

PASS                        passed
FAIL                        failure
INCONCLUSIVE, INVALID       error: nothing was shown
SKIPPED                     error where required, as the gate counts it; else skipped
not required, not PASS      skipped: it decides nothing, and its word is in the message
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Literal
from xml.etree import ElementTree as ET

from mmload.model.result import CriterionResult, Verdict
from mmload.show.figures import criterion_text, figures_text

Outcome = Literal["failure", "error", "skipped"]

_UNPRINTABLE = re.compile(r"[^\t\n\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def to_junit(verdict: Verdict) -> str:
    """The XML document, with declaration and final newline."""
    outcomes = [_outcome(criterion) for criterion in verdict.criteria]
    counts = Counter(outcomes)
    numbers = {
        "tests": str(len(outcomes)),
        "failures": str(counts["failure"]),
        "errors": str(counts["error"]),
        "skipped": str(counts["skipped"]),
    }
    root = ET.Element("testsuites", {"name": "mmload gate", **numbers})
    suite = ET.SubElement(root, "testsuite", {"name": f"{verdict.gate}: {verdict.candidate}", **numbers})
    for criterion, outcome in zip(verdict.criteria, outcomes, strict=True):
        _add_case(suite, verdict.gate, criterion, outcome)
    ET.indent(root)
    body = ET.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{body}\n'


def _outcome(criterion: CriterionResult) -> Outcome | None:
    if criterion.verdict == "PASS":
        return None
    if not criterion.required:
        return "skipped"
    return "failure" if criterion.verdict == "FAIL" else "error"


def _add_case(suite: ET.Element, gate: str, criterion: CriterionResult, outcome: Outcome | None) -> None:
    names = {"classname": f"mmload.gate.{gate}", "name": criterion_text(criterion)}
    case = ET.SubElement(suite, "testcase", names)
    if outcome:
        optional = "" if criterion.required else " (not required)"
        message = f"{criterion.verdict}{optional}: {figures_text(criterion)}; {criterion.needed or criterion.evidence}"
        kind = {} if outcome == "skipped" else {"type": criterion.verdict}
        ET.SubElement(case, outcome, {"message": _printable(message), **kind})
    ET.SubElement(case, "system-out").text = _printable(f"{figures_text(criterion)}: {criterion.evidence}")


def _printable(text: str) -> str:
    """XML 1.0 can't hold most control characters, and the error text of a server may."""
    return _UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text)
