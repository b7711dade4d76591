"""What a process says when it joins a run."""

import pytest

from mmload.clocks import boot_of, clock_id
from mmload.drive.joining import headers_sha256, is_loopback
from mmload.model.plan import Access


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://127.0.0.1:30000", True),
        ("http://127.8.0.1:30000", True),
        ("http://localhost:30000/base", True),
        ("https://[::1]:30000", True),
        ("http://10.0.0.5:30000", False),
        ("http://vlm.example:30000", False),
    ],
)
def test_a_url_that_each_host_takes_for_itself_is_told(url, expected):
    assert is_loopback(url) == expected


def test_two_readings_of_one_clock_are_alike_and_name_the_boot():
    assert clock_id() == clock_id()
    assert boot_of(clock_id()).count("-") == 4


def test_headers_differ_by_token_and_say_nothing_of_it(monkeypatch):
    monkeypatch.setenv("MMLOAD_TOKEN", "one")
    one = headers_sha256(Access())
    monkeypatch.setenv("MMLOAD_TOKEN", "two")
    assert headers_sha256(Access()) != one
    assert headers_sha256(Access(headers={"b": "2", "a": "1"})) == headers_sha256(Access(headers={"a": "1", "b": "2"}))
    assert len(one) == 64
