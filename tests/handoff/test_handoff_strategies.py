import pytest
from ranks_in_threads import BROKEN, MALFORMED, UNPICKLABLE, truth

from mmload.errors import UsageError
from mmload.handoff.original import Original
from mmload.handoff.registry import STRATEGIES, strategy_class
from mmload.handoff.strategy import BuildFailed
from mmload.plan.variants import load_variant, load_variants

VARIANTS = sorted(STRATEGIES)
EVERY_RANK = ["original", "rollback", "stock", "delayed", "combined"]
ENTRY_RANK = ["commit", "batch-broadcast", "async-broadcast", "async-batch", "delta"]
TOKENIZER = ["optimized", "shm"]
PER_REQUEST = ["commit", "delayed", "async-broadcast", "combined"]
PER_BATCH = ["batch-broadcast", "async-batch", "delta"]
BACKGROUND = ["async-broadcast", "async-batch", "combined"]
SENDING = [*PER_REQUEST, *PER_BATCH]


@pytest.mark.parametrize("size", [1, 2, 4])
@pytest.mark.parametrize("variant", VARIANTS)
def test_every_rank_ends_up_with_the_same_inputs(group, variant, size):
    numbers = (1, 2, 1, 3, 4, 5)
    assert group(variant, size).hand_over(*numbers) == [[truth(number) for number in numbers]] * size


# Who builds


@pytest.mark.parametrize("variant", EVERY_RANK)
def test_every_rank_builds(group, variant):
    one = group(variant, 4)
    one.hand_over(1, 2)
    assert one.counted("objects_built") == [0, 2, 2, 2, 2]


@pytest.mark.parametrize("variant", ENTRY_RANK)
def test_the_entry_rank_alone_builds(group, variant):
    one = group(variant, 4)
    one.hand_over(1, 2)
    assert one.counted("objects_built") == [0, 2, 0, 0, 0]


@pytest.mark.parametrize("variant", TOKENIZER)
def test_the_tokenizer_alone_builds(group, variant):
    one = group(variant, 4)
    one.hand_over(1, 2)
    assert one.counted("objects_built") == [2, 0, 0, 0, 0]


@pytest.mark.parametrize("variant", sorted(set(VARIANTS) - set(TOKENIZER)))
def test_a_single_rank_builds_for_itself_and_broadcasts_nothing(group, variant):
    one = group(variant, 1)
    one.hand_over(1, 2)
    assert one.counted("objects_built") == [0, 2]
    assert one.counted("broadcasts") == one.counted("fallbacks") == [0, 0]


# What is sent


@pytest.mark.parametrize("variant", ["original", "rollback", "stock", *TOKENIZER])
def test_nothing_is_sent_beyond_the_request(group, variant):
    one = group(variant, 4)
    one.hand_over(1, 2)
    assert one.counted("broadcasts") == [0] * 5


@pytest.mark.parametrize("variant", PER_REQUEST)
def test_there_is_one_broadcast_a_request(group, variant):
    one = group(variant, 4)
    one.hand_over(1, 2)
    one.hand_over(3)
    assert one.counted("broadcasts") == [0, 3, 3, 3, 3]


@pytest.mark.parametrize("variant", PER_BATCH)
def test_there_is_one_broadcast_a_receive_batch(group, variant):
    one = group(variant, 4)
    one.hand_over(1, 2)
    one.hand_over(3)
    assert one.counted("broadcasts") == [0, 2, 2, 2, 2]
    assert one.counted("cache_hits") == [0, 3, 3, 3, 3]


@pytest.mark.parametrize("variant", SENDING)
def test_the_background_sends_where_the_card_says_so(group, variant):
    one = group(variant, 2)
    one.hand_over(1, 2)
    assert one.counted("background_broadcasts") == (one.counted("broadcasts") if variant in BACKGROUND else [0, 0, 0])
    assert one.hosts[0].opened is (variant in BACKGROUND)


def test_a_dynamic_batch_is_sent_from_five_requests_on_and_built_by_every_rank_below(group):
    one = group("dynamic-batch", 2)
    assert one.hand_over(1, 2, 3, 4) == [[truth(number) for number in (1, 2, 3, 4)]] * 2
    assert one.counted("broadcasts") == [0, 0, 0]
    assert one.counted("objects_built") == [0, 4, 4]
    assert one.hand_over(1, 2, 3, 4, 5) == [[truth(number) for number in (1, 2, 3, 4, 5)]] * 2
    assert one.counted("broadcasts") == [0, 1, 1]
    assert one.counted("objects_built") == [0, 9, 4]
    assert one.counted("fallbacks") == [0, 0, 0]


# What goes wrong


@pytest.mark.parametrize("bad", [MALFORMED, BROKEN])
@pytest.mark.parametrize("variant", sorted(set(VARIANTS) - set(TOKENIZER)))
def test_features_that_cannot_be_built_fail_their_request_on_every_rank_and_no_other(group, variant, bad):
    one = group(variant, 2)
    assert one.hand_over(1, bad, 2) == [[truth(1), truth(bad), truth(2)]] * 2
    assert one.hand_over(3) == [[truth(3)]] * 2


@pytest.mark.parametrize("variant", TOKENIZER)
def test_a_tokenizer_that_builds_refuses_features_that_cannot_be_built(group, variant):
    with pytest.raises(BuildFailed):
        group(variant, 2).hand_over(MALFORMED)


@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize("variant", sorted(set(VARIANTS) - set(TOKENIZER)))
def test_a_rank_that_cannot_build_what_others_can_keeps_step(group, variant, rank):
    one = group(variant, 2, cannot_build={rank: (2,)})
    outcomes = one.hand_over(1, 2, 3, 4, 5)
    assert [[each[0], *each[2:]] for each in outcomes] == [[truth(number) for number in (1, 3, 4, 5)]] * 2
    second = [each[1] for each in outcomes]
    if variant in ENTRY_RANK or variant == "dynamic-batch":
        assert second == ["MemoryError" if rank == 0 and (r == 0 or variant == "commit") else truth(2) for r in (0, 1)]
    else:
        assert second == ["MemoryError" if r == rank else truth(2) for r in (0, 1)]
    assert one.hand_over(6) == [[truth(6)]] * 2


@pytest.mark.parametrize("variant", ["batch-broadcast", "async-broadcast", "async-batch", "delta"])
def test_what_the_entry_rank_cannot_pickle_every_rank_builds_for_itself(group, variant, caplog):
    one = group(variant, 2)
    for outcomes in one.hand_over(1, UNPICKLABLE, 2):
        assert [each.extra is None for each in outcomes] == [True, False, True]
    assert one.counted("fallbacks")[2] >= 1
    assert "builds request r1 from its dict: can't be sent" in caplog.text
    assert one.hand_over(1, 2) == [[truth(1), truth(2)]] * 2


def test_commit_fails_a_request_that_cannot_be_pickled_on_every_rank(group):
    outcomes = group("commit", 2).hand_over(UNPICKLABLE, 1)
    assert [each[0].startswith("can't be sent") for each in outcomes] == [True, True]
    assert [each[1] for each in outcomes] == [truth(1)] * 2


@pytest.mark.parametrize("variant", [*PER_BATCH, "dynamic-batch", "async-broadcast", "combined"])
def test_requests_dropped_from_a_full_cache_are_built_by_every_rank_with_a_warning(group, variant, caplog):
    one = group(variant, 2, entries=2)
    assert one.hand_over(1, 2, 3, 4, 5) == [[truth(number) for number in (1, 2, 3, 4, 5)]] * 2
    assert one.counted("cache_evictions") == one.counted("fallbacks") == [0, 3, 3]
    assert one.counted("cache_hits") == [0, 2, 2]
    assert f"{variant}: rank 1 builds request r0 from its dict: dropped from the cache" in caplog.text


@pytest.mark.parametrize("variant", VARIANTS)
def test_two_requests_of_one_name_are_not_mixed_up(group, variant):
    turn = [("request", "same", number) for number in (1, 2, 3, 4, 5)]
    assert group(variant, 2).play([turn]) == [[truth(number) for number in (1, 2, 3, 4, 5)]] * 2


@pytest.mark.parametrize("variant", VARIANTS)
def test_what_was_aborted_is_not_kept(group, variant):
    one = group(variant, 2)
    messages = [("abort", f"r{n}") for n in range(6)] + [("request", f"r{n}", n) for n in range(6)]
    assert one.play([messages], drop_aborted=True) == [[], []]
    assert [len(getattr(strategy, "_ready", ())) for strategy in one.ranks] == [0, 0]


# The registry and the cards


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
