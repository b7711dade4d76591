"""The work share against targets whose share is known: bench/known_truth.py at length, here two of its kinds."""

import pytest
from known_truth import trial_of

pytestmark = [pytest.mark.live, pytest.mark.alone]


@pytest.mark.parametrize(("native", "depth"), [("busy", 0), ("none", 40)])
def test_the_work_share_lies_near_the_truth(native, depth):
    trial = trial_of((5, 10), native, depth, seconds=2.0)
    assert 0.5 < trial.truth < 0.95
    twice = trial.high - trial.low
    assert trial.value - twice < trial.truth < trial.value + twice, "one in ten thousand lies further off by chance"
