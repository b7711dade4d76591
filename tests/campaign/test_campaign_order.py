"""The order in which variants are run favours none of them."""

from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmload.campaign.order import plan_of, slots_of, slots_of_scene
from mmload.model.campaign import Campaign, Scene
from mmload.model.plan import OpenLoop, Plan

names = st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=8, unique=True)
PLAN = Plan(variant=None, workload_name="images-small", workload={}, load=OpenLoop(rate_rps=50), seed=7, gate="smoke")


@given(names, st.integers(1, 20))
def test_each_variant_is_run_once_a_round_and_rounds_follow_each_other(variants, rounds):
    slots = slots_of_scene("main", variants, rounds)
    assert [slot.round for slot in slots] == sorted(slot.round for slot in slots)
    for number in range(rounds):
        assert sorted(slot.variant for slot in slots if slot.round == number) == sorted(variants)


@given(names, st.integers(1, 10).map(lambda half: 2 * half), st.floats(-5, 5))
def test_over_an_even_number_of_rounds_a_linear_drift_of_the_host_is_the_same_for_all(variants, rounds, drift):
    slots = slots_of_scene("main", variants, rounds)
    drifts = {name: fmean(drift * at for at, slot in enumerate(slots) if slot.variant == name) for name in variants}
    assert max(drifts.values()) - min(drifts.values()) == pytest.approx(0, abs=1e-9)


def test_two_variants_go_a_b_b_a():
    assert [slot.variant for slot in slots_of_scene("main", ["A", "B"], 4)] == list("ABBAABBA")


def test_scenes_follow_each_other_each_with_its_own_rounds():
    scenes = {"main": Scene(plan=PLAN, rounds=2), "single-rank": Scene(plan=PLAN, rounds=1)}
    assert [(slot.scene, slot.round) for slot in slots_of(["A"], scenes)] == [
        ("main", 0),
        ("main", 1),
        ("single-rank", 0),
    ]


def test_rounds_differ_in_their_seed_alone_and_a_second_side_is_the_same_variant():
    scenes = {"main": Scene(plan=PLAN, rounds=2)}
    sides = ["original", "original#2"]
    campaign = Campaign(campaign_id="x", kind="compare", variants=sides, scenes=scenes, slots=slots_of(sides, scenes))
    plans = [plan_of(campaign, slot) for slot in campaign.slots]
    assert [plan.seed for plan in plans] == [7, 7, 8, 8]
    assert {plan.variant for plan in plans} == {"original"}
    assert {plan.gate for plan in plans} == {None}
