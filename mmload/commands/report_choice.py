"""What `mmload report` is to be about: the runs that the command line names, and where their page goes."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import msgspec

from mmload.commands.report_judging import campaign_command, runs_command
from mmload.errors import FolderError, UsageError
from mmload.judge.comparable import refuse_copies
from mmload.judge.comparison_sides import host_warnings, sides_of_campaign, sides_of_runs
from mmload.judge.report import Asked
from mmload.judge.stored import check_slots
from mmload.store.campaigns import StoredCampaign, find_campaign, is_campaign
from mmload.store.read import Run, find_run, list_runs

_REPORTS = "reports"
_DIGITS = 6  # of a digest: two pages about other runs have other names


def asked_of(names: Sequence[str], baseline: Sequence[str], out: Path, *, force: bool) -> tuple[Asked, Path]:
    """Without names the newest run. And the file that the page goes to. Raises FolderError where one is not there, or
    none can be read, and UsageError where one is given twice."""
    if len(names) == 1 and is_campaign(names[0], out):
        return _of_campaign(find_campaign(names[0], out), baseline, out, force=force)
    if not names and not baseline:
        return _newest(out)
    named, unreadable = _readable([run for name in names for run in _runs_of(name, out)])
    refuse_copies(named)
    sides = _sides(named, baseline, out)
    known = {run.run_id for run in named}
    runs = [*(run for first in sides.values() for run in first if run.run_id not in known), *named]
    is_alone = len(runs) + len(unreadable) == 1
    asked = Asked(
        runs=runs,
        unreadable=unreadable,
        judge=None if unreadable else runs_command(runs, sides if baseline else {}, out, force=force),
        sides={} if is_alone else sides,
        force=force,
    )
    return asked, runs[0].layout.report if is_alone else _page_of(runs, unreadable)


def _newest(out: Path) -> tuple[Asked, Path]:
    runs = list_runs(out)[:1]
    if not runs:
        raise FolderError(f"no run in {out}", "make one with mmload run, or name one")
    _readable(runs)
    return Asked(runs=runs, judge=runs_command(runs, {}, out, force=False)), runs[0].layout.report


def _page_of(runs: Sequence[Run], unreadable: Iterable[str]) -> Path:
    """Beside the runs, under a name that the same runs in the same order have every time, and no others."""
    newest = max(runs, key=lambda run: run.run_id)
    about = [*(run.run_id for run in runs), *unreadable]
    digest = hashlib.sha256("\n".join(about).encode()).hexdigest()[:_DIGITS]
    name = f"{newest.run_id}-and-{len(about) - 1}-more-{digest}.html"
    return newest.layout.path.parent / _REPORTS / name


def _readable(runs: Sequence[Run]) -> tuple[list[Run], dict[str, str]]:
    """Those that have a manifest; and the others by run-id, with why not. Raises FolderError where none has."""
    found, unreadable = [], {}
    for run in runs:
        try:
            _ = run.manifest
        except FolderError as error:
            if len(runs) == 1:
                raise
            unreadable[run.run_id] = str(error)
        else:
            found.append(run)
    if runs and not found:
        raise FolderError("none of these runs can be read", "; ".join(unreadable.values()))
    return found, unreadable


def _runs_of(name: str, out: Path) -> list[Run]:
    return list(find_campaign(name, out).present.values()) if is_campaign(name, out) else [find_run(name, out)]


def _sides(runs: Sequence[Run], baseline: Sequence[str], out: Path) -> dict[str, list[Run]]:
    """By variant, the baseline's first: a variant, or runs that are a side of their own."""
    sides = sides_of_runs(runs)
    if not baseline:
        return sides
    if len(baseline) == 1 and baseline[0] in sides:
        return _first(sides, baseline[0])
    return sides_of_runs(runs, [find_run(name, out) for name in baseline])


def _of_campaign(stored: StoredCampaign, baseline: Sequence[str], out: Path, *, force: bool) -> tuple[Asked, Path]:
    """All its runs that count, those of its main scene compared. Raises FolderError where its record is not of them."""
    campaign = stored.campaign
    if len(baseline) > 1 or any(name not in campaign.variants for name in baseline):
        raise UsageError(
            f"--baseline {' '.join(baseline)} is none of the variants", f"there are {', '.join(campaign.variants)}"
        )
    readable, unreadable = _readable(list(stored.present.values()))
    if not readable:
        raise FolderError(f"{campaign.campaign_id} has no run", "make them: mmload gate --run, or compare --continue")
    runs = {run.run_id: run for run in readable}
    left = msgspec.structs.replace(campaign, slots=[slot for slot in campaign.slots if slot.run_id in runs])
    check_slots(left, runs)
    missing = len(campaign.slots) - len(left.slots)
    warnings = host_warnings(campaign)
    if missing:
        runs_are = f"{missing} of its {len(campaign.slots)} runs {'is' if missing == 1 else 'are'}"
        warnings.append(f"the campaign is {campaign.status}: {runs_are} missing or can't be read")
    asked = Asked(
        runs=readable,
        unreadable=unreadable,
        judge=None if unreadable else campaign_command(stored, out, force=force),
        sides=_first(sides_of_campaign(left, runs), baseline[0] if baseline else campaign.variants[0]),
        campaign=campaign,
        campaign_verdict=stored.layout.verdict,
        warnings=warnings,
        force=force or campaign.force,
    )
    return asked, stored.layout.report


def _first(sides: Mapping[str, list[Run]], name: str) -> dict[str, list[Run]]:
    return {name: sides[name], **{side: runs for side, runs in sides.items() if side != name}}
