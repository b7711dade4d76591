"""A campaign made before a person's eyes, and what is said of one that did not come to its end."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

from mmload.commands.options import OUT
from mmload.errors import MmloadError

if TYPE_CHECKING:
    from rich.console import Console

    from mmload.campaign.make import Means
    from mmload.model.campaign import Campaign


def make_campaign(campaign: Campaign, out: Path, console: Console, means: Means | None = None) -> Campaign:
    """As `campaign.make.make`. An error that ends it early says how to go on."""
    from mmload.campaign.make import make  # noqa: PLC0415
    from mmload.show.live_campaign import CampaignDisplay  # noqa: PLC0415
    from mmload.store.campaigns import campaign_layout  # noqa: PLC0415

    display = CampaignDisplay(console)
    try:
        return make(campaign, out, display, means)
    except MmloadError as error:
        if campaign_layout(campaign.campaign_id, out).campaign.is_file():
            error.hint = "; ".join(filter(None, (error.hint, f"to go on: {go_on_command(campaign, out)}")))
        raise
    finally:
        display.close()


def go_on_command(campaign: Campaign, out: Path) -> str:
    """The command that makes the runs that a campaign lacks, for one that was made by a command of its own."""
    if campaign.kind == "compare":
        elsewhere = "" if out == OUT else f" --out {shlex.quote(str(out))}"
        return f"mmload compare --continue {campaign.campaign_id}{elsewhere}"
    return f"the same mmload {campaign.kind} again makes what {campaign.campaign_id} lacks"
