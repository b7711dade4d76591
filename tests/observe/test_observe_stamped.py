"""Stacks with their times: what py-spy's Chrome trace says, and py-spy on real processes."""

import json
import sys

import msgspec
import psutil
import pytest
from disk import fill

from mmload.errors import FolderError
from mmload.model.plan import ProfilePlan
from mmload.observe.pyspy_stamped import parse_chrome_trace
from mmload.observe.stamped import StampedProfiler
from mmload.store.append import create_run_folder
from mmload.store.stacks import read_source, write_source
from mmload.store.stamped import UNKNOWN, read_stamped


def event(kind, t_us, name, tid=7, line=0):
    return {
        "ph": kind,
        "ts": t_us,
        "name": name,
        "tid": tid,
        "pid": 1,
        "cat": "py-spy",
        "args": {"filename": "a.py", "line": line},
    }


MAIN = event("B", 10, "thread (4711): MainThread")
LOOP = event("B", 10, "loop", line=3)


def traced(*events):
    return parse_chrome_trace(json.dumps(events).encode())


def test_a_stack_is_dated_when_it_was_first_seen():
    threads, end_us = traced(
        *(MAIN, LOOP, event("B", 10, "wait", line=5)),
        *(event("E", 250, "wait", line=5), event("B", 250, "work", line=9)),
        *(
            event("E", 900, "work", line=9),
            event("E", 900, "loop", line=3),
            event("E", 900, "thread (4711): MainThread"),
        ),
    )
    (thread,) = threads
    assert (thread.tid, thread.name, end_us) == (4711, "MainThread", 900)
    assert thread.changes == [(10, "loop (a.py:3);wait (a.py:5)"), (250, "loop (a.py:3);work (a.py:9)")]


def test_threads_are_told_apart_whatever_they_are_called():
    hostile = 'a; "b" (c)'
    other = event("B", 11, f"thread (4712): {hostile}", tid=8), event("B", 11, "run", tid=8)
    threads, _ = traced(MAIN, *other, LOOP, event("E", 90, "loop", line=3))
    assert [(thread.tid, thread.name) for thread in threads] == [(4711, "MainThread"), (4712, hostile)]


def test_a_stack_that_was_torn_is_empty():
    threads, _ = traced(
        MAIN, LOOP, event("E", 40, "loop", line=3), event("B", 70, "loop", line=4), event("E", 90, "loop")
    )
    assert threads[0].changes == [(10, "loop (a.py:3)"), (40, ""), (70, "loop (a.py:4)")]


def test_a_thread_that_was_met_at_the_very_end_is_left_out():
    assert traced(MAIN, event("E", 10, "thread (4711): MainThread")) == ([], 10)


def test_what_is_no_frame_is_passed_over():
    named = {"ph": "M", "ts": 0, "name": "thread_name", "tid": 7, "args": {"filename": "", "line": None, "name": "x"}}
    threads, end_us = traced(named, MAIN, LOOP, event("E", 90, "loop"))
    assert (len(threads), end_us) == (1, 90)


@pytest.mark.parametrize("text", [b"", b"[", b'[{"ph": "B"}]', b'{"ph": "B"}', b"[1]", b"\xff"])
def test_damage_is_said(text):
    with pytest.raises((msgspec.MsgspecError, UnicodeDecodeError)):
        parse_chrome_trace(text)


TURNS = """
import sys, threading, time

def doze():
    time.sleep(0.2)

def spin():
    end = time.monotonic() + 0.2
    while time.monotonic() < end:
        pass

def rest():
    threading.Event().wait()

threading.Thread(target=rest, name="resting", daemon=True).start()
print("ready", flush=True)
sys.stdin.readline()
for turn in (doze, spin) * 4:
    print(f"{turn.__name__} {time.monotonic_ns()}", flush=True)
    turn()
print("over", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def layout(tmp_path):
    return create_run_folder(tmp_path, "run")


@pytest.fixture
def stamping(layout):
    profilers = []

    def make(processes, where=layout):
        profilers.append(StampedProfiler(processes, where, ProfilePlan(rate_hz=200, stamped_s=60)))
        profilers[-1].start()
        return profilers[-1]

    yield make
    for profiler in profilers:
        for recording in profiler._recordings.values():
            recording._process.kill()


def sampled(profiler, until):
    """Wait until each py-spy has looked: it sleeps between two looks."""
    for recording in profiler._recordings.values():
        until(recording.sampling)
        spy = psutil.Process(recording._process.pid)
        before = spy.num_ctx_switches().voluntary
        until(lambda spy=spy, before=before: spy.num_ctx_switches().voluntary >= before + 20)


@pytest.mark.live
def test_what_a_thread_was_in_is_dated_on_our_clock_waits_included(child, found, layout, stamping, until):
    process = child(TURNS)
    profiler = stamping(found(rank=process))
    sampled(profiler, until)
    process.stdin.write(b"go\n")
    process.stdin.flush()
    truth = []
    while not (line := process.stdout.readline().decode()).startswith("over"):
        name, began_ns = line.split()
        truth.append((name, int(began_ns)))
    (file,) = profiler.stop().files
    stamped = read_stamped(layout, "rank")
    (main,) = stamped.threads
    assert (file.error, main.name, stamped.still) == (None, "MainThread", 1)
    functions = [stamped.stacks[stack].rpartition(";")[2].partition(" ")[0] for stack in main.stack]
    seen = [
        (name, t_ns)
        for place, (name, t_ns) in enumerate(zip(functions, main.t_ns, strict=True))
        if name in ("doze", "spin") and (not place or functions[place - 1] != name)
    ]
    assert {name for name, _ in seen} == {"doze", "spin"}
    for name, t_ns in seen:  # never before it was true
        assert any(own == name and began_ns - stamped.clock_error_ns <= t_ns for own, began_ns in truth)
    assert min(t_ns for _, t_ns in seen) >= truth[0][1] - stamped.clock_error_ns
    assert file.start_ns == stamped.start_ns <= main.t_ns[0]
    assert main.t_ns == sorted(main.t_ns)
    assert main.t_ns[-1] < stamped.end_ns == file.end_ns
    assert not list(layout.stacks.glob("*.segment"))


@pytest.mark.live
def test_a_py_spy_that_is_killed_is_said_and_the_others_are_kept(busy, idle, found, layout, stamping, until):
    profiler = stamping(found(mortal=busy, other=idle))
    sampled(profiler, until)
    psutil.Process(profiler._recordings["mortal"]._process.pid).kill()
    mortal, other = profiler.stop().files
    assert mortal.error == "py-spy ended without output (exit code -9)"
    assert (mortal.start_ns, read_stamped(layout, "mortal")) == (None, None)
    assert other.error is None
    assert read_stamped(layout, "other").threads[0].name == "MainThread"


@pytest.mark.live
def test_a_process_that_ends_keeps_what_was_seen(busy, found, layout, stamping, until):
    profiler = stamping(found(mortal=busy))
    sampled(profiler, until)
    busy.kill()
    busy.wait()
    (file,) = profiler.stop().files
    assert file.error is None or "py-spy" in file.error
    assert (read_stamped(layout, "mortal") is None) == (file.error is not None)


@pytest.mark.live
def test_a_thread_that_has_ended_is_in_no_stack_any_more(child, found, layout, stamping, until):
    process = child(
        "import sys, threading\n"
        "def first(): sys.stdin.readline()\n"
        "def second(): sys.stdin.readline()\n"
        "def work(): first(); second()\n"
        "thread = threading.Thread(target=work, name='mortal')\n"
        "thread.start(); print('ready', flush=True)\n"
        "thread.join(); print('over', flush=True); sys.stdin.read()\n"
    )
    profiler = stamping(found(rank=process))
    sampled(profiler, until)
    threads = psutil.Process(process.pid)
    process.stdin.write(b"on\n")
    process.stdin.flush()
    until(lambda: threads.num_threads() == 2)
    process.stdin.write(b"on\n")
    process.stdin.flush()
    until(lambda: threads.num_threads() == 1)
    profiler.stop()
    ended = [thread for thread in read_stamped(layout, "rank").threads if thread.name == "mortal"]
    assert all(thread.stack[-1] == UNKNOWN for thread in ended)


@pytest.mark.live
def test_a_refusal_is_said(busy, found, stamping, tmp_path, monkeypatch, until):
    refusing = tmp_path / "py-spy"
    refusing.write_text(f"#!{sys.executable}\nraise SystemExit('Permission Denied: Try running again')\n")
    refusing.chmod(0o755)
    monkeypatch.setattr("mmload.observe.pyspy.py_spy_path", lambda: str(refusing))
    profiler = stamping(found(busy=busy))
    until(lambda: all(recording.ended() for recording in profiler._recordings.values()))
    (file,) = profiler.stop().files
    assert file.error == "py-spy ended without output (Permission Denied: Try running again)"


@pytest.mark.live
def test_a_full_disk_is_raised(busy, found, small_disk, stamping, until):
    profiler = stamping(found(busy=busy), create_run_folder(small_disk, "run"))
    sampled(profiler, until)
    fill(small_disk)
    with pytest.raises(FolderError, match="cannot write"):
        profiler.stop()


@pytest.mark.live
def test_source_lines_of_the_profile_stay(busy, found, layout, stamping, until):
    write_source(layout, {"rank.py:3": "poll()"})
    profiler = stamping(found(busy=busy))
    sampled(profiler, until)
    profiler.stop()
    assert read_source(layout)["rank.py:3"] == "poll()"
