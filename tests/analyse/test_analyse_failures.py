"""Why requests failed: texts that are alike are one kind, and nothing is lost by that."""

import itertools
import random
import string

import msgspec
import pytest
from factory import make_run
from hypothesis import given
from hypothesis import strategies as st

from mmload.analyse.failures import failures
from mmload.analyse.summary import summarise
from mmload.model.records import CUT_OFF, OUTCOMES, RequestRecord
from mmload.model.result import Summary
from mmload.store.requests import table_of

START_NS = 10**12


def failed(number, error, outcome="http_error"):
    """A request that was due `number` seconds into the window."""
    due_ns = START_NS + number * 10**9
    return RequestRecord(
        id=f"9f3c-{number}",
        phase="measure",
        item="a",
        modality="image",
        due_ns=due_ns,
        sent_ns=due_ns,
        outcome=outcome,
        error=error,
    )


def kinds_of(*texts):
    return failures(table_of(failed(number, text) for number, text in enumerate(texts)), START_NS)


def texts_of(*texts):
    return [kind.error for kind in kinds_of(*texts)]


def test_messages_that_differ_by_the_request_are_one_kind_with_its_first_and_last():
    (kind,) = kinds_of(*(f"HTTP 503: queue full, 9f3c-{number} of 400 refused" for number in range(400)))
    assert kind.error == "HTTP 503: queue full, # of 400 refused"
    assert (kind.requests, kind.first_s, kind.last_s, kind.example) == (400, 0.0, 399.0, "9f3c-0")


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("request 17 of 9", "request 3,018 of 9", "request # of 9"),
        ("chatcmpl-9f3c41aa is gone", "chatcmpl-11b2-7 is gone", "# is gone"),
        ("9f3c-m7 and c0de-w0.3", "9f3c-m12 and c0de-w0.44", "# and #"),
        ("no req_7 here", "no req_12 here", "no req_# here"),
        (
            "123e4567-e89b-12d3-a456-426614174000 aborted",
            "00000000-e89b-12d3-a456-426614174fff aborted",
            "# aborted",
        ),
        ("connecting to 127.0.0.1:40112: refused", "connecting to 10.0.0.7:81: refused", "connecting to #: refused"),
        ("localhost:40112 is shut", "localhost:7 is shut", "localhost:# is shut"),
        ("at 0x7f3a11 in scheduler.py:12", "at 0x1 in scheduler.py:12", "at # in scheduler.py:12"),
        ("since 2026-11-21T03:15:00Z", "since 2026-11-21T03:15:04Z", "since 2026-11-21T03:#"),
        ("two\n\n  lines 1", "two lines 2", "two lines #"),
        (
            "not the answer expected, but 'It is red.'",
            'not the answer expected, but "It isn\'t."',
            "not the answer expected, but #",
        ),
        (
            "not the JSON expected (bad (byte 1)): b'<p>'",
            "not the JSON expected (bad (byte 9)): b'{'",
            "not the JSON expected (bad (byte #)): #",
        ),
    ],
)
def test_texts_are_alike_where_ids_numbers_and_addresses_differ_and_only_these_are_left_out(one, other, alike):
    assert texts_of(one, other) == [alike]
    assert texts_of(one, one) == [" ".join(one.split())]


def test_an_image_that_a_message_repeats_is_left_out_of_it():
    text = "ImageData('data:image/png;base64,iVBORw0/+=') can't be read"
    assert texts_of(text) == ["ImageData('data:image/png;base64,...') can't be read"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("HTTP 503: no", "HTTP 500: no"),
        ("scheduler_TP0 died", "scheduler_TP1 died"),
        ("connecting: Connection refused", "waiting for the answer: Connection reset by peer"),
        ("int8 is not known", "bfloat16 is not known"),
    ],
)
def test_a_status_a_rank_and_other_words_tell_kinds_apart(one, other):
    assert sorted(texts_of(one, other)) == sorted([one, other])


def test_the_most_frequent_comes_first_and_each_outcome_is_a_kind_of_its_own():
    told = [failed(0, None, "dropped"), failed(1, CUT_OFF, "connection_error"), failed(2, CUT_OFF, "truncated")]
    kinds = failures(table_of([*told, failed(3, CUT_OFF, "truncated"), failed(4, None, "ok")]), START_NS)
    assert [(kind.outcome, kind.requests, kind.error) for kind in kinds] == [
        ("truncated", 2, CUT_OFF),
        ("connection_error", 1, CUT_OFF),
        ("dropped", 1, ""),
    ]


def test_a_long_text_is_cut_and_what_differs_past_the_cut_tells_nothing_apart():
    (kind,) = kinds_of(*(f"request {number}: {'ü <b>' * 2000} {word}" for number, word in enumerate("abc")))
    assert kind.requests == 3
    assert len(kind.error) == 300
    assert kind.error.startswith("request #: ü <b>ü <b>")
    assert kind.error.endswith("...")


def test_a_server_that_says_something_else_each_time_has_a_thousand_kinds_at_most():
    words = itertools.islice(itertools.product(string.ascii_lowercase, repeat=3), 3000)
    kinds = kinds_of(*map("".join, words))
    assert (kinds[0].error, kinds[0].requests) == ("something else each time", 2000)
    assert len(kinds) == 1001


_TEXTS = st.none() | st.text("ab1 3f-:#\n\x1b", max_size=30) | st.text(max_size=400)


@given(st.lists(st.tuples(_TEXTS, st.sampled_from(OUTCOMES)), max_size=40), st.randoms())
def test_every_failed_request_is_of_one_kind_whatever_the_order_of_the_records(told, rng: random.Random):
    records = [failed(number, text, outcome) for number, (text, outcome) in enumerate(told)]
    kinds = failures(table_of(records), START_NS)
    assert sum(kind.requests for kind in kinds) == sum(outcome != "ok" for _, outcome in told)
    assert all(len(kind.error) <= 300 and kind.error.split("\n") == [kind.error] for kind in kinds)
    assert all(kind.example == f"9f3c-{kind.first_s:.0f}" for kind in kinds)
    rng.shuffle(records)
    assert failures(table_of(records), START_NS) == kinds


def test_a_summary_holds_a_dozen_kinds_and_says_how_many_more_there_are(tmp_path):
    run = make_run(tmp_path, duration_s=5, outcomes=dict.fromkeys(range(14), "http_error"))
    path = run.layout.requests
    for number in range(14):
        path.write_text(path.read_text().replace("planted: http_error", f"planted: {'x' * number}", 1))
    summary = summarise(run)
    assert (len(summary.failures), summary.more_failures) == (12, 2)
    assert summary.failures[0].example == "measure-000000"


def test_a_summary_of_before_reasons_were_kept_is_read(tmp_path):
    now = msgspec.to_builtins(summarise(make_run(tmp_path, duration_s=5)))
    old = {name: value for name, value in now.items() if name not in {"failures", "more_failures"}}
    assert msgspec.convert(old, Summary).failures == []
