"""Arithmetic on folded stacks."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmload.analyse.stacks import by_function, hottest, merge, parse_frame

frames = st.builds("{} ({}:{})".format, st.sampled_from("fgh"), st.sampled_from(["a.py", "b/c.py"]), st.integers(1, 9))
profiles = st.dictionaries(st.lists(frames, min_size=1, max_size=6).map(";".join), st.integers(1, 100), max_size=12)


@pytest.mark.parametrize(
    ("text", "frame"),
    [
        ("main (a.py:7)", ("main", "a.py", 7)),
        ("<module> (<string>:1)", ("<module>", "<string>", 1)),
        ("f.<locals>.g (x/y.py:12)", ("f.<locals>.g", "x/y.py", 12)),
        ("f(int (*)(void)) (libx.so:0)", ("f(int (*)(void))", "libx.so", 0)),
        ("no frame", ("no frame", "", 0)),
        ("0x7fd755c4524a (libc.so.6:0)", ("[libc.so.6]", "libc.so.6", 0)),
        ("0x7f0fdfa50be1 ([vdso]:0)", ("[vdso]", "[vdso]", 0)),
        ("0x7f0fdfa50be1 (:0)", ("[unknown]", "", 0)),
        ("0x7f0fdfa50be1", ("[unknown]", "", 0)),
        ("0x_by_name (a.py:3)", ("0x_by_name", "a.py", 3)),
    ],
)
def test_a_frame_is_taken_apart(text, frame):
    assert tuple(parse_frame(text)) == frame


@given(st.lists(profiles, max_size=4))
def test_merging_conserves_counts_and_ignores_order(parts):
    merged = merge(parts)
    assert sum(merged.values()) == sum(sum(part.values()) for part in parts)
    assert merged == merge(reversed(parts))


@given(profiles)
def test_every_sample_is_some_functions_own_and_none_has_more_than_all(stacks):
    functions = by_function(stacks)
    samples = sum(stacks.values())
    assert sum(function.self_samples for function in functions) == samples
    assert all(function.self_samples <= function.total_samples <= samples for function in functions)


@given(profiles)
def test_the_hottest_come_first_and_their_shares_are_at_most_one(stacks):
    shares = [share for _, share in hottest(stacks, 3)]
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) <= 1 + 1e-9
    assert all(share > 0 for share in shares)


def test_the_lines_of_a_function_count_together_and_recursion_once():
    stacks = {"f (a.py:1);f (a.py:2)": 3, "f (a.py:1);g (a.py:9)": 2, "f (b.py:1)": 1}
    assert [(each.function, each.file, each.self_samples, each.total_samples) for each in by_function(stacks)] == [
        ("f", "a.py", 3, 5),
        ("g", "a.py", 2, 2),
        ("f", "b.py", 1, 1),
    ]
    assert hottest(stacks, 2) == [("f (a.py)", 3 / 6), ("g (a.py)", 2 / 6)]


def test_native_code_without_a_symbol_is_one_function_of_its_module():
    stacks = {"main (a.py:1);0x7f11 (libc.so.6:0)": 3, "main (a.py:1);0x7f22 (libc.so.6:0)": 2, "0x7f33 (libz.so:0)": 1}
    assert hottest(stacks) == [("[libc.so.6] (libc.so.6)", 5 / 6), ("[libz.so] (libz.so)", 1 / 6)]


def test_no_samples_have_no_hottest():
    assert hottest({}) == []
