"""How py-spy's words are read."""

import pytest

from mmload.observe.pyspy import ThreadStack, split_thread

STACK = "<module> (/a/b.py:3);spin (<string>:6);sha256 (_hashlib.so)"


@pytest.mark.parametrize(
    ("thread", "tid", "name"),
    [
        ("thread (4711)", 4711, ""),
        ("thread (4711): MainThread", 4711, "MainThread"),
        ("thread (4711): Thread-1 (run)", 4711, "Thread-1 (run)"),
        ("thread (4711): a; (b)", 4711, "a; (b)"),
        ("thread (4711): a;b", 4711, "a;b"),
        ("thread (0x7F12AB): old", None, "old"),
    ],
)
def test_the_thread_of_a_stack_is_taken_off(thread, tid, name):
    assert split_thread(f"{thread};{STACK}") == ThreadStack(tid, name, STACK)


def test_a_stack_without_a_thread_is_whole():
    assert split_thread(STACK) == ThreadStack(None, "", STACK)


def test_a_stack_of_one_frame_has_a_thread_too():
    assert split_thread("thread (1): x;poll (zmq/a.py)") == ThreadStack(1, "x", "poll (zmq/a.py)")


def test_a_torn_stack_is_empty():
    assert split_thread("thread (4711): MainThread") == ThreadStack(4711, "MainThread", "")
    assert split_thread("thread (4711)") == ThreadStack(4711, "", "")
