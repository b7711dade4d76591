from types import SimpleNamespace

import msgspec
from factory import S, Truth, requests_of

from mmload.judge.figures import Terms
from mmload.judge.metrics import METRICS
from mmload.store.requests import table_of

ONE = next(r for r in requests_of(Truth()) if r.phase == "measure")


def test_a_stall_of_the_server_is_one_burst_of_gaps_though_it_meets_every_stream():
    stalled_s = [0, 1, 2, 3, 4, 5.5, 6.5, 7.5, 8.5, 9.5, 10.5]  # each waits half a second more for its sixth token
    streams = [
        msgspec.structs.replace(ONE, id=str(n), due_ns=n, token_ns=[round(s * S) + n for s in stalled_s])
        for n in range(200)
    ]
    rounds = SimpleNamespace(runs=[SimpleNamespace(measured=table_of(streams))], file=str)
    figure = METRICS["itl_p90_ms"].of_one(rounds, Terms(0.95, 1.0))
    assert (figure.n, figure.value) == (2000, 1000.0)
    assert ": 1 burst beyond the percentile and two unseen" in figure.evidence
