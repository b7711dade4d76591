from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from mmload.drive.sse import SseParser

STREAM = b'\xef\xbb\xbf: hello\r\ndata: {"a":1}\r\n\r\ndata:x\ndata: y\n\nevent: ping\n\nid: 3\rdata: last\r\rdata\n\n'
EVENTS = [b'{"a":1}', b"x\ny", b"last", b""]


def parse(pieces):
    parser = SseParser()
    return [event for piece in pieces for event in parser.feed(piece)]


def test_reads_fields_comments_and_every_line_ending():
    assert parse([STREAM]) == EVENTS


@given(st.lists(st.integers(0, len(STREAM)), max_size=12))
def test_events_do_not_depend_on_where_the_stream_is_cut(cuts):
    edges = [0, *sorted(cuts), len(STREAM)]
    assert parse([STREAM[a:b] for a, b in pairwise(edges)]) == EVENTS


def test_byte_by_byte_is_the_same():
    assert parse([bytes([byte]) for byte in STREAM]) == EVENTS


def test_an_event_is_given_as_soon_as_its_empty_line_is_there():
    parser = SseParser()
    assert parser.feed(b"data: 1\r\n\r") == [b"1"]
    assert parser.feed(b"\ndata: 2\n") == []
    assert parser.feed(b"\n") == [b"2"]


@given(st.binary(max_size=200))
def test_no_bytes_make_it_fail(data):
    assert isinstance(SseParser().feed(data), list)
