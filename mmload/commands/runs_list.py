"""Which of the stored runs are listed, and in which order. No more is read of a folder than that asks for."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from mmload.errors import FolderError, UsageError
from mmload.plan.load_words import seconds
from mmload.show.tables_runs import RunList, RunRow
from mmload.store.layout import is_run_id
from mmload.store.read import Run

if TYPE_CHECKING:
    from mmload.model.result import Summary

STATUSES = ("damaged", "failed", "partial", "running", "complete")  # what asks for a look first
_LONGEST_S = 10 * 365 * 86_400.0


class _Sort(NamedTuple):
    """key: None where a run has none, which puts it last. of_figures: it needs the summary."""

    key: Callable[[RunRow], str | float | None]
    descending: bool = False
    of_figures: bool = False


SORTS = {
    "started": _Sort(lambda row: row.run_id, descending=True),
    "variant": _Sort(lambda row: row.variant),
    "p99": _Sort(lambda row: row.response_p99_ms, descending=True, of_figures=True),
    "qps": _Sort(lambda row: row.achieved_rate_rps, descending=True, of_figures=True),
    "work": _Sort(lambda row: row.work_pct, descending=True, of_figures=True),
    "status": _Sort(lambda row: STATUSES.index(row.status) + row.valid / 2),  # what is INVALID before what is not
}


class Wanted(NamedTuple):
    """What a run must be to be listed: one of each kind that names any. statuses: of STATUSES, and 'invalid'. since: a
    run-id that began then."""

    variants: Sequence[str] = ()
    workloads: Sequence[str] = ()
    engines: Sequence[str] = ()
    statuses: Sequence[str] = ()
    tps: Sequence[int] = ()
    since: str = ""

    @property
    def is_anything(self) -> bool:
        return not any(self[:-1])

    def takes(self, row: RunRow) -> bool:
        """A row without figures will do."""
        asked = ((self.variants, row.variant), (self.workloads, row.workload), (self.engines, row.engine))
        if any(wanted and word not in wanted for wanted, word in (*asked, (self.tps, row.tp))):
            return False
        is_invalid = row.status != "damaged" and not row.valid
        return not self.statuses or row.status in self.statuses or (is_invalid and "invalid" in self.statuses)


def list_of(out: Path, wanted: Wanted, sort: str = "started", *, reverse: bool = False, most: int = 0) -> RunList:
    """The runs below `out`. sort: of SORTS; among equals the newest is first. most: rows, 0 for all."""
    folders = _folders(out)
    found = [path for path in folders if path.name >= wanted.since]
    if not wanted.is_anything:
        found = [path for path in found if wanted.takes(_row(path, with_figures=False))]
    shown = _sorted(found, SORTS[sort], reverse=reverse)[: most or None]
    return RunList(rows=[_row(path) for path in shown], matching=len(found), all_runs=len(folders))


def list_of_runs(runs: Iterable[Run]) -> RunList:
    """Those, in the order given."""
    rows = [_row(run.layout.path) for run in runs]
    return RunList(rows=rows, matching=len(rows), all_runs=len(rows))


def since_of(text: str, now: datetime) -> str:
    """`2h` ago, or a date in UTC such as `2026-11-20` or `2026-11-20T03:15`, as run-ids begin."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        if "-" in text:
            hint = "write it as 2026-11-20 or 2026-11-20T03:15, or as a length of time: 2h"
            raise UsageError(f"--since {text!r} is no date ({error})", hint) from error
        moment = now - timedelta(seconds=seconds(text, "--since", longest_s=_LONGEST_S))
    moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    return moment.strftime("%Y%m%dT%H%M%SZ")


def known_words(given: Sequence[str], known: Iterable[str], option: str) -> Sequence[str]:
    """Those given. Raises UsageError where one is none of those known."""
    for word in given:
        if word not in known:
            raise UsageError(f"{option} {word!r} is not known", f"it takes {', '.join(known)}")
    return given


def _folders(out: Path) -> list[Path]:
    """All with a run-id for a name, damaged ones too, the newest first."""
    if not out.is_dir():
        return []
    names = sorted((path.name for path in out.iterdir() if is_run_id(path.name)), reverse=True)
    return [out / name for name in names]


def _row(path: Path, *, with_figures: bool = True) -> RunRow:
    run, now_utc_ns = Run(path), time.time_ns()
    try:
        bare = RunRow.of(run.manifest, None, None, now_utc_ns)
    except FolderError:
        return RunRow(run_id=run.run_id, status="damaged")
    if not with_figures:
        return bare
    try:
        summary = _summary(run)
    except FolderError:
        return msgspec.structs.replace(bare, status="damaged")
    row = RunRow.of(run.manifest, summary, None, now_utc_ns)
    try:
        return msgspec.structs.replace(row, verdict=run.verdict.verdict if run.verdict else None)
    except FolderError:
        return msgspec.structs.replace(row, verdict="unreadable")


def _summary(run: Run) -> Summary | None:
    """The one that was written; where it is damaged, made again. None where the run did not get that far."""
    if not run.layout.summary.is_file():
        return None
    try:
        return run.summary
    except FolderError:
        from mmload.analyse.summary import summarise  # noqa: PLC0415 (seldom, and slow to import)

        return summarise(run)


def _sorted(newest_first: list[Path], sort: _Sort, *, reverse: bool) -> list[Path]:
    if sort is SORTS["started"]:
        return newest_first[::-1] if reverse else newest_first
    keys = {path: sort.key(_row(path, with_figures=sort.of_figures)) for path in newest_first}
    known = [path for path in newest_first if keys[path] is not None]
    known.sort(key=lambda path: keys[path], reverse=sort.descending != reverse)  # type: ignore[arg-type, return-value]
    return [*known, *(path for path in newest_first if keys[path] is None)]
