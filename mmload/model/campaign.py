"""Several runs made together, so that they can be compared: what was to be made, and what became of it. Data only.

A campaign is a folder `profiles/campaigns/<campaign-id>/` with `campaign.json`; its runs are ordinary run folders,
whose manifests name it.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from mmload.model.plan import SCHEMA, Plan

CampaignKind = Literal["compare", "gate", "selftest"]
CampaignStatus = Literal["running", "complete", "partial", "failed"]

MAIN_SCENE = "main"


class Scene(msgspec.Struct, frozen=True, kw_only=True):
    """One load under which variants are compared. plan: of every run of it but for variant and seed. rounds: how often
    each variant is run; round r (from 0) has the plan's seed + r, so that all variants of a round meet the same
    requests at the same times, and rounds meet different ones."""

    plan: Plan
    rounds: Annotated[int, msgspec.Meta(ge=1, le=1000)]


class HostState(msgspec.Struct, frozen=True, kw_only=True):
    """The host just before a run was started. cpu_busy_pct: of all cores over the second before; cpu_mhz: mean of the
    cores' present clocks, throttled: how often the kernel counted thermal throttling since boot; None where it does not
    say."""

    t_ns: int
    load_1m: float
    cpu_busy_pct: float
    memory_available_bytes: int
    cpu_mhz: float | None = None
    throttled: int | None = None


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """A run that was made and does not count. reasons: why it is INVALID, or how it ended before its server
    was under load, or that its folder is gone (never what a server did under load)."""

    run_id: str
    reasons: list[str]


class Slot(msgspec.Struct, frozen=True, kw_only=True):
    """One run of a campaign, in the order in which they are made. variant: one of the campaign's. run_id: None until it
    was made."""

    scene: str
    round: int
    variant: str
    run_id: str | None = None
    host: HostState | None = None
    attempts: list[Attempt] = []

    @property
    def run_ids(self) -> list[str]:
        """Of all runs that were made for it, the one that counts last."""
        return [*(attempt.run_id for attempt in self.attempts), *([self.run_id] if self.run_id else [])]


class Campaign(msgspec.Struct, frozen=True, kw_only=True):
    """campaign.json. variants: the baseline of a comparison first; `original#2` is original once more, beside itself.
    remakes: how often an INVALID run of a slot may be made again. force: servers with different idle policies are
    compared all the same. gate: the text of the gate's file, so that it is judged by what stood there when it was made.
    earlier: campaigns of the same gate, candidate and scenes that were judged before this one was made: each is one
    more look."""

    schema: int = SCHEMA
    campaign_id: str
    kind: CampaignKind
    status: CampaignStatus = "running"
    variants: list[str]
    scenes: dict[str, Scene]
    slots: list[Slot]
    remakes: int = 2
    force: bool = False
    gate: str | None = None
    gate_name: str | None = None
    candidate: str | None = None
    earlier: list[str] = []
    error: str | None = None
