"""What a person sees of a campaign while it is made."""

import io

import msgspec
from factory import make_run
from rich.console import Console
from show_samples import live, summary

from mmload.model.campaign import Attempt, Campaign, Scene, Slot
from mmload.model.plan import OpenLoop, Plan
from mmload.show.live_campaign import CampaignDisplay
from mmload.store.append import write_document
from mmload.store.read import Run

PLAN = Plan(variant="shm", workload_name="images-small", workload={}, load=OpenLoop(rate_rps=100), tp=4)
CAMPAIGN = Campaign(
    campaign_id="20261120T031400Z-compare-9f3c",
    kind="compare",
    variants=["original", "shm"],
    scenes={"main": Scene(plan=PLAN, rounds=1)},
    slots=[Slot(scene="main", round=0, variant=name) for name in ("original", "shm")],
)


class Clock:
    now_s = 0.0

    def __call__(self):
        return self.now_s


def console(terminal):
    return Console(
        file=io.StringIO(), width=120, height=30, force_terminal=terminal, force_interactive=terminal, _environ={}
    )


def made(tmp_path, **facts):
    run = make_run(tmp_path, "shm", duration_s=2.0, **facts)
    write_document(run.layout.summary, summary(run_id=run.run_id))
    return run


def with_slot(**facts):
    return msgspec.structs.replace(
        CAMPAIGN, slots=[CAMPAIGN.slots[0], msgspec.structs.replace(CAMPAIGN.slots[1], **facts)]
    )


def test_a_log_is_told_first_what_is_to_come_and_then_a_line_for_each_run_that_ended(tmp_path):
    log = console(terminal=False)
    display = CampaignDisplay(log, Clock())
    display.begins(CAMPAIGN, 1, PLAN)
    display.shows(live())
    run = made(tmp_path)
    display.ended(with_slot(run_id=run.run_id), 1, run, [])
    display.begins(CAMPAIGN, 1, PLAN)
    first, line = log.file.getvalue().splitlines()
    assert first == "20261120T031400Z-compare-9f3c: 2 runs, about 2 min"
    assert line.startswith("run 2 of 2  round 1  shm  ")
    assert line.endswith(run.run_id)


def test_an_invalid_run_says_why_and_whether_it_is_made_again(tmp_path):
    log = console(terminal=False)
    run, fault = made(tmp_path), "the generator lagged"
    again = with_slot(attempts=[Attempt(run_id=run.run_id, reasons=[fault])])
    CampaignDisplay(log, Clock()).ended(again, 1, run, [fault])
    CampaignDisplay(log, Clock()).ended(with_slot(run_id=run.run_id), 1, run, [fault])
    said = [line.strip() for line in log.file.getvalue().splitlines()[1::2]]
    assert said == [f"INVALID: {fault}: made again", f"INVALID: {fault}: it counts as INVALID"]


def test_a_server_that_failed_is_said_below_its_run(tmp_path):
    log = console(terminal=False)
    run = made(tmp_path, status="failed", error="rank 1 died", ends_after_s=3.0)
    CampaignDisplay(log, Clock()).ended(with_slot(run_id=run.run_id), 1, run, [])
    assert log.file.getvalue().splitlines()[1].strip() == "rank 1 died"


def test_a_run_without_a_summary_is_still_named(tmp_path):
    log = console(terminal=False)
    run = make_run(tmp_path, "shm", duration_s=2.0)
    CampaignDisplay(log, Clock()).ended(with_slot(run_id=run.run_id), 1, Run(run.layout.path), [])
    assert "summary.json" in log.file.getvalue()


def test_a_terminal_sees_the_present_run_below_the_title_of_the_campaign(tmp_path):
    clock, terminal = Clock(), console(terminal=True)
    display = CampaignDisplay(terminal, clock)
    display.begins(CAMPAIGN, 0, PLAN)
    display.shows(live())
    drawn = terminal.file.getvalue()
    assert "run 1 of 2  round 1  original   about 2:20 left in all   standin TP 4, images-small, 100 req/s" in drawn
    assert "measuring" in drawn
    clock.now_s = 61.0
    display.ended(CAMPAIGN, 0, made(tmp_path), [])
    first = msgspec.structs.replace(CAMPAIGN.slots[0], run_id="20261120T031400Z-original-0001")
    display.begins(msgspec.structs.replace(CAMPAIGN, slots=[first, CAMPAIGN.slots[1]]), 1, PLAN)
    display.shows(live())
    display.close()
    assert "about 1:01 left in all" in terminal.file.getvalue()
