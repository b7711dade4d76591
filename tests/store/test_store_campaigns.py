"""Campaigns lie beside the runs that they made; what can't be found or read says so."""

import msgspec
import pytest
from factory import make_run

from mmload.commands.runs_list import Wanted, list_of
from mmload.errors import FolderError
from mmload.model.campaign import Campaign, Scene, Slot
from mmload.model.plan import OpenLoop, Plan
from mmload.store.campaigns import (
    StoredCampaign,
    campaign_layout,
    find_campaign,
    is_campaign,
    list_campaigns,
    making,
    new_campaign_id,
    write_campaign,
)
from mmload.store.layout import is_run_id
from mmload.store.read import find_run, list_runs

PLAN = Plan(variant=None, workload_name="images-small", workload={}, load=OpenLoop(rate_rps=50))


def campaign(token="0001", **facts):
    made = {"kind": "compare", "variants": ["original"], "scenes": {"main": Scene(plan=PLAN, rounds=1)}, "slots": []}
    return Campaign(campaign_id=f"20261120T031500Z-compare-{token}", **(made | facts))


def stored(out, **facts):
    made = campaign(**facts)
    with making(made.campaign_id, out):
        write_campaign(made, out)
    return find_campaign(made.campaign_id, out)


def test_what_is_written_is_read_back_by_id_and_by_path(tmp_path):
    found = stored(tmp_path, status="complete")
    assert found.campaign == campaign(status="complete")
    assert find_campaign(str(found.layout.path), tmp_path / "elsewhere").campaign == found.campaign
    assert is_campaign(found.campaign.campaign_id, tmp_path)
    assert found.out == tmp_path


def test_an_id_is_like_that_of_a_run_and_names_what_the_campaign_is_for():
    name = new_campaign_id("gate")
    assert is_run_id(name)
    assert "-gate-" in name


def test_one_whose_maker_was_killed_is_partial_and_one_being_made_is_running(tmp_path):
    killed = stored(tmp_path)
    assert (killed.campaign.status, killed.campaign.error) == ("partial", "mmload was killed")
    with making(killed.campaign.campaign_id, tmp_path):
        assert StoredCampaign(killed.layout.path).campaign.status == "running"


def test_its_runs_are_those_that_count_in_the_order_in_which_they_were_made(tmp_path):
    runs = [make_run(tmp_path, number=number, duration_s=2.0) for number in (2, 1)]
    slots = [Slot(scene="main", round=0, variant="original", run_id=run.run_id) for run in runs]
    slots.append(Slot(scene="main", round=1, variant="original"))
    found = stored(tmp_path, slots=slots)
    assert [run.manifest.run_id for run in found.runs.values()] == [run.run_id for run in runs]


def test_a_run_that_is_gone_is_named(tmp_path):
    slot = Slot(scene="main", round=0, variant="original", run_id="20261120T031500Z-original-0001")
    with pytest.raises(FolderError, match=r"original-0001, a run of .*, is not in"):
        _ = stored(tmp_path, slots=[slot]).runs


def test_a_folder_of_campaigns_is_neither_a_run_nor_a_damaged_one(tmp_path):
    found = stored(tmp_path)
    run = make_run(tmp_path, duration_s=2.0)
    assert [one.run_id for one in list_runs(tmp_path)] == [run.run_id]
    assert [(row.run_id, row.status) for row in list_of(tmp_path, Wanted()).rows] == [(run.run_id, "complete")]
    assert not is_campaign(run.run_id, tmp_path)
    with pytest.raises(FolderError):
        find_run(found.campaign.campaign_id, tmp_path)


def test_the_newest_are_listed_first_and_named_where_one_is_not_found(tmp_path):
    with pytest.raises(FolderError, match="no campaign 'x'") as caught:
        find_campaign("x", tmp_path)
    assert "has none" in caught.value.hint
    for token in ("0001", "0002"):
        stored(tmp_path, token=token)
    (tmp_path / "campaigns" / "20261120T031500Z-compare-0003").mkdir()
    assert [found.layout.path.name[-4:] for found in list_campaigns(tmp_path)] == ["0002", "0001"]
    with pytest.raises(FolderError) as caught:
        find_campaign("x", tmp_path)
    assert "compare-0002" in caught.value.hint
    with pytest.raises(FolderError, match=r"has no campaign\.json"):
        find_campaign("20261120T031500Z-compare-0003", tmp_path)


@pytest.mark.parametrize("text", ["", "{", '{"campaign_id": 3}', "[]"])
def test_a_damaged_campaign_says_so(text, tmp_path):
    layout = campaign_layout(campaign().campaign_id, tmp_path)
    layout.path.mkdir(parents=True)
    layout.campaign.write_text(text)
    with pytest.raises(FolderError, match="is damaged"):
        _ = StoredCampaign(layout.path).campaign


def test_a_newer_campaign_may_say_more(tmp_path):
    found = stored(tmp_path, status="complete")
    said = msgspec.json.decode(found.layout.campaign.read_bytes()) | {"weather": "rain"}
    found.layout.campaign.write_bytes(msgspec.json.encode(said))
    assert StoredCampaign(found.layout.path).campaign == found.campaign


def test_a_campaign_of_a_newer_mmload_says_so(tmp_path):
    found = stored(tmp_path, status="complete")
    found.layout.campaign.write_text('{"schema": 9, "anything": "else"}')
    with pytest.raises(FolderError, match=r"compare-0001 was made by a newer mmload \(schema 9, known are up to 1\)"):
        _ = StoredCampaign(found.layout.path).campaign


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "campaigns").write_text("a file")
    with pytest.raises(FolderError, match="cannot create"), making("20261120T031500Z-compare-0001", tmp_path):
        pass
