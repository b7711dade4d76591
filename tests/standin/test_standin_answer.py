import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmload.handoff.counters import Counters
from mmload.handoff.strategy import BuildFailed
from mmload.standin.answer import VOCABULARY, compose, detokenise, sample_digest
from mmload.standin.inputs import MultimodalInputs, from_dict


def raw(*seeds, patches=64):
    items = []
    for seed in seeds:
        feature = np.random.default_rng(seed).normal(size=(patches, 1176)).astype(np.float32)
        items.append({"modality": "IMAGE", "feature": feature, "grid": (1, 8, patches // 8)})
    return {"mm_items": items}


def built(*seeds, patches=64):
    return from_dict(raw(*seeds, patches=patches), Counters())


@given(st.binary(min_size=1), st.integers(1, 8), st.integers(1, 40))
def test_the_answer_is_the_same_at_any_tp_when_all_ranks_agree(prompt, tp, tokens):
    assert compose(prompt, [b"digest"] * tp, tokens) == compose(prompt, [b"digest"], tokens)


@given(st.integers(2, 8), st.integers(0, 7))
def test_one_rank_that_deviates_changes_the_answer(tp, who):
    digests = [b"digest"] * tp
    digests[who % tp] = b"other"
    assert compose(b"prompt", digests, 16) != compose(b"prompt", [b"digest"] * tp, 16)


def test_the_answer_hangs_on_the_prompt_and_has_the_tokens_that_were_asked_for():
    short, long = compose(b"prompt", [b"digest"], 5), compose(b"prompt", [b"digest"], 500)
    assert len(short) == 5
    assert long[:5] == short
    assert compose(b"other", [b"digest"], 5) != short


def test_all_words_are_different_and_bring_their_space():
    assert len(set(VOCABULARY)) == len(VOCABULARY)
    assert detokenise([0, 1]) == [f" {VOCABULARY[0]}", f" {VOCABULARY[1]}"]


def test_the_digest_is_that_of_the_features_and_survives_a_copy():
    assert sample_digest(built(1, 2)) == sample_digest(built(1, 2))


@pytest.mark.parametrize(
    "other",
    [built(1), built(2, 1), built(1, 3), built(1, 1), MultimodalInputs([]), None],
    ids=["dropped", "swapped", "wrong", "repeated", "empty", "none"],
)
def test_dropped_swapped_and_wrong_items_have_another_digest(other):
    assert sample_digest(other) != sample_digest(built(1, 2))


def test_the_sample_reaches_over_the_whole_tensor():
    inputs = built(1, patches=512)
    feature = inputs.mm_items[0].feature
    before = sample_digest(inputs)
    for part in np.array_split(np.arange(feature.size), 50):
        spoilt = feature.copy()
        spoilt.reshape(-1)[part] += 1
        inputs.mm_items[0].feature = spoilt
        assert sample_digest(inputs) != before


def test_a_tensor_smaller_than_the_sample_is_read_whole():
    inputs = from_dict(
        {"mm_items": [{"modality": "AUDIO", "feature": np.zeros((128, 2), np.float32), "grid": None}]}, Counters()
    )
    before = sample_digest(inputs)
    inputs.mm_items[0].feature[127, 1] = 1
    assert sample_digest(inputs) != before


def test_from_dict_hashes_every_item_and_books_build_and_hash_apart():
    counters = Counters()
    inputs = from_dict(raw(1, 2), counters)
    assert inputs.mm_items[0].hash != inputs.mm_items[1].hash
    assert inputs.mm_items[0].pad_value == inputs.mm_items[0].hash % 2**30
    assert counters["objects_built"] == 1
    assert counters["hash_cpu_seconds"] > 0
    assert counters["build_cpu_seconds"] > 0


@pytest.mark.parametrize(
    "item",
    [
        {"modality": "IMAGE", "feature": np.zeros((63, 1176), np.float32), "grid": (1, 8, 8)},
        {"modality": "IMAGE", "feature": np.zeros((64, 1176), np.float64), "grid": (1, 8, 8)},
        {"modality": "IMAGE", "feature": np.zeros(64, np.float32), "grid": (1, 8, 8)},
        {"modality": "IMAGE", "feature": b"bytes", "grid": (1, 8, 8)},
        {"modality": "IMAGE", "grid": (1, 8, 8)},
        {"modality": "IMAGE", "feature": np.zeros((64, 1176), np.float32), "grid": (1, 8, 8), "depth": 3},
        "an item",
    ],
)
def test_malformed_features_can_not_be_built(item):
    counters = Counters()
    with pytest.raises(BuildFailed):
        from_dict({"mm_items": [item]}, counters)
    assert counters["objects_built"] == 0


@pytest.mark.parametrize("document", [{}, None, {"mm_items": None}])
def test_inputs_that_are_no_inputs_can_not_be_built(document):
    with pytest.raises(BuildFailed):
        from_dict(document, Counters())
