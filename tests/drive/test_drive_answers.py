import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmload.drive.answers import BadAnswer, kept, reader_for

CHAT = "/v1/chat/completions"


def event(document) -> bytes:
    return b"data: " + (document if isinstance(document, bytes) else json.dumps(document).encode()) + b"\n\n"


def delta(content, finish=None):
    return {"choices": [{"delta": {"content": content}, "finish_reason": finish}]}


def read(path, *pieces, stream, adds_text=False):
    reader = reader_for(path, stream=stream, adds_text=adds_text)
    for number, piece in enumerate(pieces):
        reader.feed(piece, 1000 + number)
    reader.finish()
    return reader.answer


def test_a_chat_stream_has_a_time_for_each_content_and_the_usage():
    usage = {"prompt_tokens": 9, "completion_tokens": 2, "prompt_tokens_details": {"cached_tokens": 4}}
    answer = read(
        CHAT,
        event(delta(None)) + event(delta("")),
        event(delta("a")),
        event(delta("b", "stop")),
        event({"choices": [], "usage": usage}) + event(b"[DONE]"),
        stream=True,
    )
    assert "".join(answer.text) == "ab"
    assert answer.token_ns == [1001, 1002]
    assert (answer.prompt_tokens, answer.completion_tokens, answer.cached_tokens) == (9, 2, 4)


def test_a_generate_stream_repeats_its_text_and_is_not_doubled():
    answer = read(
        "/generate",
        event({"text": "a", "meta_info": {"completion_tokens": 1}}),
        event({"text": "ab", "meta_info": {"completion_tokens": 2, "prompt_tokens": 3, "cached_tokens": 0}}),
        event(b"[DONE]"),
        stream=True,
    )
    assert "".join(answer.text) == "ab"
    assert len(answer.token_ns) == 2
    assert (answer.prompt_tokens, answer.completion_tokens, answer.cached_tokens) == (3, 2, 0)


def test_a_generate_stream_that_adds_to_its_text_keeps_what_it_says_twice():
    pieces = [event({"text": text}) for text in ("ha", "ha", "hax", "1")]
    answer = read("/generate", *pieces, event(b"[DONE]"), stream=True, adds_text=True)
    assert "".join(answer.text) == "hahahax1"
    assert len(answer.token_ns) == 4


def test_a_call_of_a_tool_is_an_answer():
    call = {"index": 0, "function": {"name": "look", "arguments": "{}"}}
    answer = read(CHAT, event({"choices": [{"delta": {"tool_calls": [call]}}]}), event(b"[DONE]"), stream=True)
    assert json.loads("".join(answer.text)) == call
    assert len(answer.token_ns) == 1


def test_a_whole_answer_has_no_token_times():
    body = json.dumps({"choices": [{"message": {"content": "ab"}}], "usage": None}).encode()
    answer = read(CHAT, body[:7], body[7:], stream=False)
    assert "".join(answer.text) == "ab"
    assert answer.token_ns == []
    assert answer.sha256() == "fb8e20fc2e4c3f248c60c39bd652f3c1347298bb977b8b4d5903b85055620603"


@pytest.mark.parametrize(
    ("pieces", "outcome"),
    [
        ([event(delta("a"))], "truncated"),
        ([], "truncated"),
        ([event(b"[DONE]")], "wrong_output"),
        ([event(delta("")) + event(b"[DONE]")], "wrong_output"),
        ([event(b"{broken")], "malformed"),
        ([event(delta("a")) + event(b"[DONE]") + event(delta("b"))], "malformed"),
        ([event({"error": {"message": "out of memory"}})], "http_error"),
        ([event(delta("a", "abort"))], "http_error"),
        (
            [event(delta("a")), event({"object": "error", "message": "oom", "code": 500}), event(b"[DONE]")],
            "http_error",
        ),
        ([event(delta("a")), event({"detail": "Internal Server Error"}), event(b"[DONE]")], "http_error"),
        ([event(delta("a")), b"event: error\n" + event({"message": "oom"}), event(b"[DONE]")], "http_error"),
        ([b"event: error\n\n"], "http_error"),
        ([event(b'{"choices":[{"delta":{"content":"\xff"}}]}')], "malformed"),
        ([event(b"[" * 100_000)], "malformed"),
    ],
)
def test_a_bad_stream_is_known_by_its_kind(pieces, outcome):
    with pytest.raises(BadAnswer) as bad:
        read(CHAT, *pieces, stream=True)
    assert bad.value.outcome == outcome


@pytest.mark.parametrize(
    ("body", "outcome"),
    [
        (b"", "malformed"),
        (b"hello", "malformed"),
        (b'{"choices": 3}', "malformed"),
        (b'{"choices": []}', "wrong_output"),
        (b'{"error": "no"}', "http_error"),
    ],
)
def test_a_bad_whole_answer_is_known_by_its_kind(body, outcome):
    with pytest.raises(BadAnswer) as bad:
        read(CHAT, body, stream=False)
    assert bad.value.outcome == outcome


@given(st.text(min_size=1), st.integers(1, 30_000))
def test_of_an_answer_is_kept_what_fits_in_64_kib_and_no_part_of_a_character(piece, times):
    text = piece * times
    beginning = kept(text)
    size = len(text.encode())
    assert text.startswith(beginning)
    assert beginning == text if size <= 65_536 else 65_532 < len(beginning.encode()) <= 65_536
