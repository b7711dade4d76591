"""Each plant has its fault, of its size, where it says, and is `original` otherwise."""

import time
from types import SimpleNamespace

import numpy as np
import pytest

from mmload.errors import UsageError
from mmload.handoff.counters import Counters
from mmload.handoff.registry import STRATEGIES, variants_in
from mmload.handoff.strategy import HandoffFailed
from mmload.plan.check import check_plan
from mmload.plan.variants import PLANTED
from mmload.selftest import plants
from mmload.selftest.looks_figures import SLOW_START
from mmload.selftest.workbench import Setup
from mmload.standin.config import load_config
from mmload.standin.host import TokenizerHost


def raw_item(number):
    feature = np.random.default_rng(number).random((4, 1176), np.float32)
    return {"mm_items": [{"modality": "IMAGE", "feature": feature, "grid": (1, 2, 2)}]}


def made(plant, rank=None):
    host = TokenizerHost(Counters())
    host.rank = rank
    return plant(host)


def inputs_of(strategy, number):
    return strategy.materialise(SimpleNamespace(rid=str(number), mm_inputs=raw_item(number)))


@pytest.fixture
def slept(monkeypatch):
    delays = []
    monkeypatch.setattr(time, "sleep", delays.append)
    return delays


def test_the_plants_are_those_that_a_plan_may_name_and_no_variant_of_ours():
    assert set(variants_in(plants.__name__)) == set(PLANTED)
    assert not set(PLANTED) & set(STRATEGIES)


def test_only_a_known_plant_may_be_planned():
    check_plan(Setup(variant="planted-leak", duration_s=5).plan())
    with pytest.raises(UsageError, match="unknown variant 'planted-hope'"):
        check_plan(Setup(variant="planted-hope", duration_s=5).plan())


def test_the_tail_is_the_same_share_of_the_items_in_both_plants(slept):
    items = [raw_item(number) for number in range(400)]
    slow = {}
    for plant in (plants.Tail, plants.SlowTail):
        strategy = made(plant)
        slow[plant] = []
        for number, item in enumerate(items):
            before = len(slept)
            assert strategy.at_tokenizer(item) is item
            slow[plant] += [number] * (len(slept) - before)
    assert slow[plants.Tail] == slow[plants.SlowTail]
    assert 4 <= len(slow[plants.Tail]) <= 24  # 12 expected of 400 at 3 %
    assert set(slept) == {plants.TAIL_DELAY_S, plants.SLOW_TAIL_DELAY_S}
    assert pytest.approx(1.1 * plants.TAIL_DELAY_S) == plants.SLOW_TAIL_DELAY_S


def test_exactly_every_500th_request_fails():
    strategy, failed = made(plants.Errors), []
    for number in range(1, 1501):
        try:
            strategy.at_tokenizer({})
        except HandoffFailed:
            failed.append(number)
    assert failed == [500, 1000, 1500]


@pytest.mark.parametrize(("rank", "kept"), [(0, 0), (1, 3)])
def test_one_rank_leaks_and_its_peer_does_not(rank, kept):
    strategy = made(plants.Leak, rank)
    for number in range(3):
        inputs_of(strategy, number)
    assert [len(each) for each in strategy.kept] == kept * [plants.LEAK_BYTES]


@pytest.mark.parametrize(("rank", "burns"), [(0, False), (1, True)])
def test_one_rank_burns_cpu_and_its_peer_does_not(rank, burns, monkeypatch):
    ticks = iter(range(0, 10**9, 1_000_000))  # a clock on which each look takes a millisecond
    monkeypatch.setattr(time, "thread_time_ns", ticks.__next__)
    counted = made(plants.SlowRank, rank)
    counted.host.build = lambda raw: raw
    inputs_of(counted, 1)
    assert (next(ticks) >= plants.SLOW_RANK_CPU_S * 1e9) == burns


def test_two_of_the_first_requests_lose_their_images():
    strategy = made(plants.WrongOutput, 0)
    without = [place for place in range(8) if not inputs_of(strategy, place).mm_items]
    assert tuple(without) == plants.WRONG_OUTPUTS


def test_only_the_first_requests_are_slow(slept):
    strategy = made(plants.SlowStart)
    for number in range(plants.SLOW_FIRST + 20):
        strategy.at_tokenizer(raw_item(number))
    assert slept == [plants.SLOW_FIRST_DELAY_S] * plants.SLOW_FIRST


def test_the_slow_start_is_over_before_anything_is_measured():
    plan = SLOW_START.plan()
    in_warmup = plants.SLOW_FIRST - plan.identity_items
    assert in_warmup / plan.load.rate_rps + plants.SLOW_FIRST_DELAY_S < plan.warmup_s


def test_the_stand_ins_configuration_of_the_selftest_is_valid_and_lets_requests_sleep():
    engine_args = Setup(duration_s=5).plan().engine_args
    config = load_config(engine_args[engine_args.index("--config") + 1])
    asleep = 250 * plants.TAIL_SHARE * plants.SLOW_TAIL_DELAY_S
    assert config.processor_threads > 4 * asleep
