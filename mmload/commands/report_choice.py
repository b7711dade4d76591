"""What `mmload report` is to be about: the runs that the command line names, and where their page goes."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

import msgspec

from mmload.commands.options import OUT
from mmload.errors import FolderError, UsageError
from mmload.judge.comparable import refuse_copies
from mmload.judge.comparison_sides import host_warnings, sides_of_campaign, sides_of_runs
from mmload.judge.report import Asked
from mmload.judge.stored import check_slots
from mmload.model.result import Verdict
from mmload.store.campaigns import StoredCampaign, find_campaign, is_campaign
from mmload.store.read import Run, find_run, list_runs

_REPORTS = "reports"


def asked_of(names: Sequence[str], baseline: Sequence[str], out: Path, *, force: bool) -> tuple[Asked, Path]:
    """Without names the newest run. And the file that the page goes to. Raises FolderError where one is not there, and
    UsageError where one is given twice."""
    if len(names) == 1 and is_campaign(names[0], out):
        return _of_campaign(find_campaign(names[0], out), baseline, _again(names, out), force=force)
    if not names and not baseline:
        return _newest(out)
    runs = [run for name in names for run in _runs_of(name, out)]
    refuse_copies(runs)
    sides = _sides(runs, baseline, out)
    known = {run.run_id for run in runs}
    runs = [*(run for first in sides.values() for run in first if run.run_id not in known), *runs]
    file = runs[0].layout.report
    if len(runs) > 1:
        newest = max(run.run_id for run in runs)
        file = out / _REPORTS / f"{newest}-and-{len(runs) - 1}-more.html"
    again = _again([*baseline, *names], out)
    return Asked(runs=runs, again=again, sides=sides if len(runs) > 1 else {}, force=force), file


def _newest(out: Path) -> tuple[Asked, Path]:
    runs = list_runs(out)[:1]
    if not runs:
        raise FolderError(f"no run in {out}", "make one with mmload run, or name one")
    return Asked(runs=runs, again=_again([runs[0].run_id], out)), runs[0].layout.report


def _again(names: Sequence[str], out: Path) -> str:
    return shlex.join([*names, *(["--out", str(out)] if out != OUT else [])])


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


def _of_campaign(stored: StoredCampaign, baseline: Sequence[str], again: str, *, force: bool) -> tuple[Asked, Path]:
    """All its runs that count, those of its main scene compared. Raises FolderError where its record is not of them."""
    campaign, runs = stored.campaign, stored.present
    if len(baseline) > 1 or any(name not in campaign.variants for name in baseline):
        raise UsageError(
            f"--baseline {' '.join(baseline)} is none of the variants", f"there are {', '.join(campaign.variants)}"
        )
    if not runs:
        raise FolderError(f"{campaign.campaign_id} has no run", "make them: mmload gate --run, or compare --continue")
    left = msgspec.structs.replace(campaign, slots=[slot for slot in campaign.slots if slot.run_id in runs])
    check_slots(left, runs)
    missing = len(campaign.slots) - len(left.slots)
    warnings = host_warnings(campaign)
    if missing:
        warnings.append(f"the campaign is {campaign.status}: {missing} of its {len(campaign.slots)} runs are missing")
    verdict, troubles = _verdict(stored)
    asked = Asked(
        runs=list(runs.values()),
        again=again,
        sides=_first(sides_of_campaign(left, runs), baseline[0] if baseline else campaign.variants[0]),
        campaign=campaign.campaign_id,
        verdict=verdict,
        warnings=warnings,
        force=force or campaign.force,
        troubles=troubles,
    )
    return asked, stored.layout.report


def _verdict(stored: StoredCampaign) -> tuple[Verdict | None, list[str]]:
    try:
        return stored.verdict, []
    except FolderError as error:
        return None, [str(error)]


def _first(sides: Mapping[str, list[Run]], name: str) -> dict[str, list[Run]]:
    return {name: sides[name], **{side: runs for side, runs in sides.items() if side != name}}
