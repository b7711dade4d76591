"""Every variant inside real SGLang at TP 2, one server each: the same answers, the work that its card names, no error
under load, no hang and nothing left behind."""

import json

import pytest
from served import counters
from sglang_asked import check_answers_and_row, identity, measured, outlast_a_storm
from sglang_server import SglangServer
from variant_rows import built, check_backlogs, eventually

from mmload.handoff.registry import STRATEGIES

pytestmark = pytest.mark.sglang

VARIANTS = sorted(set(STRATEGIES) - {"stock"})


@pytest.fixture(scope="module", params=VARIANTS)
def hosted(request, tmp_path_factory):
    """(variant, server) for one variant after another; a server that has ended leaves nothing."""
    server = SglangServer(request.param, tmp_path_factory.mktemp(request.param) / "server.log")
    yield request.param, server
    server.end()
    assert not any(process.is_running() for process in server.tree)
    assert server.segments() == []


def test_the_answers_are_those_of_stock_and_the_counters_prove_the_card(hosted, stock):
    variant, server = hosted
    assert [rank["variant"] for rank in server.info()["mmload"]["ranks"]] == [variant] * 2
    assert [rank["pid"] for rank in server.info()["mmload"]["ranks"]] == [rank.pid for rank in server.ranks]
    grown = check_answers_and_row(server, variant, stock[0])
    tokenizer, entry, _ = grown("hash_cpu_seconds")
    assert [tokenizer > 0, entry > 0] == [count > 0 for count in built(variant, 2, 1)[:2]]
    assert all(seconds > 0 for seconds in grown("handler_wall_seconds")[1:])


def test_requests_that_come_together_are_sent_together_where_the_card_says_so(hosted):
    variant, server = hosted
    check_backlogs(server, variant, 2)


def test_a_run_finds_every_rank_announced_the_answers_of_stock_and_no_error(hosted, stock, tmp_path):
    variant, server = hosted
    manifest, records = measured(tmp_path, "--url", server.url, "--variant", variant)
    assert [rank["variant"] for rank in manifest["ranks"]] == [variant] * 2
    assert {each["outcome"] for each in records} == {"ok"}
    assert identity(records) == stock[1]
    assert len(set(stock[1].values())) == len(stock[1])


def test_a_storm_of_requests_and_aborts_mixes_nothing_up_and_leaves_nothing(hosted):
    variant, server = hosted
    outlast_a_storm(server)
    eventually(lambda: running(server) == 0)
    assert counters(server.metrics(), "fallbacks")["scheduler_TP0"] == 0
    if variant == "shm":
        eventually(lambda: server.segments() == [])
        metrics = server.metrics()
        made, unlinked = (sum(counters(metrics, name).values()) for name in ("shm_segments", "shm_unlinked"))
        assert made == unlinked > 0


def running(server):
    """Requests that the ranks still hold."""
    return sum(each["num_reqs"] for each in json.loads(server.get("/get_load")[1]))
