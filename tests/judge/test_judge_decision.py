from functools import partial

import msgspec
import pytest

from mmload.analyse.cpu import Interval
from mmload.judge.criteria import Criterion
from mmload.judge.decision import more_evidence, never_reached
from mmload.judge.figures import bounded, shrunk

INTERVAL = Interval(5.0, 3.99, 6.01)
FIGURE = bounded(INTERVAL, 10, "x", partial(shrunk, INTERVAL))


def criterion(op, limit):
    return Criterion(metric="qps", op=op, limit=limit, baseline=None)


@pytest.mark.parametrize(("length_s", "words"), [(10, "21 more requests (1 s of"), (1000, "21 more requests (21 s of")])
def test_more_evidence_is_a_whole_number_of_seconds_and_at_least_one(length_s, words):
    assert more_evidence(criterion("<", 6), FIGURE, 1000, length_s).startswith(words)


@pytest.mark.parametrize(
    ("op", "limit", "offered_rps", "said"),
    [
        (">", 70, 50.0, "only 50 req/s were offered"),
        (">", 70, 70.0, "only 70 req/s were offered"),
        (">=", 70, 70.0, None),
        ("<", 70, 50.0, None),
        (">", 70, None, None),
    ],
)
def test_what_was_never_offered_could_not_be_reached(op, limit, offered_rps, said):
    assert never_reached(criterion(op, limit), msgspec.structs.replace(FIGURE, offered_rps=offered_rps)) == said
