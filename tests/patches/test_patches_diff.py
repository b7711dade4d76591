"""What `git apply` makes of a diff of ours."""

import tempfile
from pathlib import Path

import pytest
from fake_sglang import git
from hypothesis import given, settings
from hypothesis import strategies as st

from mmload.patches.diff import git_diff

LINES = st.lists(st.sampled_from(["a\n", "b\n", "\n", "c\r\n", "d\f\n", "e \n", "ü\n", "\ta\n"]), max_size=12)
TEXTS = st.builds(lambda lines, tail: "".join(lines) + tail, LINES, st.sampled_from(["", "z"]))


def applied(before, after):
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        git(folder, "init", "--quiet")
        if before is not None:
            (folder / "some file.py").write_bytes(before.encode())
        git(folder, "apply", "--whitespace=nowarn", text=git_diff("some file.py", before, after))
        return (folder / "some file.py").read_bytes().decode()


@settings(max_examples=20)
@given(TEXTS.filter(bool), TEXTS.filter(bool))
def test_a_diff_makes_the_one_text_from_the_other(before, after):
    if before == after:
        assert git_diff("f", before, after) == ""
    else:
        assert applied(before, after) == after


@pytest.mark.parametrize("text", ["a = 1\n", "a\n\n\nb"])
def test_a_new_file_is_made(text):
    assert applied(None, text) == text
