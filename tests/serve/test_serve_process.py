"""Servers that mmload started, and their last words."""

import sys
import time

import pytest

from mmload.errors import ServerError
from mmload.serve.process import StartedServer


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("one\ntwo\nthree\nfour\nfive\nsix", "two\nthree\nfour\nfive\nsix"),
        ("INFO: starting\nmmload's overlay: can't host it\na\nb\nc\nd\ne\nf", "mmload's overlay: can't host it"),
        (
            "Traceback\nmmload.errors.ServerDied: rank 1 can't\nSIGQUIT\n1\n2\n3\n4\n5",
            "mmload.errors.ServerDied: rank 1 can't",
        ),
        ("", "it said nothing"),
    ],
)
def test_a_dead_server_is_quoted_from_where_it_says_why(tmp_path, said, words):
    server = StartedServer([sys.executable, "-c", f"print({said!r}); raise SystemExit(3)"], tmp_path / "log")
    while server.exit_code is None:
        time.sleep(0.01)
    with pytest.raises(ServerError) as error:
        server.refuse_dead()
    assert str(error.value) == f"the server ended with exit code 3: {words}"
