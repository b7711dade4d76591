from dataclasses import dataclass
from typing import Any

import pytest

from mmload.errors import UsageError
from mmload.handoff.counters import Counters
from mmload.handoff.original import Original
from mmload.handoff.registry import STRATEGIES, strategy_class
from mmload.handoff.strategy import BuildFailed
from mmload.plan.variants import load_variant, load_variants


@dataclass
class Request:
    rid: str
    mm_inputs: Any


class Group:
    """Hosts of one server, called one after another: the entry rank first, so that the others find what it sent."""

    def __init__(self, variant, size):
        self.sent = []
        self.tokenizer = strategy_class(variant)(Host(self, None, 0))
        self.ranks = [strategy_class(variant)(Host(self, rank, size)) for rank in range(size)]

    def hand_over(self, raw):
        """What each rank ends up with: the inputs, or the exception."""
        request = Request("r", self.tokenizer.at_tokenizer(raw))
        outcomes = []
        for strategy in self.ranks:
            strategy.on_receive([request])
            try:
                outcomes.append(strategy.materialise(request))
            except BuildFailed as error:
                outcomes.append(error)
        return outcomes

    def builds(self):
        return [strategy.host.built for strategy in (self.tokenizer, *self.ranks)]


class Host:
    def __init__(self, group, rank, size):
        self.group, self.rank, self.size = group, rank, size
        self.is_entry = rank == 0
        self.counters = Counters()
        self.built = 0
        self.heard = 0

    def build(self, raw):
        self.built += 1
        if raw == "malformed":
            raise BuildFailed("malformed features")
        return ("built", raw)

    def broadcast_object(self, obj):
        if self.is_entry:
            self.group.sent.append(obj)
        self.heard += 1
        return self.group.sent[self.heard - 1]


VARIANTS = sorted(STRATEGIES)


@pytest.mark.parametrize("size", [1, 2, 4])
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_rank_ends_up_with_the_same_inputs(variant, size):
    assert Group(variant, size).hand_over("raw") == [("built", "raw")] * size


@pytest.mark.parametrize("variant", ["original", "rollback", "stock"])
def test_original_and_rollback_build_on_every_rank_and_broadcast_nothing(variant):
    group = Group(variant, 4)
    group.hand_over("raw")
    assert group.builds() == [0, 1, 1, 1, 1]
    assert group.sent == []


def test_commit_builds_on_the_entry_rank_and_broadcasts_once_a_request():
    group = Group("commit", 4)
    group.hand_over("raw")
    group.hand_over("other")
    assert group.builds() == [0, 2, 0, 0, 0]
    assert group.sent == [("built", "raw"), ("built", "other")]


def test_commit_on_one_rank_builds_and_broadcasts_nothing():
    group = Group("commit", 1)
    group.hand_over("raw")
    assert group.builds() == [0, 1]
    assert group.sent == []


def test_optimized_builds_in_the_tokenizer_and_broadcasts_nothing():
    group = Group("optimized", 4)
    group.hand_over("raw")
    assert group.builds() == [1, 0, 0, 0, 0]
    assert group.sent == []


@pytest.mark.parametrize("variant", ["original", "commit", "rollback"])
def test_features_that_cannot_be_built_fail_on_every_rank_and_leave_none_waiting(variant):
    group = Group(variant, 2)
    assert [str(outcome) for outcome in group.hand_over("malformed")] == ["malformed features"] * 2
    assert group.hand_over("raw") == [("built", "raw")] * 2


def test_the_optimized_tokenizer_refuses_features_that_cannot_be_built():
    with pytest.raises(BuildFailed):
        Group("optimized", 2).hand_over("malformed")


def test_an_unknown_variant_is_refused_with_the_nearest_name():
    with pytest.raises(UsageError) as raised:
        strategy_class("optimised")
    assert "optimized" in raised.value.hint


def test_a_variant_that_is_being_written_is_named_by_module_and_class():
    assert strategy_class("mmload.handoff.original:Original") is Original


@pytest.mark.parametrize("name", ["no_such_module:X", "json:nothing", "json:loads"])
def test_a_module_and_class_that_is_no_strategy_is_refused(name):
    with pytest.raises(UsageError):
        strategy_class(name)


def test_every_variant_has_a_card_and_every_card_a_variant():
    assert {card.name for card in load_variants()} == set(STRATEGIES)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_card_says_who_does_what(variant):
    card = load_variant(variant)
    assert all((card.about, card.origin, card.materialises, card.transfers, card.synchronisation))
    assert all(hazard.endswith(".") for hazard in card.hazards)


@pytest.mark.parametrize("variant", sorted(set(STRATEGIES) - {"stock"}))
def test_a_strategy_goes_by_its_own_name(variant):
    assert strategy_class(variant).name == variant
