"""Stored runs on the terminal: a line for each, or all that is known of one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Self

import msgspec
from rich.text import Text

from mmload.analyse.timeline import Timeline
from mmload.model.manifest import Manifest, Status
from mmload.model.result import Summary, Verdict, VerdictWord
from mmload.show.palette import LABEL, STATUS_STYLES, VERDICT_STYLES, WARNING
from mmload.show.tables_verdict import render_verdict
from mmload.show.terminal_figures import MISSING, figure, span
from mmload.show.terminal_processes import short_name
from mmload.show.terminal_profile import profile_quality
from mmload.show.terminal_sheet import EXTRA, Column, Drawn, Sheet, fact, grid, paragraph, separated, styled
from mmload.show.terminal_summary import render_summary

_NANOSECONDS = 1e9
_DIGEST = 16  # hex digits of a digest that are shown: enough to tell two runs apart


class RunRow(msgspec.Struct, frozen=True, kw_only=True):
    """A line of `mmload runs list`. achieved_rate_rps, response_p99_ms: None without a summary. campaign: None where it
    was made alone."""

    run_id: str
    age_s: float
    variant: str
    workload: str
    achieved_rate_rps: float | None
    response_p99_ms: float | None
    status: Status
    valid: bool
    verdict: VerdictWord | None
    campaign: str | None = None

    @classmethod
    def of(cls, manifest: Manifest, summary: Summary | None, verdict: Verdict | None, now_utc_ns: int) -> Self:
        """The row of a stored run at the moment `now_utc_ns`; a p99 that is infinite stays so."""
        p99 = None
        if summary is not None and summary.response_ms.n:
            p99 = float("inf") if summary.response_ms.p99 is None else summary.response_ms.p99
        return cls(
            run_id=manifest.run_id,
            age_s=(now_utc_ns - manifest.clock.utc_ns) / _NANOSECONDS,
            variant=manifest.variant,
            workload=manifest.workload,
            achieved_rate_rps=None if summary is None or summary.kind == "profile" else summary.achieved_rate_rps,
            response_p99_ms=p99,
            status=manifest.status,
            valid=manifest.validity == "valid",
            verdict=None if verdict is None else verdict.verdict,
            campaign=None if manifest.member is None else manifest.member.campaign,
        )


def render_runs(rows: Sequence[RunRow]) -> Drawn:
    """The stored runs in the order given; on a narrow terminal without variant (the run-id has it), then workload."""
    columns = [
        Column("run", right=False, elastic=True),
        Column("age", rank=3),
        Column("variant", rank=EXTRA, right=False),
        Column("workload", rank=4, right=False),
        Column("req/s", rank=2),
        Column("P99 ms", rank=1),
        Column("status", rank=1, right=False),
        Column("validity", rank=1, right=False),
        Column("verdict", rank=1, right=False),
    ]
    if any(row.campaign for row in rows):
        columns.append(Column("campaign", rank=EXTRA + 1, right=False))

    def view(sheet: Sheet) -> Iterator[Text]:
        if not rows:
            return iter([styled("no runs yet: mmload run makes one")])
        return grid(columns, [_run_row(row, sheet)[: len(columns)] for row in rows], sheet)

    return Drawn(view)


def _run_row(row: RunRow, sheet: Sheet) -> list[Text]:
    return [
        styled(row.run_id),
        styled(span(row.age_s)),
        styled(row.variant),
        styled(row.workload),
        styled(figure(row.achieved_rate_rps, most=1)),
        styled(figure(row.response_p99_ms, sheet.glyphs.infinity, most=1)),
        _status(row.status),
        _validity(row.valid),
        styled((row.verdict, VERDICT_STYLES[row.verdict])) if row.verdict else styled((MISSING, LABEL)),
        styled((row.campaign or MISSING, LABEL)),
    ]


def render_run_show(
    manifest: Manifest,
    summary: Summary | None = None,
    verdict: Verdict | None = None,
    timeline: Timeline | None = None,
) -> Drawn:
    """Where a run comes from, then its summary and its verdict where it has them."""

    def view(sheet: Sheet) -> Iterator[Text]:
        return separated(
            _origin(manifest, sheet),
            _ranks(manifest, sheet),
            [] if summary and summary.kind == "profile" else profile_quality(manifest.profile, sheet),
            _complaints(manifest, sheet) if summary is None else [],
            [] if summary is None else render_summary(summary, manifest, timeline).lines(sheet),
            [] if verdict is None else render_verdict(verdict).lines(sheet),
        )

    return Drawn(view)


def _origin(manifest: Manifest, sheet: Sheet) -> Iterator[Text]:
    state = [_status(manifest.status), _validity(manifest.validity == "valid")]
    yield from fact("run", [styled((manifest.run_id, "bold")), *state], sheet)
    if manifest.member:
        member = manifest.member
        yield from fact(
            "campaign", [styled(member.campaign), *_pairs({"scene": member.scene, "round": member.round + 1})], sheet
        )
    plan = {"variant": manifest.variant, "workload": manifest.workload, "seed": manifest.seed}
    yield from fact("plan", _pairs(plan), sheet)
    server = {
        "engine": manifest.engine,
        "version": manifest.engine_version,
        "model": manifest.model,
        "TP": manifest.tp,
        "idle policy": manifest.idle_policy,
    }
    yield from fact("server", _pairs(server), sheet)
    if manifest.flags:
        yield from fact("flags", _pairs(manifest.flags), sheet)
    if manifest.phases:
        lengths = {p.name: f"{figure((p.end_ns - p.start_ns) / _NANOSECONDS)} s" for p in manifest.phases}
        yield from fact("phases", _pairs(lengths), sheet)
    digests = {"schedule": manifest.schedule_sha256, "payloads": manifest.payloads_sha256}
    short = {name: digest and digest[:_DIGEST] for name, digest in digests.items()}
    yield from fact("sha256", _pairs(short), sheet)
    if manifest.host:
        yield from fact("host", _pairs(manifest.host), sheet)
    if manifest.agent:
        clock = {"at": manifest.agent.url, "clock known to": f"{figure(manifest.agent.clock_error_ms)} ms"}
        yield from fact("agent", _pairs({**manifest.agent.about, **clock}), sheet)
    yield from fact("versions", _pairs({**manifest.versions, "git": manifest.git}), sheet)


def _pairs(values: Mapping[str, object]) -> list[Text]:
    return [styled((name, LABEL), f" {value}") for name, value in values.items() if value is not None]


def _status(status: Status) -> Text:
    return styled((status, STATUS_STYLES[status]))


def _validity(valid: bool) -> Text:
    return styled(("valid", LABEL)) if valid else styled(("INVALID", VERDICT_STYLES["INVALID"]))


def _ranks(manifest: Manifest, sheet: Sheet) -> Iterable[Text]:
    columns = (Column("rank"), Column("pid"), Column("start ticks"), Column("variant", right=False))
    rows = [(short_name(r.name) or r.rank, r.pid, r.start_ticks, r.variant or MISSING) for r in manifest.ranks]
    return grid(columns, [[styled(str(cell)) for cell in row] for row in rows], sheet) if rows else []


def _complaints(manifest: Manifest, sheet: Sheet) -> Iterator[Text]:
    """What the summary would say of the run's troubles, for a run that has none."""
    reasons = [] if manifest.validity == "valid" else manifest.validity
    for complaint in (*reasons, *filter(None, [manifest.error]), *manifest.warnings):
        yield from paragraph(styled(complaint), sheet, styled(("! ", f"bold {WARNING}")))
