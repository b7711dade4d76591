"""What goes over the wire, against what SGLang 0.5.6 sent for the same kind of request."""

import base64
import contextlib
import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmload.standin import native, openai
from mmload.standin.answer import detokenise
from mmload.standin.api import Medium, Refused, decode_media
from mmload.standin.in_flight import Answer
from mmload.standin.messages import Prepared

CHUNK = (
    '{"id":"r1","object":"chat.completion.chunk","created":7,"model":"m","choices":[{"index":0,"delta":{"role":%s,'
    '"content":%s,"reasoning_content":null,"tool_calls":null},"logprobs":null,"finish_reason":%s,"matched_stop":null}],'
    '"usage":null}'
)


@pytest.fixture(autouse=True)
def clock(monkeypatch):
    monkeypatch.setattr(openai.time, "time", lambda: 7.9)
    monkeypatch.setattr(native.time, "monotonic", lambda: 12.5)


def answered(tokens, cached=0):
    answer = Answer(Prepared("r1", 27, len(tokens), b""), received_s=10.0)
    answer.token_ids = list(tokens)
    answer.cached_tokens = cached
    return answer


def chat_ask(**options):
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 3, **options}
    return openai.parse(json.dumps(body).encode(), 128)


def test_a_chat_stream_is_sglangs_byte_for_byte():
    ask = chat_ask(stream=True, stream_options={"include_usage": True})
    writer = openai.Writer(answered([0, 1, 2], cached=4), ask)
    words = detokenise([0, 1, 2])
    sent = writer.tokens(words[:1]) + writer.tokens(words[1:]) + writer.end()
    usage = (
        '{"prompt_tokens":27,"total_tokens":30,"completion_tokens":3,"prompt_tokens_details":{"cached_tokens":4},'
        '"reasoning_tokens":0}'
    )
    expected = [
        CHUNK % ('"assistant"', '""', "null"),
        *(CHUNK % ("null", f'"{word}"', "null") for word in words),
        CHUNK % ("null", "null", '"length"'),
        f'{{"id":"r1","object":"chat.completion.chunk","created":7,"model":"m","choices":[],"usage":{usage}}}',
        "[DONE]",
    ]
    assert sent.decode() == "".join(f"data: {event}\n\n" for event in expected)


def test_a_chat_stream_brings_its_usage_only_where_asked_for():
    assert openai.Writer(answered([0]), chat_ask(stream=True)).end().count(b"data: ") == 2


def test_a_whole_chat_answer_is_sglangs():
    reply = json.loads(openai.Writer(answered([0, 1]), chat_ask()).whole())
    assert reply["object"] == "chat.completion"
    assert reply["choices"] == [
        {
            "index": 0,
            "message": {
                "role": "assistant",
                "content": "".join(detokenise([0, 1])),
                "reasoning_content": None,
                "tool_calls": None,
            },
            "logprobs": None,
            "finish_reason": "length",
            "matched_stop": None,
        }
    ]
    assert reply["usage"]["total_tokens"] == 29


def test_a_generate_stream_repeats_the_text_so_far():
    answer = answered([0, 1])
    answer.token_ids = [0]
    writer = native.Writer(answer, chat_ask())
    first = json.loads(writer.tokens([]).removeprefix(b"data: "))
    answer.token_ids = [0, 1]
    second = json.loads(writer.tokens([]).removeprefix(b"data: "))
    assert [first["text"], second["text"]] == ["".join(detokenise([0])), "".join(detokenise([0, 1]))]
    assert first["meta_info"]["finish_reason"] is None
    assert second["meta_info"]["finish_reason"] == {"type": "length", "length": 2}
    assert second["meta_info"]["completion_tokens"] == 2
    assert second["meta_info"]["e2e_latency"] == 2.5
    assert writer.end() == b"data: [DONE]\n\n"


@pytest.mark.parametrize("endpoint", [openai, native])
def test_a_stream_that_fails_ends_with_the_error_object(endpoint):
    sent = endpoint.Writer(answered([0]), chat_ask()).error(Refused("no more", 500, "InternalServerError"))
    error, done = sent.decode().strip().split("\n\n")
    assert json.loads(error.removeprefix("data: ")) == {
        "error": {"object": "error", "message": "no more", "type": "InternalServerError", "param": None, "code": 500}
    }
    assert done == "data: [DONE]"


def test_all_kinds_of_media_are_taken_in_the_order_of_the_prompt():
    def part(kind):
        return {"type": kind, kind: {"url": "data:x/y;base64," + base64.b64encode(kind.encode()).decode()}}

    content = [part("video_url"), {"type": "text", "text": "and"}, part("audio_url"), part("image_url")]
    ask = openai.parse(json.dumps({"messages": [{"role": "user", "content": content}]}).encode(), 128)
    assert ask.parts == (
        "user",
        Medium("VIDEO", b"video_url"),
        "and",
        Medium("AUDIO", b"audio_url"),
        Medium("IMAGE", b"image_url"),
    )
    assert ask.max_new_tokens == 128


def test_generate_takes_one_medium_or_a_list_of_each_kind():
    body = {"text": "t", "image_data": ["aQ==", "ag=="], "video_data": "dg==", "sampling_params": {"max_new_tokens": 2}}
    ask = native.parse(json.dumps(body).encode(), 128)
    assert ask.parts == (Medium("IMAGE", b"i"), Medium("IMAGE", b"j"), Medium("VIDEO", b"v"), "t")
    assert ask.max_new_tokens == 2


def test_max_completion_tokens_goes_before_max_tokens():
    assert chat_ask(max_completion_tokens=9).max_new_tokens == 9


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"messages": []}, "cannot be empty"),
        ({"messages": "hi"}, "$.messages"),
        ({"messages": [{"role": "user", "content": [{"type": "smell_url"}]}]}, "smell_url"),
        ({"max_tokens": 0}, "at least 1, got 0"),
        ({"max_tokens": "x"}, "$.max_tokens"),
        ({"n": 2}, "one answer"),
        ({"stream": "yes"}, "$.stream"),
    ],
)
def test_a_wrong_chat_request_is_refused_with_what_is_wrong(change, words):
    with pytest.raises(Refused) as raised:
        chat_ask(**change)
    assert words in raised.value.message
    assert raised.value.status == 400


@pytest.mark.parametrize(
    "source", ["http://x/y.jpg", "file:///etc/passwd", "data:image/png,raw", "data:", "", "!!", "YQ"]
)
def test_a_medium_that_is_not_base64_data_is_refused(source):
    with pytest.raises(Refused):
        decode_media("IMAGE", source)


JSON = st.recursive(
    st.none() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(["messages", "text", "stream", "role"]), inner),
)


@given(st.binary(max_size=60) | JSON.map(msgspec.json.encode))
def test_any_body_is_parsed_or_refused(body):
    for endpoint in (openai, native):
        with contextlib.suppress(Refused):
            assert endpoint.parse(body, 128).max_new_tokens >= 0
