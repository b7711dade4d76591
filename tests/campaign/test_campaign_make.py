"""Every run of a campaign is made, what does not count is made again, and what ends it early is written down."""

import shutil
import signal

import msgspec
import pytest
from campaign_made_up import AT_REST, campaign_of, made_up

from mmload.campaign.make import Nobody, make
from mmload.errors import FolderError, Interrupted, RunInvalid, ServerDied, ServerError, UsageError
from mmload.model.campaign import Scene
from mmload.model.plan import OpenLoop
from mmload.store.campaigns import find_campaign, making


class Told(Nobody):
    def __init__(self):
        self.faults = []

    def ended(self, campaign, place, run, faults):
        self.faults.append((place, bool(faults), campaign.slots[place].run_id == run.run_id))


def stored(out):
    return find_campaign("20261120T031500Z-compare-0001", out).campaign


def test_each_place_gets_its_run_with_the_host_before_it_and_says_of_which_campaign_it_is(tmp_path):
    session, means = made_up()
    made = make(campaign_of("original", "shm"), tmp_path, means=means)
    assert made.status == "complete"
    assert stored(tmp_path).slots == made.slots
    assert [slot.host for slot in made.slots] == [AT_REST] * 4
    assert [plan.variant for plan in session.plans] == ["original", "shm", "shm", "original"]
    assert [plan.seed for plan in session.plans] == [5, 5, 6, 6]
    assert [(m.campaign, m.scene, m.round, m.place) for m in session.members] == [
        (made.campaign_id, "main", place // 2, place) for place in range(4)
    ]


def test_an_invalid_run_is_made_again_and_kept_beside_the_one_that_counts(tmp_path):
    told = Told()
    _, means = made_up({1: {"validity": ["the generator lagged"]}})
    made = make(campaign_of("original", "shm"), tmp_path, told, means)
    (attempt,) = made.slots[1].attempts
    assert attempt.reasons == ["the generator lagged"]
    assert attempt.run_id != made.slots[1].run_id
    assert told.faults == [(0, False, True), (1, True, False), (1, False, True), (2, False, True), (3, False, True)]


def test_a_run_that_stays_invalid_counts_as_that_after_the_last_remake(tmp_path):
    session, means = made_up({number: {"validity": ["the generator lagged"]} for number in range(3)})
    made = make(campaign_of("original", "shm", rounds=1, remakes=2), tmp_path, means=means)
    assert len(made.slots[0].attempts) == 2
    assert made.slots[0].run_id not in {attempt.run_id for attempt in made.slots[0].attempts}
    assert len(session.plans) == 4


def test_a_generator_that_fails_is_made_again_too(tmp_path):
    _, means = made_up(
        {0: {"validity": ["worker 0 ended"], "status": "partial", "fails": RunInvalid("worker 0 ended")}}
    )
    made = make(campaign_of("original", "shm", rounds=1), tmp_path, means=means)
    assert made.status == "complete"
    assert made.slots[0].attempts[0].reasons[0].startswith("worker 0 ended")


def test_a_server_that_dies_under_load_is_evidence_and_the_others_follow(tmp_path):
    died = {"status": "failed", "error": "rank 1 died", "ends_after_s": 1.5, "fails": ServerDied("rank 1 died")}
    session, means = made_up({1: died})
    made = make(campaign_of("original", "shm"), tmp_path, means=means)
    assert made.status == "complete"
    assert made.slots[1].attempts == []
    assert len(session.plans) == 4


@pytest.mark.parametrize(
    "planted",
    [{"refused": ServerError("it did not start")}, {"before_load": True, "fails": ServerError("it did not start")}],
)
def test_a_server_that_never_came_under_load_ends_it_and_its_variant_is_named(planted, tmp_path):
    _, means = made_up({1: planted})
    with pytest.raises(ServerError, match="shm: it did not start") as caught:
        make(campaign_of("original", "shm"), tmp_path, means=means)
    assert caught.value.exit_code == 5
    assert stored(tmp_path).status == "failed"
    assert [slot.run_id is None for slot in stored(tmp_path).slots] == [False, True, True, True]
    sealed = [attempt.reasons for attempt in stored(tmp_path).slots[1].attempts]
    assert sealed == ([] if "refused" in planted else [["it did not start"]])


@pytest.mark.parametrize("error", [Interrupted(signal.SIGINT), FolderError("the disk is full")])
def test_what_ends_it_early_leaves_a_partial_campaign_that_can_go_on(error, tmp_path):
    _, means = made_up({2: {"status": "partial", "fails": error}})
    with pytest.raises(type(error)):
        make(campaign_of("original", "shm"), tmp_path, means=means)
    left = stored(tmp_path)
    assert (left.status, left.error) == ("partial", str(error))
    assert left.slots[2].run_id is None
    assert left.slots[2].attempts[0].reasons == [str(error)]

    session, means = made_up()
    session.plans = [None] * 3  # so that its runs are newer
    made = make(left, tmp_path, means=means)
    assert (made.status, made.error) == ("complete", None)
    assert [slot.run_id for slot in made.slots[:2]] == [slot.run_id for slot in left.slots[:2]]
    assert len(session.plans) == 3 + 2


def test_a_signal_between_two_runs_ends_it_before_the_next(tmp_path):
    session, means = made_up()

    def look():
        if session.plans:
            signal.raise_signal(signal.SIGTERM)
        return AT_REST

    with pytest.raises(Interrupted) as caught:
        make(campaign_of("original", "shm"), tmp_path, means=msgspec.structs.replace(means, look=look))
    assert caught.value.exit_code == 143
    assert len(session.plans) == 1


def test_a_complete_campaign_is_left_as_it_is(tmp_path):
    _, means = made_up()
    made = make(campaign_of("original", "shm"), tmp_path, means=means)
    session, means = made_up()
    assert make(made, tmp_path, means=means) == made
    assert session.plans == []


def test_runs_of_a_round_that_were_sent_different_requests_are_our_own_fault(tmp_path):
    _, means = made_up({1: {"seed": 99}})
    with pytest.raises(RunInvalid, match="not sent the same requests"):
        make(campaign_of("original", "shm"), tmp_path, means=means)


def test_servers_with_different_idle_policies_are_refused_unless_forced(tmp_path):
    planted = {1: {"idle_policy": "poll"}}
    with pytest.raises(UsageError, match="shm waits for work by poll, original by sleep") as caught:
        make(campaign_of("original", "shm"), tmp_path / "a", means=made_up(planted)[1])
    assert "--force" in caught.value.hint
    made = make(campaign_of("original", "shm", rounds=1, force=True), tmp_path / "b", means=made_up(planted)[1])
    assert made.status == "complete"


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        ({"engine": "standing"}, "unknown engine"),
        ({"url": "http://127.0.0.1:1"}, "one server"),
        ({"load": OpenLoop(rate_rps=0.01)}, "no request"),
    ],
)
def test_plans_that_cannot_be_carried_out_are_refused_before_anything_is_made(facts, message, tmp_path):
    session, means = made_up()
    campaign = campaign_of("original", "shm")
    plan = msgspec.structs.replace(campaign.scenes["main"].plan, **facts)
    campaign = msgspec.structs.replace(campaign, scenes={"main": Scene(plan=plan, rounds=2)})
    with pytest.raises(UsageError, match=message):
        make(campaign, tmp_path, means=means)
    assert session.plans == []
    assert not (tmp_path / "campaigns").exists()


def test_a_campaign_is_made_by_one_at_a_time(tmp_path):
    campaign = campaign_of("original", "shm")
    with making(campaign.campaign_id, tmp_path), pytest.raises(UsageError, match="being made"):
        make(campaign, tmp_path, means=made_up()[1])


def gone_on_with(campaign, out, planted=None):
    """The campaign, and the session that made what it lacked: its runs are newer than those that there are."""
    session, means = made_up({4 + number: truth for number, truth in (planted or {}).items()})
    session.plans = [None] * 4
    return make(campaign, out, means=means), len(session.plans) - 4


@pytest.mark.parametrize("what", ["run folder", "manifest"])
def test_a_run_whose_folder_is_gone_is_made_again(what, tmp_path):
    made = make(campaign_of("original", "shm"), tmp_path, means=made_up()[1])
    lost = made.slots[2].run_id
    folder = tmp_path / lost
    shutil.rmtree(folder) if what == "run folder" else (folder / "manifest.json").unlink()
    again, runs = gone_on_with(made, tmp_path)
    assert (again.status, runs) == ("complete", 1)
    (attempt,) = again.slots[2].attempts
    assert (attempt.run_id, attempt.reasons) == (lost, [f"its {what} is gone"])
    assert list(find_campaign(again.campaign_id, tmp_path).runs) == [slot.run_id for slot in again.slots]


def without_the_last(campaign):
    *kept, last = campaign.slots
    return msgspec.structs.replace(campaign, slots=[*kept, msgspec.structs.replace(last, run_id=None)])


def test_runs_that_are_of_different_servers_are_refused_before_another_is_made(tmp_path):
    elsewhere = {2: {"host": "host-b"}}
    mixed = make(campaign_of("original", "shm", force=True), tmp_path, means=made_up(elsewhere)[1])
    left = msgspec.structs.replace(without_the_last(mixed), force=False)
    session, means = made_up()
    with pytest.raises(UsageError) as caught:
        make(left, tmp_path, means=means)
    first, _, third, _ = (slot.run_id for slot in mixed.slots)
    assert str(caught.value) == f"{third} can't be compared with {first}: host name: host-a, not host-b"
    assert "mmload runs remove RUN, or compare them all the same with --force" in caught.value.hint
    assert session.plans == []
    assert gone_on_with(msgspec.structs.replace(left, force=True), tmp_path)[1] == 1


def test_a_server_unlike_those_before_it_ends_the_campaign_with_its_first_run(tmp_path):
    made = make(campaign_of("original", "shm"), tmp_path, means=made_up()[1])
    with pytest.raises(UsageError, match="host name: host-a, not host-b"):
        gone_on_with(without_the_last(made), tmp_path, {0: {"host": "host-b"}})
    left = stored(tmp_path)
    shutil.rmtree(tmp_path / left.slots[3].run_id)
    assert gone_on_with(left, tmp_path)[0].status == "complete"
