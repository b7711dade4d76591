"""All that is known of one stored run on the terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from rich.text import Text

from mmload.analyse.timeline import Timeline
from mmload.judge.kept import KeptVerdict
from mmload.model.manifest import Manifest
from mmload.model.result import Summary, Verdict
from mmload.show.palette import LABEL, STATUS_STYLES, VERDICT_STYLES, WARNING
from mmload.show.tables_verdict import render_verdict
from mmload.show.terminal_figures import MISSING, figure
from mmload.show.terminal_processes import short_name
from mmload.show.terminal_profile import profile_quality, stamped_quality
from mmload.show.terminal_sheet import Column, Drawn, Sheet, fact, grid, paragraph, separated, styled
from mmload.show.terminal_summary import render_summary

_NANOSECONDS = 1e9
_DIGEST = 16  # hex digits of a digest that are shown: enough to tell two runs apart


def render_run_show(
    summary: Summary | None, manifest: Manifest, timeline: Timeline | None = None, verdict: Verdict | None = None
) -> Drawn:
    """Where a run comes from, then its summary and its verdict where it has them."""

    def view(sheet: Sheet) -> Iterator[Text]:
        return separated(
            _origin(manifest, sheet),
            _ranks(manifest, sheet),
            [] if summary and summary.kind == "profile" else profile_quality(manifest.profile, sheet),
            stamped_quality(manifest.stamped, sheet) if manifest.stamped else [],
            _complaints(manifest, sheet) if summary is None else [],
            [] if summary is None else render_summary(summary, manifest, timeline).lines(sheet),
            [] if verdict is None else render_verdict(verdict).lines(sheet),
        )

    return Drawn(view)


def render_stale(kept: KeptVerdict) -> Drawn:
    """A verdict that the records no longer bear out: that, and why, in its place."""

    def view(sheet: Sheet) -> Iterator[Text]:
        word = styled((" STALE ", f"reverse {VERDICT_STYLES['INVALID']}"), " ")
        yield from paragraph(styled(kept.stale_text), sheet, word)
        for reason in kept.stale:
            yield from paragraph(styled(reason), sheet, "  - ")

    return Drawn(view)


def _origin(manifest: Manifest, sheet: Sheet) -> Iterator[Text]:
    invalid = manifest.validity != "valid"
    state = [styled((manifest.status, STATUS_STYLES[manifest.status]))]
    state.append(styled(("INVALID", VERDICT_STYLES["INVALID"]) if invalid else ("valid", LABEL)))
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


def _ranks(manifest: Manifest, sheet: Sheet) -> Iterable[Text]:
    columns = (Column("rank"), Column("pid"), Column("start ticks"), Column("variant", right=False))
    rows = [(short_name(r.name) or r.rank, r.pid, r.start_ticks, r.variant or MISSING) for r in manifest.ranks]
    return grid(columns, [[styled(str(cell)) for cell in row] for row in rows], sheet) if rows else []


def _complaints(manifest: Manifest, sheet: Sheet) -> Iterator[Text]:
    """What the summary would say of the run's troubles, for a run that has none."""
    reasons = [] if manifest.validity == "valid" else manifest.validity
    for complaint in (*reasons, *filter(None, [manifest.error]), *manifest.warnings):
        yield from paragraph(styled(complaint), sheet, styled(("! ", f"bold {WARNING}")))
