"""Why requests failed: those that are alike in outcome and words taken together, how many, and when.

A server's message often names the request, an address or a length: texts are alike where they differ in nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import chain, zip_longest

import numpy as np

from mmload.model.records import OUTCOMES
from mmload.model.result import Failure
from mmload.store.requests import RequestTable

VARIES = "#"
_LONGEST = 300  # characters of a text that are told apart and shown
_LOOKED_AT = 1000  # a longer text is no message
_TOLD_APART = 1000  # kinds; a server that says another thing each time has no more
_REST = "something else each time"

# What may differ from one request to the next is a word with a digit: a request id of mmload's; a UUID or a digest; a
# name with at least three (chatcmpl-9f3c41), so that TP1 stays; a number, time, address or port. It is put back where
# it does not differ, so that it may take too much, but not a status, which tells kinds apart.
_MAY_VARY = re.compile(
    r"""((?>
    (?<![A-Za-z0-9]) (?=[A-Za-z_-]*+\d)
    (?: [0-9a-f]{4}-[a-z]\d+ (?:\.\d+)? (?!\w)
    | [0-9a-fA-F]{8,} (?:-[0-9a-fA-F]+)* (?!\w)
    | (?=(?:[A-Za-z_-]*\d){3}) [\w-]{8,}
    | (?<!HTTP[ ]) (?<!Errno[ ]) (?<!status[ ]) (?<!code":) (?<!code":[ ]) (?<!code[ ]) \d\w* (?:[.,:-]\d\w*)*
    )))""",
    re.VERBOSE,
)
_MEDIA = re.compile(r";base64,[A-Za-z0-9+/=_-]+")
_BEFORE_ANSWER = re.compile(r"not the answer expected, but |not the JSON expected \(.*?\): ")  # of an answer's own text


def failures(measured: RequestTable, start_ns: int) -> list[Failure]:
    """Every kind of failure, the most frequent first. start_ns: when the measure window began."""
    failed_ns, ids = (column[~measured.is_ok] for column in (measured.due_ns, measured.id))
    found = [
        Failure(
            outcome=kind.outcome,
            error=kind.text,
            requests=kind.requests,
            first_s=(int(failed_ns[kind.first]) - start_ns) / 1e9,
            last_s=(int(failed_ns[kind.last]) - start_ns) / 1e9,
            example=ids[kind.first].decode(),
        )
        for kind in _kinds(measured)
    ]
    return sorted(found, key=lambda one: (-one.requests, OUTCOMES.index(one.outcome), one.error))


def _kinds(measured: RequestTable) -> Iterable[_Kind]:
    """By due time of their first."""
    texts = [*measured.errors, ""]  # the last is that of NO_ERROR
    code = (measured.outcome.astype(np.int64) * len(texts) + measured.error % len(texts))[~measured.is_ok]
    codes, firsts, counts = np.unique(code, return_index=True, return_counts=True)
    lasts = len(code) - 1 - np.unique(code[::-1], return_index=True)[1]
    found = np.stack((codes, firsts, lasts, counts), axis=1)[np.argsort(firsts)]
    kinds = _Kinds()
    for one, first, last, requests in found.tolist():
        outcome, text = divmod(one, len(texts))
        kinds.of(OUTCOMES[outcome], texts[text], first).count(last, requests)
    return kinds.found.values()


class _Kinds:
    """found: those found so far, by outcome and what their texts have in common."""

    def __init__(self) -> None:
        self.found: dict[tuple[str, str], _Kind] = {}

    def of(self, outcome: str, text: str, first: int) -> _Kind:
        """The kind of a text, which it knows then."""
        parts = _parts(_MEDIA.sub(";base64,...", " ".join(text[:_LOOKED_AT].split())))
        common = VARIES.join(parts[::2])[:_LONGEST]
        if (outcome, common) not in self.found and len(self.found) >= _TOLD_APART:
            parts, common = [_REST], _REST
        kind = self.found.setdefault((outcome, common), _Kind(outcome, parts, first))
        kind.take(parts[1::2])
        return kind


class _Kind:
    """Requests whose texts are alike. first, last: places among those that failed, by due time."""

    def __init__(self, outcome: str, parts: list[str], first: int) -> None:
        self.outcome = outcome
        self.first, self.last, self.requests = first, first, 0
        self._fixed, self._values = parts[::2], parts[1::2]

    def take(self, values: Sequence[str]) -> None:
        """values: what a text has where it may vary."""
        self._values = [one if one == other else VARIES for one, other in zip(self._values, values, strict=False)]

    def count(self, last: int, requests: int) -> None:
        self.last, self.requests = max(self.last, last), self.requests + requests

    @property
    def text(self) -> str:
        whole = "".join(chain.from_iterable(zip_longest(self._fixed, self._values, fillvalue="")))
        return whole if len(whole) < _LONGEST else f"{whole[: _LONGEST - 3]}..."


def _parts(line: str) -> list[str]:
    """A text; what may vary has the odd places."""
    if before := _BEFORE_ANSWER.match(line):
        return [*_MAY_VARY.split(before[0]), line[before.end() :], ""]
    return _MAY_VARY.split(line)
