"""What Jenkins' junit-10.xsd asks of a document, for the elements that mmload writes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple
from xml.etree import ElementTree as ET


class Rule(NamedTuple):
    """required, optional: attributes. children: the elements that it may have. text: whether it may hold words."""

    required: frozenset[str] = frozenset()
    optional: frozenset[str] = frozenset()
    children: frozenset[str] = frozenset()
    text: bool = False


def _names(words: str) -> frozenset[str]:
    return frozenset(words.split())


_TOLD = Rule(optional=_names("type message"), text=True)
RULES = {
    "testsuites": Rule(optional=_names("name time tests failures errors"), children=_names("testsuite")),
    "testsuite": Rule(
        required=_names("name tests failures errors"),
        optional=_names("group time skipped timestamp hostname id package file log url"),
        children=_names("testsuite properties testcase system-out system-err"),
    ),
    "properties": Rule(children=_names("property")),
    "property": Rule(required=_names("name value")),
    "testcase": Rule(
        required=_names("name"),
        optional=_names("time classname group"),
        children=_names("skipped error failure system-out system-err"),
    ),
    "failure": _TOLD,
    "error": _TOLD,
    "skipped": _TOLD,
    "system-out": Rule(text=True),
    "system-err": Rule(text=True),
}
_TIME = re.compile(r"(([0-9]{0,3},)*[0-9]{3}|[0-9]{0,3})*(\.[0-9]*)?")


def faults(document: str) -> list[str]:
    """Where a document breaks the rules, one phrase each."""
    root = ET.fromstring(document.encode())
    wrong_root = [] if root.tag in {"testsuites", "testsuite"} else [f"{root.tag} is no root"]
    return [*wrong_root, *_faults(root)]


def _faults(element: ET.Element) -> Iterator[str]:
    rule = RULES.get(element.tag)
    if rule is None:
        yield f"unknown element {element.tag}"
        return
    given = set(element.attrib)
    yield from (f"{element.tag} lacks {name}" for name in sorted(rule.required - given))
    yield from (f"{element.tag} has {name}" for name in sorted(given - rule.required - rule.optional))
    yield from (f"{child.tag} in {element.tag}" for child in element if child.tag not in rule.children)
    if not _TIME.fullmatch(element.get("time", "")):
        yield f"the time of {element.tag} is {element.get('time')}"
    words = [element.text, *(child.tail for child in element)]
    if not rule.text and any(word and word.strip() for word in words):
        yield f"words in {element.tag}"
    for child in element:
        yield from _faults(child)
