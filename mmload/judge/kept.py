"""A verdict that was kept in a folder, held against what lies there now: records may have been lost since, runs
removed, and another gate may have judged the same campaign."""

from __future__ import annotations

import hashlib
import re
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import msgspec

from mmload.analyse.load import measure_window, measured_requests
from mmload.analyse.run_cpu import RunCpu
from mmload.errors import FolderError
from mmload.judge.validity import faults_of, unfit_as_baseline
from mmload.model.campaign import MAIN_SCENE
from mmload.model.result import CriterionResult, JudgedRuns, Verdict
from mmload.store.campaigns import CampaignLayout, StoredCampaign, campaign_layout
from mmload.store.read import Run, find_run, read_document

_COUNTS_REQUESTS = re.compile(r"error_rate|response_p\d+_ms")  # their n: the measured requests of the candidate
_OF_STACKS, _OF_COUNTERS = "stacks/", "server.jsonl"  # so the evidence of a criterion names them
_DECIDED = {"PASS", "FAIL"}
_SHA_DIGITS = 12
_NAMED = 3  # of the runs that are gone


class KeptVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """verdict: as it was kept. kept_utc_s: the date of its file. stale: why the gate would not say so today, one
    sentence a reason; empty where nothing speaks against it. cautions: what a reader must know besides."""

    verdict: Verdict
    kept_utc_s: float
    stale: list[str] = []
    cautions: list[str] = []

    @property
    def stale_text(self) -> str:
        return f"it said {self.verdict.verdict}, of records that are not these: judge again"

    @property
    def verdict_with_cautions(self) -> Verdict:
        """For who shows a verdict and knows of its warnings alone."""
        return msgspec.structs.replace(self.verdict, warnings=[*self.cautions, *self.verdict.warnings])


def kept_verdict(
    file: Path, out: Path, known: Sequence[Run] = (), damaged: Mapping[str, str] = MappingProxyType({})
) -> KeptVerdict | None:
    """That of a verdict.json; None where there is none. out: where the judged runs were; known: runs that are read
    already, wherever they lie; damaged: those of which something could not be read, with what. Raises FolderError where
    the file can't be read."""
    if not file.is_file():
        return None
    verdict = read_document(file, Verdict)
    judged = _Judged(out, {run.run_id: run for run in known})
    run_ids = list(dict.fromkeys(_run_ids(verdict)))
    unread = [f"{run_id}: {why}" for run_id, why in damaged.items() if run_id in run_ids]
    return KeptVerdict(
        verdict=verdict,
        kept_utc_s=file.stat().st_mtime,
        stale=list(dict.fromkeys(_contradicted(verdict, judged))),
        cautions=[
            *unread,
            *_lost([run_id for run_id in run_ids if judged.run(run_id) is None]),
            *_other_verdicts(verdict, campaign_layout(verdict.campaign or "", out)),
        ],
    )


def short_sha(digest: str) -> str:
    """Enough of it to tell two gates apart."""
    return digest[:_SHA_DIGITS]


def _scenes(verdict: Verdict) -> Mapping[str, JudgedRuns]:
    """Of a verdict from before there were scenes, the newest run of each side."""
    baselines = {name: [run_id] for name, run_id in verdict.baselines.items()}
    return verdict.scenes or {MAIN_SCENE: JudgedRuns(candidate=[verdict.candidate], baselines=baselines)}


def _run_ids(verdict: Verdict) -> Iterator[str]:
    for scene in _scenes(verdict).values():
        yield from scene.candidate
        for side in scene.baselines.values():
            yield from side


class _Judged(NamedTuple):
    """The runs that a verdict rests on: those that somebody has read already; of the others each is read for one look,
    as the records of all together may be large."""

    out: Path
    known: Mapping[str, Run]

    def run(self, run_id: str) -> Run | None:
        """None where it is gone."""
        try:
            return self.known.get(run_id) or find_run(run_id, self.out)
        except FolderError:
            return None

    def look(self, run_ids: Sequence[str], rests: str, *, as_baseline: bool = False) -> list[_Look]:
        """At those that are there. rests: what the criteria say that they rest on."""
        return [_look(run, rests, as_baseline=as_baseline) for run_id in run_ids if (run := self.run(run_id))]


class _Look(NamedTuple):
    """faults: why no gate would take the run. measured: its requests. lacks_stacks: it had some, and they are gone."""

    run_id: str
    faults: list[str]
    measured: int = 0
    lacks_stacks: bool = False


def _look(run: Run, rests: str, *, as_baseline: bool) -> _Look:
    try:
        window = measure_window(run)
        if _OF_STACKS in rests:
            run.once(RunCpu).shares  # noqa: B018 (a gate would not get past what can't be read)
        if _OF_COUNTERS in rests:
            deque(run.server, maxlen=0)
        return _Look(
            run.run_id,
            unfit_as_baseline(run) if as_baseline else faults_of(run),
            len(measured_requests(run.requests, window)) if window else 0,
            run.manifest.profile.samples > 0 and not any(run.layout.stacks.glob("*.folded")),
        )
    except FolderError as error:
        return _Look(run.run_id, [str(error)])


def _contradicted(verdict: Verdict, judged: _Judged) -> Iterator[str]:
    """Only what a gate would surely say otherwise: a criterion that was INVALID then is not questioned."""
    for name, scene in _scenes(verdict).items():
        criteria = [one for one in verdict.criteria if one.on == name and one.verdict != "INVALID"]
        if not criteria:
            continue
        decided = [one for one in criteria if one.verdict in _DECIDED]
        candidate = judged.look(scene.candidate, _rests(decided))
        yield from _faults(candidate)
        if len(candidate) == len(scene.candidate) and not any(one.faults for one in candidate):
            yield from _other_count(criteria, sum(one.measured for one in candidate))
        yield from _bare(candidate, decided)
        for baseline, run_ids in scene.baselines.items():
            against = [one for one in decided if one.baseline == baseline]
            if against:
                looks = judged.look(run_ids, _rests(against), as_baseline=True)
                yield from _faults(looks)
                yield from _bare(looks, against)


def _faults(looks: Sequence[_Look]) -> Iterator[str]:
    for one in looks:
        yield from (f"{one.run_id}: {reason}" for reason in one.faults)


def _rests(criteria: Sequence[CriterionResult]) -> str:
    return "; ".join(one.evidence for one in criteria)


def _bare(looks: Sequence[_Look], criteria: Sequence[CriterionResult]) -> Iterator[str]:
    if _OF_STACKS in _rests(criteria):
        bare = (one.run_id for one in looks if one.lacks_stacks)
        yield from (f"{run_id}: its stacks, on which it rests, are gone" for run_id in bare)


def _other_count(criteria: Sequence[CriterionResult], present: int) -> Iterator[str]:
    counted = {one.n for one in criteria if one.n and not one.baseline and _COUNTS_REQUESTS.fullmatch(one.metric)}
    if counted and present not in counted:
        judged = " and ".join(f"{n:,}" for n in sorted(counted))
        yield f"it was of {judged} measured requests; the records hold {present:,}"


def _lost(run_ids: Sequence[str]) -> Iterator[str]:
    if run_ids:
        more = f" and {len(run_ids) - _NAMED} more" if len(run_ids) > _NAMED else ""
        are = "is" if len(run_ids) == 1 else "are"
        yield f"{', '.join(run_ids[:_NAMED])}{more}, which it rests on, {are} not here: nobody can check it"


def _other_verdicts(verdict: Verdict, layout: CampaignLayout) -> Iterator[str]:
    """Where the campaign that made the runs has a gate or a verdict of its own that is another."""
    stored = StoredCampaign(layout.path)
    if verdict.campaign is None or not layout.campaign.is_file():
        return
    try:
        gate, own = stored.campaign.gate, stored.verdict
    except FolderError as error:
        yield str(error)
        return
    sha256 = hashlib.sha256(gate.encode()).hexdigest() if gate is not None else None
    if sha256 is not None and verdict.gate_sha256 and sha256 != verdict.gate_sha256:
        yield f"judged by another gate than the campaign was made for (sha256 {short_sha(sha256)})"
    if own is not None and own.verdict != verdict.verdict:
        by = f"{own.gate}, sha256 {short_sha(own.gate_sha256)}" if own.gate_sha256 else own.gate
        yield f"the campaign's own verdict is {own.verdict} (gate {by})"
