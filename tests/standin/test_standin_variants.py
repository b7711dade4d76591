"""Every variant on real rank processes: the same answers, the work that its card names, and nothing left behind."""

import concurrent.futures
import contextlib
import functools
from pathlib import Path

import pytest
from served import PATIENCE_S, chat, counters, film, picture, sound
from standin_client import Server
from variant_rows import (
    BACKGROUND,
    ENTRY_RANK,
    PER_BATCH,
    PER_REQUEST,
    Grown,
    answers_to,
    ask_in_a_storm,
    backlog,
    built,
    check_backlogs,
    check_row,
    eventually,
    question,
)

from mmload.handoff.registry import STRATEGIES

pytestmark = pytest.mark.live

SERVERS = [(variant, tp) for tp in (1, 2, 4) for variant in sorted(set(STRATEGIES) - {"stock"})] + [("stock", 2)]
RUNNING = 'sglang:num_running_reqs{engine_type="unified",model_name="standin-vl",pp_rank="0",tp_rank="0"}'


QUESTIONS = {
    "an image": question(("image", picture(1))),
    "another image": question(("image", picture(2, 168, 84))),
    "two images": question(("image", picture(1)), ("image", picture(2, 168, 84))),
    "two images, the other way round": question(("image", picture(2, 168, 84)), ("image", picture(1))),
    "a video": question(("video", film())),
    "a sound and an image": question(("audio", sound()), ("image", picture(3))),
    "words": question(),
}
WITH_MEDIA = len(QUESTIONS) - 1
SEEN_BEFORE = 4  # each pair is of the two images before it


def answers_of(server):
    return answers_to(server, QUESTIONS)


@pytest.fixture(scope="module")
def truth(fast_device):
    """What `original` answers on two ranks, and the bytes that it broadcasts for that."""
    server = Server("original", 2, "--config", str(fast_device))
    answers = answers_of(server)
    sent_bytes = counters(server.metrics(), "broadcast_bytes")["scheduler_TP0"]
    server.end()
    assert len(set(answers.values())) == len(QUESTIONS)
    return answers, sent_bytes


@pytest.fixture(scope="module", params=SERVERS, ids=lambda server: f"{server[0]}-tp{server[1]}")
def hosted(request, fast_device):
    """(variant, tp, server) for one variant after another; a server that has ended leaves nothing."""
    variant, tp = request.param
    server = Server(variant, tp, "--config", str(fast_device))
    yield variant, tp, server
    server.process.terminate()
    assert server.process.wait(PATIENCE_S) == 0
    assert server.process.stderr.read() == ""
    assert segments_of(server) == []
    server.end()


def segments_of(server):
    return sorted(Path("/dev/shm").glob(f"mmload-{server.process.pid}-*"))


# The answers, and who does what for them


def test_the_answers_are_those_of_original_and_the_counters_prove_the_card(hosted, truth):
    variant, tp, server = hosted
    grown = Grown(server)
    answers, original_bytes = truth
    assert answers_of(server) == answers
    check_row(grown, variant, tp, WITH_MEDIA, SEEN_BEFORE)
    sent_bytes = grown("broadcast_bytes")[1]
    if tp == 1:
        assert sent_bytes == 0
    elif variant == "shm":
        assert sent_bytes < 2000 * len(QUESTIONS)
    else:
        sends = variant in PER_REQUEST | PER_BATCH
        repeated = 2 * (48 + 72) * 1176 * 4 if variant == "delta" else 0  # two images' patches, two times each
        assert sent_bytes == pytest.approx((2 if sends else 1) * original_bytes - repeated, rel=0.005)


def test_time_is_booked_where_it_is_spent(hosted):
    variant, tp, server = hosted
    grown = Grown(server)
    server.answer(picture(20), text="timed")
    hash_s = grown("hash_cpu_seconds")
    assert [seconds > 0 for seconds in hash_s] == [count > 0 for count in built(variant, tp, 1)]
    assert all(seconds > 0 for seconds in grown("handler_wall_seconds")[1:])


def test_requests_that_come_together_are_sent_together_where_the_card_says_so(hosted):
    variant, tp, server = hosted
    check_backlogs(server, variant, tp)
    assert len(set(backlog(server, range(5000, 5008)).values())) == 8


def test_a_storm_of_requests_and_aborts_mixes_nothing_up_and_leaves_nothing(hosted):
    variant, tp, server = hosted
    truth = {seed: server.answer(picture(seed)) for seed in range(5)}
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        outcomes = list(
            pool.map(
                functools.partial(ask_in_a_storm, server, truth), range(50 if tp < 4 else 24), timeout=2 * PATIENCE_S
            )
        )
    assert all(outcomes)
    eventually(lambda: server.metrics()[RUNNING] == 0)
    assert {seed: server.answer(picture(seed)) for seed in range(5)} == truth
    assert counters(server.metrics(), "fallbacks")["scheduler_TP0"] == 0
    if variant == "shm":
        eventually(lambda: segments_of(server) == [])
        metrics = server.metrics()
        made, unlinked = (sum(counters(metrics, name).values()) for name in ("shm_segments", "shm_unlinked"))
        assert made == unlinked > 0


def test_a_feature_that_was_seen_is_not_sent_again(start):
    server = start("delta", 2)
    grown = Grown(server)
    first = server.answer(picture(31, 448, 448))
    once = grown("broadcast_bytes")[1]
    assert server.answer(picture(31, 448, 448)) == first
    assert grown("broadcast_bytes")[1] == pytest.approx(1.5 * once, rel=0.01)  # with the request, and not by delta
    assert grown("feature_hits") == [0, 1, 1]
    assert grown("fallbacks") == [0, 0, 0]


def test_a_server_that_polls_answers_the_same(start, truth):
    server = start("combined", 2, "--poll-on-idle")
    assert answers_of(server) == truth[0]


# What goes wrong, goes wrong for one request, or ends the server; nothing hangs


@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize("variant", sorted(PER_REQUEST | PER_BATCH))
def test_a_rank_that_cannot_build_fails_that_request_alone(start, variant, rank):
    faulty = f"{rank}=faulty_strategies:CannotBuild_{variant.replace('-', '_')}"
    server = start(variant, 2, "--rank-variant", faulty)
    bad = chat(picture(9, 84, 84))
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        good = [pool.submit(server.answer, picture(seed)) for seed in range(3)]
        status, reply = pool.submit(server.post, "/v1/chat/completions", bad).result(PATIENCE_S)
        good += [pool.submit(server.answer, picture(seed)) for seed in range(3)]
        answers = [each.result(PATIENCE_S) for each in good]
    assert answers[:3] == answers[3:]
    if rank == 1 and variant in ENTRY_RANK:  # it never has to build
        assert status == 200
    else:
        assert (status, reply["message"]) == (500, "this rank can't")
    assert server.metrics()[RUNNING] == 0


@pytest.mark.parametrize("variant", sorted(PER_BATCH | BACKGROUND))
def test_a_rank_killed_while_the_others_wait_for_it_ends_the_server(start, variant):
    server = start(variant, 2)
    server.answer(picture(1))
    server.ranks[1].suspend()
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        asked = [pool.submit(server.post, "/v1/chat/completions", chat(picture(seed))) for seed in range(3)]
        eventually(lambda: counters(server.metrics(), "requests")["tokenizer"] == 4)
        server.ranks[1].kill()
        for each in asked:
            status, reply = each.result(PATIENCE_S)
            assert status == 500
            assert "Scheduler rank" in reply["message"]
    assert server.process.wait(PATIENCE_S) == 5
    assert not any(rank.is_running() for rank in server.ranks)


@pytest.mark.parametrize("rank", [0, 1])
@pytest.mark.parametrize("variant", ["async-broadcast", "async-batch"])
def test_a_rank_of_another_variant_ends_the_server_instead_of_hanging_it(start, variant, rank):
    server = start(variant, 2, "--rank-variant", f"{rank}=original")
    assert server.answer()
    status, _ = server.post("/v1/chat/completions", chat(picture(1)))
    assert status == 500
    assert server.process.wait(PATIENCE_S) == 5


@pytest.mark.parametrize("variant", [*sorted(BACKGROUND), "shm"])
def test_a_stop_that_does_not_wait_ends_a_busy_server_in_order(start, variant):
    server = start(variant, 2, "--config", "standin")
    streams = [
        server.open("POST", "/v1/chat/completions", chat(picture(seed), max_tokens=60_000, stream=True))
        for seed in range(6)
    ]
    server.process.terminate()
    while streams[-1][1].readline():  # tokens still come, until the second signal
        server.process.terminate()
    for connection, _ in streams:
        connection.close()
    assert server.process.wait(PATIENCE_S) == 0
    assert (server.process.returncode, server.process.stderr.read()) == (0, "")
    assert segments_of(server) == []


def test_a_full_cache_costs_builds_and_no_answer(start):
    server = start("faulty_strategies:SmallCache", 2)
    grown = Grown(server)
    for attempt in range(20):
        backlog(server, range(10 * attempt, 10 * attempt + 8))
        if grown("cache_evictions")[1]:
            break
    assert grown("fallbacks") == grown("cache_evictions")
    assert grown("fallbacks")[1] == grown("fallbacks")[2] > 0
    assert grown("cache_hits")[1] + grown("fallbacks")[1] == grown("requests")[1]
    server.process.terminate()
    assert server.process.wait(PATIENCE_S) == 0
    assert "dropped from the cache" in server.process.stderr.read()


def test_a_rank_that_lacks_a_feature_builds_it_and_answers_right(start):
    server = start("delta", 2, "--rank-variant", "1=faulty_strategies:Forgetful")
    grown = Grown(server)
    assert server.answer(picture(1)) == server.answer(picture(1))
    assert grown("feature_hits") == [0, 1, 0]
    assert grown("fallbacks") == [0, 0, 1]
    server.process.terminate()
    assert server.process.wait(PATIENCE_S) == 0
    assert "rank 1 lacks the feature" in server.process.stderr.read()


# Shared memory


def test_without_room_in_shared_memory_the_request_is_refused_and_no_other(start):
    server = start("faulty_strategies:SmallMemory", 2)
    small, large = picture(1), picture(2, 448, 448)
    first = server.answer(small)
    for _ in range(2):
        status, reply = server.post("/v1/chat/completions", chat(small, large))
        assert status == 503
        assert reply["message"].startswith("no shared memory for 5.0 MB of features: ")
        assert server.answer(small) == first
    assert segments_of(server) == []


def test_a_server_that_loses_its_entry_rank_leaves_no_segment(start):
    server = start("shm", 2)
    with waiting_requests(server, 3):
        assert len(segments_of(server)) == 3
        server.ranks[0].kill()
    assert server.process.wait(PATIENCE_S) == 5
    assert segments_of(server) == []


def test_what_a_killed_server_leaves_the_next_start_sweeps(start):
    server = start("shm", 2)
    with waiting_requests(server, 3):
        server.process.kill()
        server.process.wait()
    assert len(segments_of(server)) == 3
    start("shm", 1)
    assert segments_of(server) == []


def test_a_living_servers_segments_are_not_swept(start):
    server = start("shm", 2)
    with waiting_requests(server, 1):
        start("shm", 1)
        assert len(segments_of(server)) == 1
        server.ranks[0].resume()
    eventually(lambda: segments_of(server) == [])


@contextlib.contextmanager
def waiting_requests(server, count):
    """Requests on their way to an entry rank that does not take them."""
    server.ranks[0].suspend()
    with concurrent.futures.ThreadPoolExecutor(count) as pool:
        asked = [pool.submit(try_to_ask, server, seed) for seed in range(count)]
        eventually(lambda: len(segments_of(server)) == count)
        yield
        concurrent.futures.wait(asked, PATIENCE_S)


def try_to_ask(server, seed):
    with contextlib.suppress(OSError):  # the server is killed
        server.post("/v1/chat/completions", chat(picture(seed)))
