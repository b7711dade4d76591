"""Variant cards: every strategy has one, and its picture is drawn by rules that are checked."""

import pytest

from mmload.errors import ConfigError
from mmload.handoff.registry import STRATEGIES
from mmload.plan.config import convert
from mmload.plan.variants import Step, load_variants


def test_every_strategy_has_a_card():
    assert {card.name for card in load_variants()} == set(STRATEGIES)


def test_every_picture_starts_in_the_tokenizer_and_ends_when_all_ranks_schedule():
    for card in load_variants():
        if card.picture:
            assert card.picture[0].by == ("tokenizer",)
            assert (card.picture[-1].by, card.picture[-1].does) == (("rank 0", "rank 1..N"), "schedule")


@pytest.mark.parametrize(
    "step",
    [
        {"by": ["rank 0"]},
        {"by": ["rank 0"], "does": "build", "sends": "object", "to": ["rank 1..N"]},
        {"by": ["rank 0"], "sends": "object"},
        {"by": ["rank 0"], "does": "build", "to": ["rank 1..N"]},
        {"by": [], "does": "build"},
        {"by": ["rank 9"], "does": "build"},
    ],
)
def test_a_step_that_can_not_be_drawn_is_refused_by_its_file(step):
    with pytest.raises(ConfigError, match=r"mine\.toml"):
        convert(step, Step, "mine.toml")
