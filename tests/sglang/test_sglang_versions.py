"""The variants that other versions of SGLang than the default one must host too, where these are set up."""

import pytest
from planted import SPOILED_PX
from served import chat, picture
from sglang_asked import QUESTIONS, answers_of, check_answers_and_row, outlast_a_storm
from sglang_server import SglangServer
from variant_rows import Grown, built, eventually

from mmload.serve.sglang_cpu.place import CpuEngine

pytestmark = pytest.mark.sglang

VERSIONS = ("0.5.5", "0.5.23")  # without SGLang's plugins, and with
VARIANTS = ("original", "commit", "optimized", "shm")


@pytest.fixture(scope="module", params=VERSIONS)
def engine(request):
    if not CpuEngine.of(request.param).is_ready:
        pytest.skip(f"not set up: mmload engine setup sglang-cpu --sglang {request.param}")
    return f"sglang-cpu:{request.param}"


@pytest.fixture(scope="module")
def truth(engine, tmp_path_factory):
    """What the server as it is answers."""
    server = SglangServer("stock", tmp_path_factory.mktemp("stock") / "server.log", engine=engine)
    try:
        answers = answers_of(server)
    finally:
        server.end()
    assert len(set(answers.values())) == len(QUESTIONS)
    return answers


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
