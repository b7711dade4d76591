"""What `mmload flame` is to be about: a run, or the runs of a variant in a campaign, which are shown together."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from mmload.errors import FolderError, UsageError
from mmload.judge.comparison_sides import sides_of_campaign
from mmload.plan.config_hints import nearest
from mmload.store.campaigns import StoredCampaign, find_campaign, is_campaign
from mmload.store.read import Run, find_run, list_runs


class Side(NamedTuple):
    """runs: one or more. name: in names of files that lie in the folder."""

    runs: list[Run]
    name: str
    folder: Path


def side_of(name: str | None, out: Path) -> Side:
    """name: of a run, or CAMPAIGN/VARIANT; None for the newest run with stacks. Raises FolderError where there is no
    such, and UsageError for a campaign without the variant."""
    if name is None:
        return _of_run(_newest(out))
    campaign, _, variant = name.rstrip("/").rpartition("/")
    if campaign and is_campaign(campaign, out):
        return _of_campaign(find_campaign(campaign, out), variant)
    if is_campaign(name, out):
        variants = find_campaign(name, out).campaign.variants
        raise UsageError(
            f"{name} is a campaign: say which of its variants",
            f"mmload flame {name}/{variants[-1]} --diff {name}/{variants[0]}",
        )
    return _of_run(find_run(name, out))


def _of_run(run: Run) -> Side:
    return Side([run], run.run_id, run.layout.path)


def _newest(out: Path) -> Run:
    found = next((run for run in list_runs(out) if any(run.layout.stacks.glob("*.folded"))), None)
    if found is None:
        raise FolderError(f"no run in {out} has stacks", "make one: mmload run, or name one that lies elsewhere")
    return found


def _of_campaign(stored: StoredCampaign, variant: str) -> Side:
    campaign = stored.campaign
    if variant not in campaign.variants:
        raise UsageError(
            f"{campaign.campaign_id} has no variant {variant!r}", nearest(variant, list(campaign.variants))
        )
    runs = sides_of_campaign(campaign, stored.present)[variant]
    if not runs:
        raise FolderError(f"{campaign.campaign_id} has no run of {variant}")
    return Side(runs, variant, stored.layout.path)
