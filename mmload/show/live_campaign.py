"""A campaign while it is made: a line for each run that ended and, on a terminal, the present run below them; in a log,
what is to come is said first."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack

from rich.console import Console

from mmload.errors import FolderError
from mmload.model.campaign import Campaign
from mmload.model.live import LiveView
from mmload.model.plan import Plan
from mmload.plan.load_text import load_text
from mmload.show.live import LiveDisplay
from mmload.show.palette import LABEL, WARNING
from mmload.show.terminal_figures import count, figure, stopwatch
from mmload.show.terminal_sheet import styled
from mmload.store.read import Run

_AROUND_S = 15.0  # to start a server, end it and seal a run, before one of this campaign has shown it


class CampaignDisplay:
    """Told what happens, in the words of `campaign.make.Onlooker`. Close it before anything else is printed."""

    def __init__(self, console: Console, clock: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._clock = clock
        self._began_s = 0.0
        self._is_announced = False
        self._lengths_s: dict[str, float] = {}  # of the last run of each scene
        self._present = ExitStack()
        self._live: LiveDisplay | None = None

    def begins(self, campaign: Campaign, place: int, plan: Plan) -> None:
        self._began_s = self._clock()
        if self._console.is_interactive:
            self._live = self._present.enter_context(LiveDisplay(self._console, self._title(campaign, place, plan)))
        elif not self._is_announced:
            self._console.print(styled(_what_is_to_come(campaign, self._left_s(campaign))), soft_wrap=True)
        self._is_announced = True

    def shows(self, view: LiveView) -> None:
        if self._live is not None:
            self._live.update(view)

    def ended(self, campaign: Campaign, place: int, run: Run, faults: list[str]) -> None:
        self.close()
        slot = campaign.slots[place]
        self._lengths_s[slot.scene] = self._clock() - self._began_s
        self._console.print(styled(*_run_line(campaign, place, run)), soft_wrap=True)
        if faults:
            what = "made again" if slot.run_id is None else "it counts as INVALID"
            self._console.print(styled((f"  INVALID: {'; '.join(faults)}: {what}", WARNING)), soft_wrap=True)
        elif run.manifest.error:
            self._console.print(styled((f"  {run.manifest.error}", WARNING)), soft_wrap=True)

    def close(self) -> None:
        """Take the present run off the screen."""
        self._present.close()
        self._live = None

    def _title(self, campaign: Campaign, place: int, plan: Plan) -> str:
        load = f"{plan.engine} TP {plan.tp}, {plan.workload_name}, {load_text(plan.load)}"
        return f"{_which(campaign, place)}   about {stopwatch(self._left_s(campaign))} left in all   {load}"

    def _left_s(self, campaign: Campaign) -> float:
        return sum(self._length_s(campaign, slot.scene) for slot in campaign.slots if slot.run_id is None)

    def _length_s(self, campaign: Campaign, scene: str) -> float:
        plan = campaign.scenes[scene].plan
        return self._lengths_s.get(scene, plan.warmup_s + plan.duration_s + plan.profile.window_s + _AROUND_S)


def _what_is_to_come(campaign: Campaign, left_s: float) -> str:
    """`20261120T031400Z-compare-9f3c: 16 runs, about 15 min`"""
    runs = sum(slot.run_id is None for slot in campaign.slots)
    return f"{campaign.campaign_id}: {count(runs, 'run')}, about {max(1, round(left_s / 60))} min"


def _which(campaign: Campaign, place: int) -> str:
    """`run 3 of 8  round 2  optimized`, with its scene where there are several."""
    slot = campaign.slots[place]
    scene = f"  {slot.scene}" if len(campaign.scenes) > 1 else ""
    return f"run {place + 1} of {len(campaign.slots)}{scene}  round {slot.round + 1}  {slot.variant}"


def _run_line(campaign: Campaign, place: int, run: Run) -> list[str | tuple[str, str]]:
    line: list[str | tuple[str, str]] = [_which(campaign, place)]
    try:
        summary = run.summary
    except FolderError as error:
        return [*line, (f"  {error}", WARNING)]
    line += [f"  {figure(summary.achieved_rate_rps)} req/s", ("  p50 ", LABEL), figure(summary.response_ms.p50)]
    line += [("  P99 ", LABEL), figure(summary.response_ms.p99), " ms", (f"  {run.run_id}", LABEL)]
    return line
