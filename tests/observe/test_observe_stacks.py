"""py-spy on real processes."""

import os
import re
import signal
import subprocess
import sys
import textwrap
from collections import Counter
from itertools import pairwise

import psutil
import pytest
from disk import fill

from mmload.errors import FolderError
from mmload.model.plan import ProfilePlan
from mmload.observe.pyspy import Segment
from mmload.observe.stacks import Profiler, dump_all, worth_profiling
from mmload.store.append import create_run_folder
from mmload.store.read import read_folded
from mmload.store.stacks import read_source, read_threads

pytestmark = pytest.mark.live

FRAME = re.compile(r"^[^;]+ \([^()]*:\d+\)$")


@pytest.fixture
def layout(tmp_path):
    return create_run_folder(tmp_path, "run")


@pytest.fixture
def profiler_of(layout):
    profilers = []

    def make(processes, segment_s=0.2, **plan):
        profilers.append(Profiler(processes, layout, ProfilePlan(rate_hz=200, **plan), segment_s))
        return profilers[-1]

    yield make
    for profiler in profilers:
        profiler._stopping.set()
        if profiler._thread:
            profiler._thread.join()


def py_spies(pid):
    """The py-spy processes that watch a process."""
    return [
        process
        for process in psutil.Process().children(recursive=True)
        if {"record", "--pid", str(pid)} <= set(process.cmdline()) and "py-spy" in process.name()
    ]


def segments_of(profiler):
    return [len(subject._segments) for subject in profiler._subjects]


def test_what_processes_do_is_in_their_folded_stacks(busy, idle, found, layout, profiler_of, until):
    profiler = profiler_of(found(busy=busy, idle=idle))
    profiler.start()
    assert profiler.wait_until_sampling()
    until(lambda: min(segments_of(profiler)) >= 2)
    info = profiler.stop()
    assert (info.mode, info.rate_hz) == ("active", 200)
    by_name = {file.process: file for file in info.files}
    assert {name: (file.pid, file.error) for name, file in by_name.items()} == {
        "busy": (busy.pid, None),
        "idle": (idle.pid, None),
    }
    stacks = read_folded(layout.folded("busy"))
    assert sum(stacks.values()) == by_name["busy"].samples > by_name["idle"].samples
    assert all(FRAME.match(frame) for stack in stacks for frame in stack.split(";"))
    assert any(";spin (<string>:6);burn (<string>:9)" in stack for stack in stacks)
    assert info.samples == sum(file.samples for file in info.files)
    assert "Samples:" in (layout.logs / "py-spy-busy.log").read_text()
    assert sorted(path.name for path in layout.stacks.iterdir()) == [
        *("busy.folded", "busy.threads.json", "idle.folded", "idle.threads.json", "source.json")
    ]


TWO_THREADS = """
import sys, threading, time

def spin():
    while True:
        sum(range(1000))

def doze():
    while True:
        time.sleep(0.001)

threading.Thread(target=spin, name="the; (spinner)", daemon=True).start()
threading.Thread(target=doze, daemon=True).start()
print("ready", flush=True)
sys.stdin.read()
"""


def test_each_thread_has_its_own_cpu_and_its_own_stacks(child, found, layout, profiler_of, until):
    process = child(TWO_THREADS)
    profiler = profiler_of(found(rank=process))
    profiler.start()
    until(lambda: min(segments_of(profiler)) >= 2)
    profiler.stop()
    threads = read_threads(layout, "rank")
    busiest, *others = threads.threads
    assert busiest.name == "the; (spinner)"
    assert 0.3 * threads.seconds < busiest.cpu_s + busiest.waited_s < 1.1 * threads.seconds
    assert sum(thread.cpu_s for thread in others) < busiest.cpu_s
    assert all("spin (<string>" in stack for stack in busiest.stacks)
    assert {thread.tid for thread in threads.threads} == {
        0,
        *(thread.id for thread in psutil.Process(process.pid).threads()),
    }
    together = Counter()
    for thread in threads.threads:
        together.update(thread.stacks)
    assert together == read_folded(layout.folded("rank"))


def test_what_ended_threads_burnt_is_not_lost(child, found, layout, profiler_of, until):
    short = "import threading\nprint('ready', flush=True)\nwhile True:\n    one = threading.Thread(target=sum, args=(range(2_000_000),)); one.start(); one.join()"
    profiler = profiler_of(found(rank=child(short)), segment_s=0.5)
    profiler.start()
    until(lambda: min(segments_of(profiler)) >= 2)
    profiler.stop()
    threads = read_threads(layout, "rank")
    busiest = threads.threads[0]
    assert (busiest.tid, busiest.name) == (0, "ended threads")
    assert busiest.stacks
    assert busiest.cpu_s > sum(thread.cpu_s for thread in threads.threads[1:])


def test_source_lines_are_kept_beside_the_stacks(child, found, layout, profiler_of, tmp_path, until):
    script = tmp_path / "spin.py"
    script.write_text("print('ready', flush=True)\nwhile True:\n    sum(range(1000))\n")
    profiler = profiler_of(found(rank=child("import runpy, sys; runpy.run_path(sys.argv[1])", str(script))))
    profiler.start()
    until(lambda: read_source(layout).get("spin.py:3"))
    profiler.stop()
    assert read_source(layout)["spin.py:3"] == "sum(range(1000))"


def test_the_idle_mode_shows_where_a_process_waits(idle, found, layout, profiler_of, until):
    profiler = profiler_of(found(idle=idle), mode="idle")
    profiler.start()
    until(lambda: layout.folded("idle").exists() and read_folded(layout.folded("idle")))
    info = profiler.stop()
    assert info.mode == "idle"
    assert any("wait_for_ever" in stack for stack in read_folded(layout.folded("idle")))


def test_the_native_mode_shows_c_functions(busy, found, layout, profiler_of):
    profiler = profiler_of(found(busy=busy), mode="native")
    profiler.start()
    assert profiler.wait_until_sampling()
    info = profiler.stop()
    assert info.files[0].error is None
    assert all(FRAME.match(frame) for stack in read_folded(layout.folded("busy")) for frame in stack.split(";"))


def test_a_killed_profiler_costs_one_segment_and_is_said(busy, found, layout, profiler_of, until):
    profiler = profiler_of(found(busy=busy), segment_s=0.5)
    profiler.start()
    until(lambda: segments_of(profiler) >= [1])
    (victim,) = until(lambda: py_spies(busy.pid))
    victim.kill()
    count = segments_of(profiler)[0]
    until(lambda: segments_of(profiler) >= [count + 3])
    (file,) = profiler.stop().files
    assert re.match(r"1 of \d+ segments lost: py-spy ended without output \(exit code -9\)", file.error)
    assert file.samples == sum(read_folded(layout.folded("busy")).values()) > 0


def test_a_process_that_ends_is_said_and_its_samples_are_kept(busy, idle, found, layout, profiler_of, until):
    profiler = profiler_of(found(mortal=busy, other=idle))
    profiler.start()
    until(lambda: min(segments_of(profiler)) >= 1)
    busy.kill()
    busy.wait()
    mortal, other = profiler.stop().files
    assert mortal.error == "the process ended during the profile"
    assert mortal.samples == sum(read_folded(layout.folded("mortal")).values()) > 0
    assert other.error is None


def test_a_process_that_is_no_python_is_said(found, layout, profiler_of):
    sleeper = subprocess.Popen(["sleep", "60"])
    try:
        profiler = profiler_of(found(sleeper=sleeper))
        profiler.start()
        assert not profiler.wait_until_sampling()
        info = profiler.stop()
    finally:
        sleeper.kill()
        sleeper.wait()
    assert "py-spy ended without output (" in info.files[0].error
    assert info.mode == "active"
    assert profiler.warnings == []
    assert not layout.folded("sleeper").exists()


def test_a_folder_that_fills_up_is_raised(busy, found, layout, profiler_of, until):
    profiler = profiler_of(found(busy=busy))
    layout.folded("busy").with_name("busy.folded.part").mkdir()
    profiler.start()
    until(lambda: profiler._failed)
    with pytest.raises(FolderError, match=r"busy\.folded"):
        profiler.stop()


def test_a_disk_that_is_full_when_py_spy_writes_is_raised(busy, found, small_disk):
    profiler = Profiler(found(busy=busy), create_run_folder(small_disk, "run"), ProfilePlan(), segment_s=60)
    profiler.start()
    assert profiler.wait_until_sampling()
    fill(small_disk)
    with pytest.raises(FolderError, match="the disk is full"):
        profiler.stop()


def test_a_py_spy_that_hangs_is_killed_and_said(busy, found, profiler_of, monkeypatch):
    monkeypatch.setattr("mmload.observe.pyspy._GRACE_S", 0.2)
    profiler = profiler_of(found(busy=busy), segment_s=60)
    profiler.start()
    assert profiler.wait_until_sampling()
    (spy,) = py_spies(busy.pid)
    spy.suspend()
    (file,) = profiler.stop().files
    assert file.error == "1 of 1 segments lost: py-spy hung: killed 0.2 s after it was interrupted"
    assert not spy.is_running()


def test_a_file_that_does_not_hold_what_was_sampled_is_said(busy, found, profiler_of, monkeypatch, until):
    monkeypatch.setattr("mmload.observe.subject.write_folded", lambda _path, _stacks: None)
    profiler = profiler_of(found(busy=busy))
    profiler.start()
    until(lambda: any(segment.samples for segment in profiler._subjects[0]._segments))
    (file,) = profiler.stop().files
    assert file.error == f"its file holds 0 samples, not {file.samples}"


@pytest.mark.parametrize(("errors", "poor"), [(1, False), (49, False), (50, True)])
def test_stacks_that_could_not_be_read_make_a_profile_poor_unless_they_are_few(
    idle, found, profiler_of, monkeypatch, errors, poor
):
    monkeypatch.setattr("mmload.observe.pyspy.Recording.collect", lambda _self: Segment(errors=errors))
    profiler = profiler_of(found(idle=idle), segment_s=60)
    profiler.start()
    assert profiler.wait_until_sampling()
    (spy,) = py_spies(idle.pid)
    (file,) = profiler.stop().files
    spy.wait()
    assert file.error == (f"more samples could not be read ({errors}) than could (0)" if poor else None)


def test_each_segment_says_when_it_was_taken_and_what_it_cost(busy, found, profiler_of, until):
    profiler = profiler_of(found(busy=busy))
    profiler.start()
    until(lambda: segments_of(profiler)[0] >= 2)
    (file,) = profiler.stop().files
    assert file.samples == sum(segment.samples for segment in file.segments)
    for before, after in pairwise(file.segments):
        assert before.start_ns < before.end_ns <= after.start_ns < after.end_ns
        assert before.cpu_s > 0
    taken_s = sum(segment.end_ns - segment.start_ns for segment in file.segments) / 1e9
    assert 0 < file.asked <= 200 * taken_s + 1


def test_a_py_spy_that_cannot_be_started_is_said(busy, found, layout, profiler_of, until):
    (layout.logs / "py-spy-busy.log").mkdir()
    profiler = profiler_of(found(busy=busy))
    profiler.start()
    until(lambda: segments_of(profiler)[0] >= 2)
    (file,) = profiler.stop().files
    assert "segments lost: py-spy could not be started (Is a directory)" in file.error


def test_stopping_before_the_start_is_no_error(busy, found, profiler_of):
    assert profiler_of(found(busy=busy)).stop().files[0].error == "the profile was stopped before it began"


REFUSALS = [  # in order: not root; root without CAP_SYS_PTRACE; ptrace_scope 1
    "Permission Denied: Try running again with elevated permissions by going 'sudo env \"PATH=$PATH\" !!'",
    "Error: Failed to get process executable name.\n\nCaused by:\n    0: Permission denied (os error 13)",
    "Error: Failed to open process\n\nCaused by:\n    0: Operation not permitted (os error 1)",
]


@pytest.mark.parametrize("words", REFUSALS)
def test_a_refusal_is_one_warning_with_the_mend_and_no_profile(
    words, busy, idle, found, profiler_of, tmp_path, monkeypatch
):
    refusing = tmp_path / "py-spy"
    refusing.write_text(f"#!{sys.executable}\nraise SystemExit({words!r})\n")
    refusing.chmod(0o755)
    monkeypatch.setattr("mmload.observe.pyspy.py_spy_path", lambda: str(refusing))
    profiler = profiler_of(found(busy=busy, idle=idle))
    profiler.start()
    assert not profiler.wait_until_sampling()
    info = profiler.stop()
    assert (info.mode, info.samples) == ("none", 0)
    (warning,) = profiler.warnings
    assert warning.startswith("no stacks: the kernel does not let py-spy read the server")
    for mend in ("setcap cap_sys_ptrace+ep", "--cap-add SYS_PTRACE", "ptrace_scope"):
        assert mend in warning


WITHOUT_PTRACE = textwrap.dedent(
    """
    import ctypes, sys
    from pathlib import Path
    from mmload.discover import from_pids
    from mmload.model.plan import ProfilePlan
    from mmload.observe.stacks import Profiler
    from mmload.store.layout import RunLayout
    PR_CAPBSET_DROP, CAP_SYS_PTRACE = 24, 19
    assert ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, CAP_SYS_PTRACE, 0, 0, 0) == 0
    profiler = Profiler(from_pids([int(sys.argv[2])]), RunLayout(Path(sys.argv[1])), ProfilePlan())
    profiler.start()
    print(profiler.wait_until_sampling(), profiler.stop().mode, len(profiler.warnings))
    """
)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give up a capability that it has")
def test_root_in_a_container_without_the_capability_is_refused_too(busy, layout):
    command = [sys.executable, "-c", WITHOUT_PTRACE, str(layout.path), str(busy.pid)]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "False none 1\n"


STARTER = textwrap.dedent(
    """
    import sys
    from pathlib import Path
    from mmload.discover import from_pids
    from mmload.model.plan import ProfilePlan
    from mmload.observe.stacks import Profiler
    from mmload.store.layout import RunLayout
    profiler = Profiler(from_pids([int(sys.argv[2])]), RunLayout(Path(sys.argv[1])), ProfilePlan())
    profiler.start()
    profiler.wait_until_sampling()
    print("sampling", flush=True)
    sys.stdin.read()
    """
)


def test_no_profiler_outlives_a_killed_mmload_and_its_segment_is_on_the_disk(busy, child, layout, until):
    starter = child(STARTER, str(layout.path), str(busy.pid))
    (spy,) = py_spies(busy.pid)
    starter.send_signal(signal.SIGKILL)
    spy.wait(30)
    assert (layout.stacks / "other-1.segment").exists()


def test_a_hung_process_is_dumped_in_words(idle, found, tmp_path):
    assert dump_all(found(rank=idle), tmp_path / "dumps") == []
    assert "wait_for_ever (<string>:6)" in (tmp_path / "dumps" / "rank.txt").read_text()


def test_a_dump_that_fails_is_said_and_the_others_are_made(busy, idle, found, tmp_path):
    processes = found(dead=busy, rank=idle)
    busy.kill()
    busy.wait()
    (problem,) = dump_all(processes, tmp_path / "dumps")
    assert problem.startswith("no dump of dead: py-spy ended without output (Failed to get process executable name")
    assert "wait_for_ever" in (tmp_path / "dumps" / "rank.txt").read_text()


def test_processes_that_can_not_be_dumped_for_one_reason_share_a_sentence(busy, idle, found, tmp_path, monkeypatch):
    monkeypatch.setattr("mmload.observe.pyspy.py_spy_path", lambda: str(tmp_path / "py-spy"))
    (problem,) = dump_all(found(one=busy, two=idle), tmp_path / "dumps")
    assert problem.startswith("no dump of one, two: py-spy ended without output (cannot start ")


def test_a_stopped_process_does_not_hold_up_the_dumps_for_ever(idle, found, tmp_path):
    assert dump_all(found(rank=idle), tmp_path / "dumps", timeout_s=0) == [
        "no dump of rank: py-spy did not end in time"
    ]


def test_schedulers_and_the_tokenizer_are_profiled_or_else_all(idle, found):
    (rank,) = found(rank=idle)
    other = type(rank)(pid=1, start_ticks=1, role="other", rank=None, name="other-1")
    tokenizer = type(rank)(pid=2, start_ticks=1, role="tokenizer", rank=None, name="tokenizer")
    assert worth_profiling([tokenizer, other, rank]) == [tokenizer, rank]
    assert worth_profiling([other]) == [other]
