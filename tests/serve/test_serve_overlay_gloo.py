"""Whose CPU is booked for a broadcast."""

import ctypes
import threading
import time
from pathlib import Path

import pytest

from mmload.handoff.counters import Counters
from mmload.serve.overlay.gloo import GlooThreads

LIBC = ctypes.CDLL(None)
PR_SET_NAME = 15


@pytest.fixture
def named_thread():
    """named_thread(name) -> a running thread that burns 20 ms of CPU for each item put to it; ends with the test."""
    threads = []

    def start(name):
        thread = Burner(name)
        threads.append(thread)
        return thread

    yield start
    for thread in threads:
        thread.end()


class Burner:
    def __init__(self, name):
        self.turns, self.done, self.ready = threading.Semaphore(0), threading.Semaphore(0), threading.Event()
        self.ended = False
        self.thread = threading.Thread(target=self.run, args=(name,))
        self.thread.start()
        self.ready.wait()

    def run(self, name):
        LIBC.prctl(PR_SET_NAME, name.encode(), 0, 0, 0)
        self.ready.set()
        while self.turns.acquire() and not self.ended:
            end_ns = time.thread_time_ns() + 20_000_000
            while time.thread_time_ns() < end_ns:
                pass
            self.done.release()

    def burn(self):
        self.turns.release()
        self.done.acquire()

    def end(self):
        self.ended = True
        self.turns.release()
        self.thread.join()
        wait_until_gone(
            Path(f"/proc/self/task/{self.thread.native_id}")
        )  # join returns a little before the kernel is done


def wait_until_gone(path):
    end = time.monotonic() + 10
    while path.exists():
        assert time.monotonic() < end, f"{path} is still there"
        time.sleep(0.001)


def booked_s(threads, burner):
    counters = Counters()
    with threads.broadcasting(counters):
        burner.burn()
    return counters["broadcast_cpu_seconds"]


def test_what_gloos_threads_burn_while_the_caller_waits_is_booked(named_thread):
    burner = named_thread("gloo_tcp_loop")
    assert booked_s(GlooThreads(), burner) >= 0.02


def test_other_threads_and_those_of_another_group_are_not(named_thread):
    burner = named_thread("gloo_tcp_loop")
    others = GlooThreads().tids
    assert booked_s(GlooThreads(but=others), burner) < 0.02
    assert booked_s(GlooThreads(), named_thread("main")) < 0.02


def test_a_thread_that_has_ended_is_no_error(named_thread):
    burner = named_thread("pt_gloo_runloop")
    threads = GlooThreads()
    burner.end()
    with threads.broadcasting(counters := Counters()):
        pass
    assert counters["broadcast_cpu_seconds"] < 0.02


def test_threads_without_a_name_are_said_to_be_missing(caplog):
    assert GlooThreads().tids == frozenset()
    assert "in no counter" in caplog.text
