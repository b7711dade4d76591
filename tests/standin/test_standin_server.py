"""A stand-in as its clients see it: real processes."""

import concurrent.futures
import json
import random
import re

import pytest
from served import PATIENCE_S, chat, counters, data_uri, film, picture, sound

pytestmark = pytest.mark.live


def events(stream):
    return [event.removeprefix("data: ") for event in stream.split("\n\n") if event]


# The answers


@pytest.mark.parametrize("fault", ["Dropped", "Swapped", "Stale"])
def test_features_that_are_wrong_on_one_rank_change_the_answer(start, server, fault):
    faulty = start("original", 2, "--rank-variant", f"1=faulty_strategies:{fault}")
    images = picture(3), picture(4)
    faulty.answer(picture(5))
    assert faulty.answer(*images) != server.answer(*images)
    assert faulty.answer() == server.answer()


def test_an_answer_at_temperature_0_hangs_on_text_and_image_alone(server):
    assert server.answer(picture(6)) == server.answer(picture(6))
    assert server.answer(picture(6), text="Another question") != server.answer(picture(6))
    assert server.answer(picture(6), temperature=1) != server.answer(picture(6), temperature=1)


def test_a_stream_and_a_whole_answer_say_the_same(server):
    body = chat(picture(7), stream=True, stream_options={"include_usage": True}, max_completion_tokens=5)
    *chunks, done = events(server.post("/v1/chat/completions", body)[1])
    assert done == "[DONE]"
    chunks = [json.loads(chunk) for chunk in chunks]
    words = [chunk["choices"][0]["delta"]["content"] for chunk in chunks if chunk["choices"]]
    assert words[0] == ""
    assert words[-1] is None
    assert "".join(words[1:-1]) == server.answer(picture(7), max_tokens=5)
    assert len(words) == 1 + 5 + 1
    assert chunks[-1]["usage"]["completion_tokens"] == 5


def test_generate_answers_streamed_and_whole(server):
    body = {
        "text": "What is this?",
        "image_data": [picture(8), picture(9)],
        "sampling_params": {"max_new_tokens": 4, "temperature": 0},
    }
    whole = server.post("/generate", body)[1]
    *parts, done = events(server.post("/generate", body | {"stream": True})[1])
    assert done == "[DONE]"
    last = json.loads(parts[-1])
    assert last["text"] == whole["text"]
    assert last["meta_info"]["finish_reason"] == whole["meta_info"]["finish_reason"] == {"type": "length", "length": 4}
    assert len(whole["text"].split()) == 4


def test_videos_and_sounds_are_answered_on_both_endpoints(server):
    for kind, uri in (("video", film()), ("audio", sound())):
        content = [{"type": f"{kind}_url", f"{kind}_url": {"url": uri}}]
        body = {"messages": [{"role": "user", "content": content}], "max_tokens": 2, "temperature": 0}
        status, reply = server.post("/v1/chat/completions", body)
        assert status == 200, reply
        assert reply["usage"]["prompt_tokens"] > 10
        native = {"text": "?", f"{kind}_data": [uri], "sampling_params": {"max_new_tokens": 2, "temperature": 0}}
        assert server.post("/generate", native)[0] == 200


def test_tokens_are_counted_and_repeated_prompts_are_cached(server):
    def usage(seed: int) -> dict:
        body = chat(picture(seed, width=224, height=224), text="a b c")
        return server.post("/v1/chat/completions", body)[1]["usage"]

    def flush() -> None:
        assert server.get("/flush_cache") == (200, "Cache flushed.\n")

    flush()
    first = usage(10)
    assert first["prompt_tokens"] == 64 + len(["user", "a", "b", "c"])
    assert first["total_tokens"] == first["prompt_tokens"] + first["completion_tokens"]
    assert first["prompt_tokens_details"] == {"cached_tokens": 0}
    assert usage(10)["prompt_tokens_details"] == {"cached_tokens": 67}
    assert usage(11)["prompt_tokens_details"] == {"cached_tokens": 1}, "the role comes before the image"
    flush()
    assert usage(10)["prompt_tokens_details"] == {"cached_tokens": 0}


# What goes wrong, goes wrong for one request


@pytest.mark.parametrize(
    "image",
    ["data:image/jpeg;base64,!!!", data_uri("image/jpeg", b"hello"), picture()[:-400], "http://127.0.0.1/x.jpg"],
    ids=["base64", "no image", "cut short", "a link"],
)
@pytest.mark.parametrize("stream", [False, True])
def test_a_bad_image_is_refused_with_an_error_object(server, image, stream):
    status, reply = server.post("/v1/chat/completions", chat(image, stream=stream))
    assert status == 400
    assert reply["object"] == "error"
    assert reply["code"] == 400
    assert "IMAGE" in reply["message"]


def test_bad_json_and_other_content_types_are_refused(server):
    assert server.post("/v1/chat/completions", b"{nope")[0] == 400
    assert server.post("/generate", {})[0] == 400
    assert server.get("/no/such/page")[0] == 404


def test_a_prompt_longer_than_the_context_is_refused(server):
    status, reply = server.post("/v1/chat/completions", chat(max_tokens=65_536))
    assert status == 400
    assert "maximum context length" in reply["message"]


def test_a_text_only_server_refuses_images_and_answers_text(start):
    server = start("original", 1, "--text-only", "--model", "words-only")
    status, reply = server.post("/v1/chat/completions", chat(picture()))
    assert status == 400
    assert "words-only is text-only" in reply["message"]
    assert server.answer()
    assert json.loads(server.get("/get_model_info")[1])["has_image_understanding"] is False


def test_features_that_cannot_be_built_fail_their_request_alone(start):
    server = start("faulty_strategies:Malformed")
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        good = [pool.submit(server.answer, picture(seed)) for seed in range(4)]
        bad = [pool.submit(server.post, "/v1/chat/completions", chat(picture(9, 84, 84), max_tokens=n)) for n in (1, 8)]
        good += [pool.submit(server.answer, picture(seed)) for seed in range(4)]
        answers = [each.result(PATIENCE_S) for each in good]
        refusals = [each.result(PATIENCE_S) for each in bad]
    assert answers[:4] == answers[4:]
    for status, reply in refusals:
        assert status == 500
        assert "malformed IMAGE feature: 35 patches for grid (1, 6, 6)" in reply["message"]
    assert server.metrics()["sglang:num_running_reqs" + SCHEDULER] == 0


SCHEDULER = '{engine_type="unified",model_name="standin-vl",pp_rank="0",tp_rank="0"}'


def test_one_rank_that_cannot_build_fails_the_request_and_leaves_the_others_in_step(start):
    server = start("original", 2, "--rank-variant", "1=faulty_strategies:Raising")
    for _ in range(2):
        status, reply = server.post("/v1/chat/completions", chat(picture()))
        assert status == 500
        assert reply["message"] == "this rank can't"
        assert server.answer()


def test_a_client_that_leaves_aborts_its_request_and_no_other(start, server):
    device = start("original", 2, "--config", "standin")
    connection, response = device.open("POST", "/v1/chat/completions", chat(picture(1), max_tokens=60_000, stream=True))
    assert response.readline()
    kept = device.open("POST", "/v1/chat/completions", chat(picture(2), max_tokens=40, stream=True))
    connection.sock.close()
    response.close()
    assert kept[1].read().count(b'"content":" ') == 40
    assert device.answer(picture(2)) == server.answer(picture(2))
    metrics = device.metrics()
    assert metrics['sglang:num_aborted_requests_total{model_name="standin-vl"}'] == 1
    assert metrics["sglang:num_running_reqs" + SCHEDULER] == 0


def test_answers_are_not_mixed_up_among_50_requests_with_random_aborts(server):
    truth = {seed: server.answer(picture(seed)) for seed in range(5)}

    def ask(index):
        rng = random.Random(index)
        seed = rng.randrange(5)
        if rng.random() < 0.3:
            connection, response = server.open(
                "POST", "/generate", {"text": "x", "stream": True, "image_data": picture(seed)}
            )
            response.readline()
            response.close()
            connection.close()
            return True
        return server.answer(picture(seed)) == truth[seed]

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        assert all(pool.map(ask, range(50), timeout=PATIENCE_S))


def test_a_backlog_is_received_a_few_at_a_time_and_answered_in_full(start, fast_device, tmp_path):
    config = tmp_path / "few.toml"
    config.write_text(re.sub(r"(?m)^max_recv_per_poll = .*", "max_recv_per_poll = 2", fast_device.read_text()))
    server = start("original", 2, "--config", str(config))
    entry = server.ranks[0]
    with concurrent.futures.ThreadPoolExecutor(24) as pool:
        entry.suspend()
        answers = [pool.submit(server.answer, picture(seed)) for seed in range(24)]
        while counters(server.metrics(), "requests")["tokenizer"] < 24:
            assert not any(answer.done() for answer in answers)
        entry.resume()
        assert len({answer.result(PATIENCE_S) for answer in answers}) == 24
    received = {name: counters(server.metrics(), name) for name in ("requests", "receive_batches")}
    for rank in ("scheduler_TP0", "scheduler_TP1"):
        assert received["requests"][rank] == 24
        assert received["receive_batches"][rank] >= 12


# What the server says about itself


def test_every_rank_says_for_itself_which_variant_it_runs(start):
    server = start("optimized", 2, "--rank-variant", "1=original")
    info = server.info()
    assert info["engine"] == "standin"
    assert info["tp_size"] == 2
    assert info["mmload"]["variant"] == "optimized"
    assert info["mmload"]["idle_policy"] == "sleep"
    assert [(rank["rank"], rank["variant"]) for rank in info["mmload"]["ranks"]] == [(0, "optimized"), (1, "original")]
    assert info == json.loads(server.get("/get_server_info")[1])


def test_processes_bear_sglangs_titles(start):
    two, one = start("original", 2), start("original", 1)
    titles = [rank.cmdline()[0].rstrip("\0") for rank in (*two.ranks, *one.ranks)]
    assert titles == ["sglang::scheduler_TP0", "sglang::scheduler_TP1", "sglang::scheduler"]
    assert all(rank.ppid() == two.process.pid for rank in two.ranks)


def test_metrics_bear_sglangs_names_and_true_values(start):
    server = start("original")
    for _ in range(3):
        server.answer(picture())
        server.get("/health")  # which is not counted
    metrics = server.metrics()
    assert metrics['sglang:num_requests_total{model_name="standin-vl"}'] == 3
    assert metrics['sglang:generation_tokens_total{model_name="standin-vl"}'] == 24
    for name in ("time_to_first_token", "e2e_request_latency"):
        assert metrics[f'sglang:{name}_seconds_count{{model_name="standin-vl"}}'] == 3
    assert metrics['sglang:inter_token_latency_seconds_count{model_name="standin-vl"}'] == 21
    assert metrics["sglang:cache_hit_rate" + SCHEDULER] > 0.5
    for name in ("num_queue_reqs", "token_usage", "gen_throughput"):
        assert "sglang:" + name + SCHEDULER in metrics
    for name in ("queue_time", "per_stage_req_latency"):
        assert any(key.startswith(f"sglang:{name}_seconds_bucket") for key in metrics)


def test_health_and_models_answer_as_sglang(server):
    assert server.get("/health") == (200, "")
    assert server.get("/health_generate") == (200, "")
    assert json.loads(server.get("/v1/models")[1])["data"][0]["id"] == "standin-vl"
