import pytest

from mmload.errors import ConfigError
from mmload.plan.arrivals_trace import read_trace


def trace_of(tmp_path, text, name="trace.jsonl"):
    file = tmp_path / name
    file.write_text(text, encoding="utf-8")
    return read_trace(file)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("seconds.jsonl", '{"t_s": 10.5, "item": 3}\n\n{"t_s": 10, "item": 1}\n{"t_s": 12.0, "item": 0}\n'),
        (
            "milliseconds.jsonl",
            '{"timestamp_ms": 500, "item": 3}\n{"timestamp_ms": 0, "item": 1}\n{"timestamp_ms": 2e3, "item": 0}',
        ),
        ("seconds.csv", "t_s,item,more\n0.5,3,x\n0,1,x\n2,0,x\n"),
        ("dates.csv", "TIMESTAMP,Item\n2026-01-01 00:00:00.5,3\n2026-01-01 00:00:00,1\n2026-01-01 00:00:02,0\n"),
        (
            "zones.csv",
            "timestamp,item\n2026-01-01T01:00:00.5+01:00,3\n2026-01-01T00:00:00Z,1\n2026-01-01T00:00:02Z,0\n",
        ),
    ],
)
def test_a_trace_is_its_gaps_and_items_in_order_of_time(tmp_path, name, text):
    trace = trace_of(tmp_path, text, name)
    assert trace.due_offset_ns.tolist() == [0, 500_000_000, 2_000_000_000]
    assert trace.item.tolist() == [1, 3, 0]


def test_a_trace_need_not_name_items_and_may_carry_other_keys(tmp_path):
    trace = trace_of(tmp_path, '{"t_s": 1, "text": "Hello"}\n{"t_s": 1, "images": []}\n')
    assert trace.due_offset_ns.tolist() == [0, 0]
    assert trace.item is None


def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path):
    for name, text in (
        ("excel.csv", "\ufefftimestamp, item\n0,1\n2,0\n"),
        ("excel.jsonl", '\ufeff{"t_s": 0, "item": 1}'),
    ):
        trace = trace_of(tmp_path, text, name)
        assert trace.item[0] == 1
        assert trace.unused == ()


@pytest.mark.parametrize("text", ["0.5\n", "0.5,1\n1.5,2\n", "TIMESTAMP;item\n1;2\n"])
def test_a_csv_without_a_header_that_names_the_time_says_which_is_expected(tmp_path, text):
    with pytest.raises(
        ConfigError, match=r"trace\.csv line 1: expected a header .* t_s, timestamp_ms, timestamp"
    ) as caught:
        trace_of(tmp_path, text, "trace.csv")
    assert text.splitlines()[0].lower() in str(caught.value)
    assert "'t_s,item'" in caught.value.hint


@pytest.mark.parametrize(
    ("name", "text", "unused", "in_seconds"),
    [
        (
            "mooncake.jsonl",
            '{"timestamp": 1500, "input_length": 9, "hash_ids": [1]}\n',
            ("hash_ids", "input_length"),
            True,
        ),
        ("azure.csv", "TIMESTAMP,ContextTokens\n2023-11-16 18:17:03.9799600,4808\n", ("contexttokens",), False),
        ("plain.csv", "timestamp,item\n0,1,7\n", (), True),
    ],
)
def test_columns_that_are_not_used_are_named_and_seconds_are_said(tmp_path, name, text, unused, in_seconds):
    trace = trace_of(tmp_path, text, name)
    assert (trace.unused, trace.in_seconds) == (unused, in_seconds)
    notices = " ".join(trace.notices)
    assert all(column in notices for column in unused)
    assert ("timestamp_ms" in notices) == (bool(unused) and in_seconds)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"t_s": 0}\n{"item": 1}\n', "line 2: expected a time in one of t_s"),
        ('{"t_s": "soon"}\n', "line 1: `t_s` expected a number, got 'soon'"),
        ('{"timestamp": "soon"}\n', "line 1: `timestamp` expected seconds or an ISO 8601 time"),
        ('{"t_s": "nan"}\n', "line 1: `t_s` expected a finite number"),
        ('{"t_s": 0, "item": -1}\n', "line 1: `item` expected a whole number from 0, got -1"),
        ('{"t_s": 0, "item": 1.5}\n', "line 1: `item` expected a whole number from 0, got 1.5"),
        ('{"t_s": 0, "item": 1}\n{"t_s": 1}\n', "line 2: some requests name an `item`"),
        ("[1]\n", "line 1: expected a JSON object"),
        ("{\n", "line 1: expected a JSON object"),
        ("\n", "has no requests"),
    ],
)
def test_a_bad_trace_is_an_error_that_names_the_line(tmp_path, text, message):
    with pytest.raises(ConfigError, match=r"trace\.jsonl") as caught:
        trace_of(tmp_path, text)
    assert message in str(caught.value)


def test_an_absent_or_binary_trace_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"cannot read .*absent"):
        read_trace(tmp_path / "absent.csv")
    (tmp_path / "binary.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match=r"binary\.csv is not a text file"):
        read_trace(tmp_path / "binary.csv")
