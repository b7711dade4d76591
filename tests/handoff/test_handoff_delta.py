import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ranks_in_threads import UNPICKLABLE, Item, truth

from mmload.handoff.counters import Counters
from mmload.handoff.delta import Features, Seen, key_of


def feature(number, floats=4):
    return Seen(number, (floats,), "float32"), np.full(floats, number, np.float32)


def test_a_repeated_feature_is_sent_as_its_hash_alone(group):
    one = group("delta", 2, feature_bytes=10**6)
    assert one.hand_over(1, 1) == [[truth(1)] * 2] * 2
    first = one.counted("broadcast_bytes")[1]
    assert one.hand_over(1, 1) == [[truth(1)] * 2] * 2
    assert one.counted("feature_hits") == [0, 6, 6]  # two in the first batch, four in the second
    assert b"mm_items" in one.main.sent[1]
    assert np.full((2, 4), 1, np.float32).tobytes() in one.main.sent[0]
    assert np.full((2, 4), 1, np.float32).tobytes() not in one.main.sent[1]
    assert one.counted("broadcast_bytes")[1] < 2 * first


def test_the_inputs_of_the_entry_rank_keep_their_features(group):
    one = group("delta", 2)
    one.hand_over(1)
    assert one.hand_over(1)[0] == [truth(1)]


@pytest.mark.parametrize("forgetful", [0, 1])
def test_a_rank_that_lacks_a_feature_builds_that_request_and_no_other(group, forgetful, caplog):
    one = group("delta", 2)
    one.hand_over(1)
    one.ranks[forgetful]._seen.clear()
    assert one.hand_over(5, 1, 3) == [[truth(5), truth(1), truth(3)]] * 2
    assert one.counted("fallbacks") == ([0, 0, 1] if forgetful == 1 else [0, 0, 0])
    assert ("lacks the feature" in caplog.text) == (forgetful == 1)
    assert one.hand_over(1) == [[truth(1)]] * 2
    assert one.counted("fallbacks") == ([0, 0, 1] if forgetful == 1 else [0, 0, 0])  # it has it from then on


def test_what_could_not_be_sent_is_not_taken_for_seen(group):
    one = group("delta", 2)
    one.hand_over(1, UNPICKLABLE)
    fallbacks = one.counted("fallbacks")
    assert one.hand_over(1, 2) == [[truth(1), truth(2)]] * 2
    assert one.counted("fallbacks") == fallbacks


def test_features_of_equal_bytes_and_another_shape_are_told_apart():
    one, other = np.zeros((2, 6), np.float32), np.zeros((3, 4), np.float32)
    assert key_of(Item(one, 7)) != key_of(Item(other, 7))
    assert key_of(Item(one, 7)) == key_of(Item(one.copy(), 7))


@pytest.mark.parametrize("item", [Item(np.zeros(3), None), Item(None, 7), Item([np.zeros(3)], 7)], ids=repr)
def test_an_item_without_hash_or_array_is_always_sent(item):
    assert key_of(item) is None


def test_a_feature_larger_than_the_memory_is_not_remembered():
    counters = Counters()
    features = Features(10, most_bytes=15, counters=counters)
    features.remember(*feature(1))
    assert len(features) == features.bytes == counters["feature_evictions"] == 0


def test_the_feature_not_used_for_longest_is_dropped_first():
    features = Features(2, 10**6, Counters())
    for number in (1, 2):
        features.remember(*feature(number))
    features.recall(feature(1)[0])
    features.remember(*feature(3))
    assert [feature(number)[0] in features for number in (1, 2, 3)] == [True, False, True]


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(1, 12), st.booleans())))
def test_the_memory_stays_within_its_bounds_and_counts_its_bytes(calls):
    features = Features(4, 80, Counters())
    for number, floats, recall in calls:
        key, array = feature(number, floats)
        if recall:
            found = features.recall(key)
            assert found is None or found.tobytes() == array.tobytes()
        else:
            features.remember(key, array)
        assert len(features) <= 4
        assert features.bytes == sum(each.nbytes for each in features._features.values()) <= 80
