"""Frames of py-spy made those of a run folder."""

import os
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmload.analyse.stacks import parse_frame
from mmload.observe.frames import FrameNamer
from mmload.observe.pyspy import parse_raw
from mmload.store.read import read_folded
from mmload.store.stacks import write_folded

odd = "\x00\t\r\x0b\x0c\x1b\x1c\x7f\x85\u2028\u2029\ufeff"
names = st.text(st.characters(exclude_characters="\n", exclude_categories=["Cs"]) | st.sampled_from(odd), min_size=1)


@pytest.fixture
def namer():
    return FrameNamer(os.getpid())


@pytest.fixture
def server(tmp_path):
    """A package with a folder that has no __init__.py, as SGLang's are."""
    file = tmp_path / "server" / "managers" / "scheduler.py"
    file.parent.mkdir(parents=True)
    (tmp_path / "server" / "__init__.py").touch()
    file.write_text("def loop():\n    data = pickle.dumps(requests)\n")
    return file


def test_a_file_is_named_from_its_outermost_package_on(namer, server):
    assert namer.rename(f"Scheduler.loop ({server}:2)") == "Scheduler.loop (server/managers/scheduler.py:2)"


def test_a_file_outside_packages_is_named_alone(namer, tmp_path):
    assert namer.rename(f"main ({tmp_path}/main.py:3)") == "main (main.py:3)"


def test_nothing_above_site_packages_belongs_to_a_package(namer, tmp_path):
    file = tmp_path / "site-packages" / "zmq" / "socket.py"
    file.parent.mkdir(parents=True)
    (tmp_path / "__init__.py").touch()
    (file.parent / "__init__.py").touch()
    assert namer.rename(f"recv ({file}:1)") == "recv (zmq/socket.py:1)"


def test_the_source_lines_that_frames_name_are_kept(namer, server):
    namer.rename(f"loop ({server}:2)")
    namer.rename(f"loop ({server}:99)")
    namer.rename("<module> (<string>:1)")
    assert namer.source == {"server/managers/scheduler.py:2": "data = pickle.dumps(requests)"}


def test_a_form_feed_begins_no_line_of_source(namer, server):
    server.write_text("import pickle\n\x0c\ndef loop():\n    pickle.dumps(requests)\n")
    namer.rename(f"loop ({server}:4)")
    assert namer.source == {"server/managers/scheduler.py:4": "pickle.dumps(requests)"}


@pytest.mark.parametrize(
    ("raw", "named"),
    [
        ("<module> (<string>:1);main (<string>:7)", "<module> (<string>:1);main (<string>:7)"),
        ("_call (<frozen runpy>:88)", "_call (<frozen runpy>:88)"),
        ("dispatcher (/lib/x86_64/libtorch_python.so)", "dispatcher (libtorch_python.so:0)"),
        ("f(int (*)(void), a;b) (libx.so);g (x.c:5)", "f(int (*)(void), a:b) (libx.so:0);g (x.c:5)"),
        ("a;b", "a:b (:0)"),
        ("process 7:title;x;main (<string>:1)", "process 7:title:x:main (<string>:1)"),
        ("a\x00b\u2028\nc (/x/\x00.py:1);\x1b[1m (x.c:5)", "a?b??c (?.py:1);?[1m (x.c:5)"),
    ],
)
def test_every_frame_reads_function_file_line_and_no_name_breaks_the_stack(namer, raw, named):
    assert namer.rename(raw) == named


@given(st.lists(st.text(st.characters(exclude_categories=["C", "Z"], exclude_characters="()"), min_size=1), min_size=1))
def test_a_renamed_stack_has_as_many_frames_and_each_can_be_taken_apart(functions):
    raw = ";".join(f"{function} (<string>:{line})" for line, function in enumerate(functions))
    frames = FrameNamer(os.getpid()).rename(raw).split(";")
    assert [parse_frame(frame).line for frame in frames] == list(range(len(functions)))
    assert [parse_frame(frame).function for frame in frames] == [name.replace(";", ":") for name in functions]


def test_raw_output_is_stacks_with_counts_and_what_is_cut_short_is_left_out():
    text = "<module> (a.py:1);f (a.py:2) 7\n<module> (a.py:1);f (a.py:2) 3\n<module> (a.py:1)"
    assert parse_raw(text) == {"<module> (a.py:1);f (a.py:2)": 10}


@given(raw=st.dictionaries(st.lists(names, min_size=1, max_size=4).map(tuple), st.integers(1, 1000), min_size=1))
def test_no_name_costs_a_stack_a_sample_between_py_spy_and_the_reader_of_a_run(raw, tmp_path_factory):
    lines = "".join(f"{';'.join(f'{name} (<string>:1)' for name in stack)} {count}\n" for stack, count in raw.items())
    namer, stacks = FrameNamer(os.getpid()), Counter()
    for stack, count in parse_raw(lines).items():
        stacks[namer.rename(stack)] += count
    file = tmp_path_factory.mktemp("stacks") / "tokenizer.folded"
    write_folded(file, stacks)
    assert read_folded(file) == stacks
    assert sum(stacks.values()) == sum(raw.values())
