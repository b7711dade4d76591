"""Stored runs on the terminal, a line for each; and the campaign that some of them were made for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal, Self

import msgspec
from rich.text import Text

from mmload.model.campaign import Campaign, CampaignKind
from mmload.model.manifest import Manifest, Status
from mmload.model.result import Summary, Verdict, VerdictWord
from mmload.plan.load_text import load_text
from mmload.show.palette import LABEL, STATUS_STYLES, VERDICT_STYLES, WARNING
from mmload.show.terminal_about import next_steps
from mmload.show.terminal_figures import MISSING, count, figures, span
from mmload.show.terminal_sheet import EXTRA, Column, Drawn, Sheet, fact, grid, paragraph, separated, styled

_NANOSECONDS = 1e9
_SHOWN_BY: Mapping[CampaignKind, Sequence[str]] = {
    "compare": ("compare", "report"),
    "gate": ("gate", "compare", "report"),
    "selftest": (),
}
_SHOWS = {"gate": "whether to ship it", "compare": "side by side", "report": "one page to pass on"}


class RunRow(msgspec.Struct, frozen=True, kw_only=True):
    """A line of `mmload runs`. status: 'damaged' where its manifest can't be read, and then nothing else is known, or
    what was said of it, and then there are no figures. They are None without a summary, too. work_pct: of the busiest
    rank. verdict: 'unreadable' where its file is damaged. campaign: None where it was made alone."""

    run_id: str
    age_s: float | None = None
    variant: str | None = None
    workload: str | None = None
    engine: str | None = None
    tp: int | None = None
    achieved_rate_rps: float | None = None
    response_p99_ms: float | None = None
    work_pct: float | None = None
    status: Status | Literal["damaged"]
    valid: bool = False
    verdict: VerdictWord | Literal["unreadable"] | None = None
    campaign: str | None = None

    @classmethod
    def of(cls, manifest: Manifest, summary: Summary | None, verdict: Verdict | None, now_utc_ns: int) -> Self:
        """The row of a stored run at the moment `now_utc_ns`; a P99 that is infinite stays so."""
        return cls(
            run_id=manifest.run_id,
            age_s=(now_utc_ns - manifest.clock.utc_ns) / _NANOSECONDS,
            variant=manifest.variant,
            workload=manifest.workload,
            engine=manifest.engine,
            tp=manifest.tp,
            achieved_rate_rps=None if summary is None or summary.kind == "profile" else summary.achieved_rate_rps,
            response_p99_ms=None if summary is None else _p99_ms(summary),
            work_pct=None if summary is None else _busiest_work_pct(summary),
            status=manifest.status,
            valid=manifest.validity == "valid",
            verdict=None if verdict is None else verdict.verdict,
            campaign=None if manifest.member is None else manifest.member.campaign,
        )


class RunList(msgspec.Struct, frozen=True, kw_only=True):
    """Runs in the order in which they are shown. matching: how many there are of their kind; all_runs: of any kind."""

    rows: list[RunRow]
    matching: int
    all_runs: int


def _p99_ms(summary: Summary) -> float | None:
    response = summary.response_ms
    if not response.n:
        return None
    return float("inf") if response.p99 is None else response.p99


def _busiest_work_pct(summary: Summary) -> float | None:
    works = [cpu.work_pct for name, cpu in summary.cpu.items() if name.startswith("scheduler")]
    return max((work for work in works if work is not None), default=None)


def render_runs(runs: RunList) -> Drawn:
    """A table, what is left out of it, and how damaged folders are got rid of."""

    def view(sheet: Sheet) -> Iterator[Text]:
        if not runs.all_runs:
            return iter([styled("no runs yet: mmload run makes one")])
        if not runs.rows:
            return iter([styled(f"no such run among {runs.all_runs:,}: mmload runs list shows all")])
        return separated(_table(runs.rows, sheet), _remarks(runs, sheet))

    return Drawn(view)


def _table(rows: Sequence[RunRow], sheet: Sheet) -> Iterator[Text]:
    """On a narrow terminal without campaign, variant (the run-id has it) and TP, then workload, then age."""
    columns = [
        Column("run", right=False, elastic=True),
        Column("age", rank=3),
        Column("variant", rank=EXTRA, right=False),
        Column("workload", rank=4, right=False),
        Column("TP", rank=EXTRA),
        Column("req/s", rank=2),
        Column("P99 ms", rank=1),
        Column("work %", rank=2),
        Column("status", rank=1, right=False),
        Column("verdict", rank=1, right=False),
    ]
    if any(row.campaign for row in rows):
        columns.append(Column("campaign", rank=EXTRA + 1, right=False))
    rates = figures((row.achieved_rate_rps for row in rows), most=1)
    p99s = figures((row.response_p99_ms for row in rows), sheet.glyphs.infinity, most=1)
    works = figures((row.work_pct for row in rows), most=1)
    lines = [_cells(row, shown) for row, shown in zip(rows, zip(rates, p99s, works, strict=True), strict=True)]
    return grid(columns, [line[: len(columns)] for line in lines], sheet)


def _cells(row: RunRow, shown: tuple[str, str, str]) -> list[Text]:
    """shown: rate, P99 and work, each as its column writes them."""
    return [
        styled(row.run_id),
        styled(MISSING if row.age_s is None else span(row.age_s)),
        styled(row.variant or MISSING),
        styled(row.workload or MISSING),
        styled(MISSING if row.tp is None else str(row.tp)),
        *map(styled, shown),
        _status(row),
        styled((row.verdict, VERDICT_STYLES.get(row.verdict, WARNING))) if row.verdict else styled((MISSING, LABEL)),
        styled((row.campaign or MISSING, LABEL)),
    ]


def _status(row: RunRow) -> Text:
    """How it ended; INVALID, whose figures say nothing, in the place of 'complete' and beside every other."""
    if row.status == "damaged":
        return styled((row.status, STATUS_STYLES["failed"]))
    ended = styled((row.status, STATUS_STYLES[row.status]))
    if row.valid:
        return ended
    invalid = styled(("INVALID", VERDICT_STYLES["INVALID"]))
    return invalid if row.status == "complete" else ended + " " + invalid


def _remarks(runs: RunList, sheet: Sheet) -> Iterator[Text]:
    left_out = runs.matching - len(runs.rows)
    if left_out:
        yield from paragraph(styled((f"{left_out:,} more of {runs.matching:,}: -n 0 shows all", LABEL)), sheet)
    if any(row.status == "damaged" for row in runs.rows):
        what = "damaged: mmload runs show RUN says how, mmload runs remove RUN removes the folder"
        yield from paragraph(styled((what, WARNING)), sheet)


def render_campaign(campaign: Campaign, runs: RunList, name: str) -> Drawn:
    """What a campaign is, its runs, and the commands that show what came of it. name: what they find it by."""

    def view(sheet: Sheet) -> Iterator[Text]:
        return separated(
            _about(campaign, sheet), _table(runs.rows, sheet) if runs.rows else [], _next(campaign, name, sheet)
        )

    return Drawn(view)


def _about(campaign: Campaign, sheet: Sheet) -> Iterator[Text]:
    state = styled((campaign.status, STATUS_STYLES[campaign.status]))
    made = sum(slot.run_id is not None for slot in campaign.slots)
    maker = f"made by mmload {campaign.kind}{f' {campaign.gate_name}' if campaign.gate_name else ''}"
    runs = styled(f"{made} of {count(len(campaign.slots), 'run')}")
    yield from fact("campaign", [styled((campaign.campaign_id, "bold")), state, styled(maker), runs], sheet)
    yield from fact("variants", [styled(name) for name in campaign.variants], sheet)
    for name, scene in campaign.scenes.items():
        plan = scene.plan
        load = [plan.workload_name, load_text(plan.load), f"{plan.engine} TP {plan.tp}", count(scene.rounds, "round")]
        yield from fact("scene", [styled((name, "bold")), *map(styled, load)], sheet)
    if campaign.error:
        yield from paragraph(styled(campaign.error), sheet, styled(("! ", f"bold {WARNING}")))


def _next(campaign: Campaign, name: str, sheet: Sheet) -> Iterator[Text]:
    steps = [(f"mmload {command} {name}", _SHOWS[command]) for command in _SHOWN_BY[campaign.kind]]
    yield from next_steps(steps or [("mmload runs show RUN", "")], sheet)
