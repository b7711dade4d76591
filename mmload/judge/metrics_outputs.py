"""What the server answered: the same as the baseline's, item by item, and to which kinds of input at all."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from mmload.judge.evidence import Evidence, Rounds
from mmload.judge.figures import Figure, Terms, counted_figure, no_figure
from mmload.model.plan import Modality
from mmload.model.records import RequestRecord
from mmload.model.result import AnswerDifference
from mmload.store.requests import MODALITIES, NO_ERROR, RequestTable

_ANSWERS = "requests.jsonl and answers.jsonl"
_SHOWN = 5  # differences that are shown with both texts
_NAMED = 3  # items that are named in a sentence
_KINDS: dict[str, tuple[Modality, ...]] = {"image": ("image", "images"), "video": ("video",), "audio": ("audio",)}


def outputs_identical(candidate: Rounds, baseline: Rounds, _terms: Terms) -> Figure:
    """1 when every item got the same answer in all runs of both sides that were asked it, else 0: a statement about
    every item, so without interval.

    A difference that was seen counts. Without one it is void where there is nothing to hold an answer against: where
    the baseline did not answer an item, or differently in its own runs; and where it answered all its items alike,
    because then nothing could differ.
    """
    items = [item for item in _items(candidate, baseline) if item.was_answered]
    if not items:
        return no_figure("no item was answered that both were asked: other workloads, seeds or models", _ANSWERS)
    different = [item for item in items if item.differs]
    if not different and (obstacle := _open(items)):
        return no_figure(obstacle, _ANSWERS, len(items))
    figure = counted_figure(0.0 if different else 1.0, len(items), f"{_ANSWERS}: {_said(items, different)}")
    shown = tuple(item.difference for item in different[:_SHOWN])
    return msgspec.structs.replace(figure, differences=shown, more_differences=len(different) - len(shown))


def modalities_covered(rounds: Rounds, _terms: Terms) -> Figure:
    """How many of image, video and audio got a correct answer, in the identity phase or measured. A request with media
    of several kinds shows none of them: nobody can tell which of them the answer is about."""
    tables = [table for run in rounds.runs for table in (run.run.requests.of_phase("identity"), run.measured)]
    covered = 0
    words = []
    for kind, modalities in _KINDS.items():
        codes = [MODALITIES.index(modality) for modality in modalities]
        asked = [np.isin(table.modality, codes) for table in tables]
        correct = sum(int((rows & table.is_ok).sum()) for rows, table in zip(asked, tables, strict=True))
        covered += correct > 0
        words.append(f"{kind}: {f'{correct:,} answered' if correct else _why_none(asked, tables)}")
    requests = sum(len(table) for table in tables)
    return counted_figure(float(covered), requests, f"requests.jsonl: {'; '.join(words)}")


class _Reply(NamedTuple):
    """What became of an item in one run; record: None where the run ended before it was asked."""

    run: Evidence
    record: RequestRecord | None

    @property
    def digest(self) -> str | None:
        """Of the text of a correct answer."""
        return self.record.output_sha256 if self.record and self.record.outcome == "ok" else None

    @property
    def text(self) -> str:
        """The answer, or in brackets why it can't be shown."""
        if self.record is None:
            return "(never asked)"
        if self.digest is None:
            return f"(no answer: {self.record.outcome}: {self.record.error})"
        answer = self.run.run.answers.get(self.record.id)
        if answer is None:
            return f"(text not kept, sha256 {self.digest})"
        return f"{answer.text} (cut here: more of it was not kept)" if answer.cut else answer.text


class _Item(NamedTuple):
    """One thing asked of both sides: what the baseline's runs came to, and the candidate's."""

    asked: bytes
    name: str
    expected: Sequence[_Reply]
    given: Sequence[_Reply]

    @staticmethod
    def digests(replies: Sequence[_Reply]) -> set[str | None]:
        return {reply.digest for reply in replies}

    @property
    def was_answered(self) -> bool:
        """By one side at least: what neither can answer says nothing."""
        return self.digests([*self.expected, *self.given]) != {None}

    @property
    def reference(self) -> set[str | None]:
        """What the baseline answered: nothing, one thing, or several that contradict each other."""
        return self.digests(self.expected) - {None}

    @property
    def differs(self) -> bool:
        return len(self.reference) == 1 and self.digests(self.given) != self.reference

    @property
    def difference(self) -> AnswerDifference:
        expected = next(reply for reply in self.expected if reply.digest)
        given = next(reply for reply in self.given if reply.digest != expected.digest)
        record = expected.record or given.record
        assert record
        return AnswerDifference(
            item=self.name,
            modality=record.modality,
            expected=expected.text,
            given=given.text,
            expected_run=expected.run.run.run_id,
            given_run=given.run.run.run_id,
        )


def _items(candidate: Rounds, baseline: Rounds) -> Iterator[_Item]:
    """Every item of the runs that were asked the same, by those runs and its name."""
    asked = [_asked(run) for run in baseline.runs]
    for same in dict.fromkeys(asked):
        theirs, ours = ([run for run in side.runs if _asked(run) == same] for side in (baseline, candidate))
        if not ours:
            continue
        replies = {run: {record.item: record for record in run.identity} for run in (*theirs, *ours)}
        for name in sorted({item for records in replies.values() for item in records}):
            expected, given = ([_Reply(run, replies[run].get(name)) for run in side] for side in (theirs, ours))
            yield _Item(same, name, expected, given)


def _asked(run: Evidence) -> bytes:
    """What the bodies of the identity items are made of, whatever the load and the number of ranks."""
    plan = run.run.plan
    made_of = (plan.workload_name, plan.workload, plan.identity_items, plan.seed, plan.model, plan.extra_body)
    return msgspec.json.encode(made_of)


def _open(items: Sequence[_Item]) -> str | None:
    """Why items without a difference are not shown to be identical."""
    if lacking := _lacking(items):
        return "; ".join(lacking)
    answers: dict[bytes, set[str | None]] = {}
    for item in items:
        answers.setdefault(item.asked, set()).update(item.reference)
    if any(len(digests) > 1 for digests in answers.values()):
        return None
    if len(items) < 2:
        return "fewer than two identity items of the baseline were answered"
    return "the baseline gave different items the same answer: nothing can differ"


def _lacking(items: Sequence[_Item]) -> list[str]:
    """What the candidate's answers could not be held against."""
    words = []
    if silent := [item for item in items if not item.reference]:
        named = _named([item.name for item in silent])
        words.append(f"no answer of the baseline to {named} {silent[0].expected[0].text}")
    if unsteady := [item.name for item in items if len(item.reference) > 1]:
        words.append(f"the baseline's own runs differ in {_named(unsteady)}")
    return words


def _said(items: Sequence[_Item], different: Sequence[_Item]) -> str:
    if not different:
        return f"{len(items)} items, each as the baseline's"
    names = _named([item.name for item in different])
    words = [f"other answers than the baseline's to {len(different)} of {len(items)} items: {names}"]
    if own := [item.name for item in different if len(item.digests(item.given)) > 1]:
        words.append(f"the candidate's own runs differ in {_named(own)}")
    return "; ".join([*words, *_lacking(items)])


def _named(items: Sequence[str]) -> str:
    names = list(dict.fromkeys(items))
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{', '.join(names[:_NAMED])}{more}"


def _why_none(asked: Sequence[np.ndarray], tables: Sequence[RequestTable]) -> str:
    """Why no request of a kind was answered: nobody asked, or what the first of them was told."""
    if not any(rows.any() for rows in asked):
        return "not in the workload"
    said = (
        table.errors[code]
        for rows, table in zip(asked, tables, strict=True)
        for code in table.error[rows]
        if code != NO_ERROR
    )
    return f"none answered: {next(said, 'no reason recorded')}"
