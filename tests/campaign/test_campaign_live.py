"""A comparison of two variants on real servers: interrupted in its first run, and gone on with."""

import signal

import pytest

from mmload.store.campaigns import list_campaigns

LOAD = ["--tp", "1", "--rate", "30", "--warmup", "0s", "--duration", "1s", "--no-profile"]


@pytest.mark.live
def test_an_interrupted_comparison_goes_on_where_it_was(mmload):
    command = mmload("compare", "--variants", "original,optimized", "--rounds", "1", *LOAD)
    command.until(lambda: list(command.out.glob("*-original-*/manifest.json")))
    command.send(signal.SIGINT)
    assert command.finish().code == 130, command.stderr
    (stored,) = list_campaigns(command.out)
    name = stored.campaign.campaign_id
    assert f"mmload compare --continue {name}" in command.stderr
    assert (stored.campaign.status, list(stored.runs)) == ("partial", [])
    (cut_short,) = stored.campaign.slots[0].run_ids

    gone_on = mmload("compare", "--continue", name, "--json").finish()
    (stored,) = list_campaigns(command.out)
    assert stored.campaign.status == "complete", gone_on.stderr
    first, second = stored.runs.values()
    assert [run.manifest.variant for run in (first, second)] == ["original", "optimized"]
    assert cut_short not in stored.runs
    assert first.manifest.schedule_sha256 == second.manifest.schedule_sha256
    assert first.manifest.payloads_sha256 == second.manifest.payloads_sha256
    assert first.manifest.member.campaign == name
    assert "run 2 of 2  round 1  optimized" in gone_on.stderr
    assert stored.layout.comparison.read_text() == gone_on.stdout
