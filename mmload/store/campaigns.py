"""The folders of campaigns: `OUT/campaigns/<campaign-id>/`, beside the run folders that they made in OUT."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property
from pathlib import Path

import msgspec

from mmload.errors import FolderError, UsageError
from mmload.model.campaign import Campaign, CampaignKind
from mmload.model.plan import SCHEMA
from mmload.model.result import Verdict
from mmload.store.append import write_document
from mmload.store.layout import is_run_id, new_run_id
from mmload.store.lock import is_being_written, writing
from mmload.store.read import Run, is_there, list_runs, read_document

FOLDER = "campaigns"


class _Written(msgspec.Struct, frozen=True):
    """What every schema has."""

    schema: int = SCHEMA


class CampaignLayout:
    """The paths inside one campaign's folder. lock: held by who makes its runs."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.campaign = path / "campaign.json"
        self.comparison = path / "comparison.json"
        self.verdict = path / "verdict.json"
        self.report = path / "report.html"
        self.lock = path / ".lock"


class StoredCampaign:
    """A campaign as it lies in its folder. A property reads once, and raises FolderError on damage."""

    def __init__(self, path: Path) -> None:
        self.layout = CampaignLayout(path.absolute())

    @property
    def out(self) -> Path:
        """Where its run folders are."""
        return self.layout.path.parent.parent

    @cached_property
    def campaign(self) -> Campaign:
        """One that says 'running' and whose runs nobody makes any more was killed: it is 'partial'."""
        schema = read_document(self.layout.campaign, _Written).schema
        if schema > SCHEMA:
            name = self.layout.path.name
            newer = f"{name} was made by a newer mmload (schema {schema}, known are up to {SCHEMA})"
            raise FolderError(newer, "read it with that one")
        campaign = read_document(self.layout.campaign, Campaign)
        if campaign.status == "running" and not is_being_written(self.layout.lock):
            return msgspec.structs.replace(campaign, status="partial", error=campaign.error or "mmload was killed")
        return campaign

    @cached_property
    def verdict(self) -> Verdict | None:
        """None if it was never judged."""
        return read_document(self.layout.verdict, Verdict) if self.layout.verdict.is_file() else None

    @cached_property
    def runs(self) -> dict[str, Run]:
        """By run-id, in the order in which they were made: those that count."""
        for run_id in lost_runs(self.campaign, self.out):
            raise FolderError(f"{run_id}, a run of {self.campaign.campaign_id}, is not in {self.out}")
        return self.present

    @cached_property
    def present(self) -> dict[str, Run]:
        """The same without those whose folders are gone."""
        lost = set(lost_runs(self.campaign, self.out))
        counting = [slot.run_id for slot in self.campaign.slots if slot.run_id]
        return {run_id: Run(self.out / run_id) for run_id in counting if run_id not in lost}

    def members(self) -> list[Run]:
        """All runs that were made for it: also one that was killed before the record could name it. Needs no record."""
        return [run for run in reversed(list_runs(self.out)) if campaign_of(run) == self.layout.path.name]


def new_campaign_id(kind: CampaignKind, now: datetime | None = None, token: str | None = None) -> str:
    """As that of a run, with the kind in the place of the variant: `20261120T031500Z-compare-9f3c`."""
    return new_run_id(kind, now, token)


def campaign_layout(campaign_id: str, out: Path) -> CampaignLayout:
    return CampaignLayout(out / FOLDER / campaign_id)


def write_campaign(campaign: Campaign, out: Path) -> None:
    """campaign.json, replaced as a whole. Raises FolderError."""
    write_document(campaign_layout(campaign.campaign_id, out).campaign, campaign)


def lost_runs(campaign: Campaign, out: Path) -> list[str]:
    """The run-ids that count and whose folders are gone, or have no manifest."""
    counting = (slot.run_id for slot in campaign.slots if slot.run_id)
    return [run_id for run_id in counting if not (out / run_id / "manifest.json").is_file()]


def campaign_of(run: Run) -> str | None:
    """The campaign that a run was made for; None for one that was made alone or can't be read."""
    try:
        member = run.manifest.member
    except FolderError:
        return None
    return None if member is None else member.campaign


@contextmanager
def making(campaign_id: str, out: Path) -> Iterator[None]:
    """Nobody else makes the runs of this campaign while the block runs; its folder is made where there is none. Raises
    FolderError where that can't be, and UsageError where somebody does."""
    layout = campaign_layout(campaign_id, out)
    try:
        layout.path.mkdir(parents=True, exist_ok=True)
        layout.lock.touch()
    except OSError as error:
        hint = "give a writable folder with --out DIR"
        raise FolderError(f"cannot create {layout.path}: {error.strerror}", hint) from error
    if is_being_written(layout.lock):
        raise UsageError(f"the runs of {campaign_id} are being made at this moment", "wait until they have ended")
    with writing(layout.lock):
        yield


def is_campaign(name: str, out: Path) -> bool:
    """Whether a name that a person gave is that of a campaign, by id below `out` or by path, and not that of a run."""
    return any(is_there(path / "campaign.json") for path in (out / FOLDER / name, Path(name)))


def find_campaign(name: str, out: Path) -> StoredCampaign:
    """A campaign given as its id or as a path; raises FolderError, with what is there, when it is neither."""
    for path in (out / FOLDER / name, Path(name)):
        if is_there(path / "campaign.json"):
            return StoredCampaign(path)
    if is_there(Path(name)) or is_there(out / FOLDER / name):
        raise FolderError(f"{name} is not a campaign: it has no campaign.json")
    known = [found.layout.path.name for found in list_campaigns(out)][:3]
    hint = f"the newest are {', '.join(known)}" if known else f"{out} has none"
    raise FolderError(f"no campaign {name!r} in {out}", hint)


def list_campaigns(out: Path) -> list[StoredCampaign]:
    """All campaigns below `out`, the newest first."""
    folder = out / FOLDER
    if not folder.is_dir():
        return []
    found = [path for path in folder.iterdir() if is_run_id(path.name) and (path / "campaign.json").is_file()]
    return [StoredCampaign(path) for path in sorted(found, key=lambda path: path.name, reverse=True)]
