"""The variants that other versions of SGLang than the default one must host too, where these are set up."""

import pytest
from planted import SPOILED_PX
from served import chat, picture
from sglang_asked import QUESTIONS, answers_of, check_answers_and_row, measured, outlast_a_storm
from sglang_server import SglangServer
from variant_rows import Grown, built, eventually

from mmload.analyse.summary import summarise
from mmload.serve.sglang_cpu.place import CpuEngine
from mmload.store.read import Run

pytestmark = pytest.mark.sglang

VERSIONS = ("0.5.5", "0.5.23")  # without SGLang's plugins, and with
VARIANTS = ("original", "commit", "optimized", "shm")


@pytest.fixture(scope="module", params=VERSIONS)
def engine(request):
    if not CpuEngine.of(request.param).is_ready:
        pytest.skip(f"not set up: mmload engine setup sglang-cpu --sglang {request.param}")
    return f"sglang-cpu:{request.param}"


@pytest.fixture(scope="module")
def stock(engine, tmp_path_factory):
    """What the server as it is answers, and the summary of a run against it."""
    out = tmp_path_factory.mktemp("run")
    server = SglangServer("stock", tmp_path_factory.mktemp("stock") / "server.log", engine=engine)
    try:
        answers = answers_of(server)
        measured(out, "--url", server.url)
    finally:
        server.end()
    assert len(set(answers.values())) == len(QUESTIONS)
    (folder,) = out.iterdir()
    return answers, summarise(Run(folder))


@pytest.fixture(scope="module")
def truth(stock):
    return stock[0]


@pytest.fixture(scope="module", params=VARIANTS)
def hosted(request, engine, truth, tmp_path_factory):
    """(variant, server); one that has ended leaves nothing."""
    server = SglangServer(request.param, tmp_path_factory.mktemp(request.param) / "server.log", engine=engine)
    yield request.param, server
    server.end()
    assert not any(process.is_running() for process in server.tree)
    assert server.segments() == []


def test_the_answers_are_those_of_stock_and_the_counters_prove_the_card(hosted, truth):
    variant, server = hosted
    ranks = server.info()["mmload"]["ranks"]
    assert [(rank["variant"], rank["pid"]) for rank in ranks] == [(variant, rank.pid) for rank in server.ranks]
    grown = check_answers_and_row(server, variant, truth)
    hashed = [seconds > 0 for seconds in grown("hash_cpu_seconds")]
    assert hashed == [count > 0 for count in built(variant, 2, 1)]


def test_the_server_s_own_figures_stand_beside_the_client_s(engine, stock):
    _, summary = stock
    latencies, ranks = summary.server.latencies, {"scheduler_TP0", "scheduler_TP1"}
    assert {"e2e", "ttft", "queue"} <= latencies.keys()
    assert latencies["e2e"].n == pytest.approx(latencies["e2e"].client_n, abs=2)
    assert latencies["e2e"].mean_ms < latencies["e2e"].client_ms
    assert set(summary.server.gauges) == {
        "running",
        "queued",
        "generation_tokens_per_s",
        "token_usage",
        "cache_hit_rate",
    }
    counts_itself = engine.endswith("0.5.23")
    assert set(summary.server.schedulers) == (ranks if counts_itself else set())
    for name, own in summary.server.schedulers.items():
        assert sum(own.stages.values()) == pytest.approx(1)
        assert own.cpu_pct == pytest.approx(summary.cpu[name].total_pct, rel=0.5)  # not quite the same time
    assert [said for said in summary.warnings if "of its own" in said] == []  # held against each other in the same time


def test_a_storm_of_requests_and_aborts_mixes_nothing_up_and_leaves_nothing(hosted):
    variant, server = hosted
    grown = Grown(server)
    outlast_a_storm(server)
    eventually(lambda: server.segments() == [])
    assert sum(grown("shm_segments")) == sum(grown("shm_unlinked"))
    assert (sum(grown("shm_segments")) > 0) == (variant == "shm")


def test_malformed_features_fail_their_request_alone(engine, tmp_path, request):
    server = SglangServer("planted:Malformed", tmp_path / "log", engine=engine, folders=[request.path.parent])
    try:
        sound = server.answer(picture(1))
        status, reply = server.post("/v1/chat/completions", chat(picture(9, SPOILED_PX, SPOILED_PX)))
        assert (status, "can't be built" in str(reply)) == (400, True), reply
        assert server.answer(picture(1)) == sound
    finally:
        server.end()
