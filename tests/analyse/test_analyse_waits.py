"""Which process waits for which: golden dumps of real servers, and what no server could be brought to do."""

import itertools
from pathlib import Path

import pytest

from mmload.analyse.dumps import GONE, kernel_line, parse_dump
from mmload.analyse.waits import who_waits
from mmload.plan.phases import rules_for

GOLDEN = sorted((Path(__file__).parents[1] / "golden" / "waits").glob("*.txt"))


@pytest.mark.parametrize("file", GOLDEN, ids=lambda file: file.stem)
def test_what_the_dumps_of_a_real_server_say(file):
    said, *dumps = file.read_text().split("\n=== ")
    texts = dict(dump.split("\n", 1) for dump in dumps)
    engine = "standin" if file.stem.startswith("standin") else "sglang"
    assert who_waits(texts, rules_for(engine)) == " ".join(said.split())


FRAMES = {
    "broadcast_object": [
        "broadcast (torch/distributed/distributed_c10d.py:1)",
        "broadcast_object (parallel_state.py:2)",
    ],
    "all_reduce": ["all_reduce (torch/distributed/distributed_c10d.py:3)", "forward (linear.py:4)"],
    "work": ["hash_feature (mmload/standin/inputs.py:5)", "materialise (mmload/handoff/original.py:6)"],
    "device": ["wait_for_device (mmload/standin/rank.py:7)"],
    "idle": ["wait_for_work (mmload/standin/rank.py:8)"],
}
pids = itertools.count(10)


def dump(doing, state="S", ran_ms=0.0):
    """A dump of a process with pid 10, 11 and so on in one sentence."""
    frames = "".join(f"    {frame}\n" for frame in [*FRAMES.get(doing, []), "event_loop (mmload/standin/rank.py:9)"])
    thread = f'Thread 1 (idle): "MainThread"\n{frames}' if doing else "Error: no Python\n"
    return f"{thread}\n{kernel_line(next(pids), state, 'futex_do_wait', ran_ms, 300.0)}\n"


@pytest.fixture(autouse=True)
def _pids_begin_at_ten():
    global pids  # noqa: PLW0603
    pids = itertools.count(10)


def said(**dumps):
    return who_waits(dumps, rules_for("standin"))


def test_a_rank_at_work_is_what_its_peers_wait_for():
    two = said(scheduler_TP0=dump("broadcast_object"), scheduler_TP1=dump("work", ran_ms=290), tokenizer=dump("idle"))
    assert two == (
        "scheduler_TP1 (pid 11) is at work in hash_feature; scheduler_TP0 waits for scheduler_TP1 in broadcast_object; "
        "tokenizer waits for the ranks"
    )


def test_one_that_stands_in_a_function_is_told_from_one_at_work():
    assert said(scheduler_TP0=dump("work")) == "scheduler_TP0 (pid 10) stands in hash_feature"


def test_with_all_ranks_in_one_collective_nobody_is_missing():
    ranks = {f"scheduler_TP{rank}": dump("broadcast_object") for rank in range(3)}
    assert said(**ranks) == (
        "scheduler_TP0, scheduler_TP1 and scheduler_TP2 wait in broadcast_object, and no rank is missing there: "
        "what carries it stands still"
    )


def test_ranks_in_different_collectives_never_meet():
    ranks = {"scheduler_TP0": dump("broadcast_object"), "scheduler_TP1": dump("all_reduce")}
    assert said(**ranks) == (
        "scheduler_TP0 waits in broadcast_object, scheduler_TP1 waits in all_reduce: collectives that do not meet"
    )


def test_ranks_that_turn_are_not_said_to_stand():
    ranks = {"scheduler_TP0": dump("broadcast_object", ran_ms=30), "scheduler_TP1": dump("all_reduce", ran_ms=30)}
    assert said(**ranks).startswith("no rank stands still: ")


def test_ranks_that_wait_for_the_device_are_not_stuck_in_python():
    ranks = {f"scheduler_TP{rank}": dump("device") for rank in range(2)}
    assert said(**ranks) == (
        "nobody is stuck in Python: scheduler_TP0 and scheduler_TP1 wait for the device in wait_for_device"
    )


def test_a_rank_that_is_gone_or_can_not_be_woken_comes_first():
    gone = f"Error: No such process\n\n{kernel_line(9, GONE)}\n"
    ranks = {"scheduler_TP0": dump("all_reduce"), "scheduler_TP1": gone, "scheduler_TP2": dump("work", state="D")}
    assert said(**ranks) == (
        "scheduler_TP1 (pid 9) is gone; "
        "scheduler_TP2 (pid 11) waits in the kernel and can't be woken (futex_do_wait), in hash_feature; "
        "scheduler_TP0 waits for scheduler_TP1 and scheduler_TP2 in all_reduce"
    )


def test_of_a_process_that_py_spy_can_not_read_the_kernels_word_is_said():
    ranks = {"scheduler_TP0": dump("broadcast_object"), "scheduler_TP1": dump(None)}
    assert said(**ranks) == (
        "scheduler_TP1 (pid 11) can't be read; by the kernel it sleeps in futex_do_wait; "
        "scheduler_TP0 waits for scheduler_TP1 in broadcast_object"
    )
    assert said(server=dump(None, state="T")) == "server (pid 12) is stopped by a signal"


def test_who_may_not_trace_is_not_told_where_a_process_sleeps_and_says_no_more():
    unread = "Error: Permission denied\n\n"
    assert said(server=unread + kernel_line(9, "S", "", 0.0, 300)) == (
        "server (pid 9) can't be read; by the kernel it sleeps"
    )
    assert said(server=unread + kernel_line(9, "R", "", 300.0, 300)) == (
        "server (pid 9) can't be read; by the kernel it runs"
    )


def test_replicas_do_not_wait_for_one_another_and_a_sound_one_is_left_out():
    names = [f"scheduler_DP{dp}_TP{tp}" for dp, tp in itertools.product(range(2), range(2))]
    doing = [("idle", "S"), ("broadcast_object", "S"), ("broadcast_object", "S"), ("work", "T")]
    texts = {name: dump(*how) for name, how in zip(names, doing, strict=True)}
    assert said(**texts) == (
        "scheduler_DP1_TP1 (pid 13) is stopped by a signal, in hash_feature; "
        "scheduler_DP1_TP0 waits for scheduler_DP1_TP1 in broadcast_object"
    )


def test_ranks_counted_through_over_data_parallel_ones_are_one_group():
    texts = {"scheduler_DP0_TP0": dump("all_reduce"), "scheduler_DP1_TP1": dump("work", ran_ms=200)}
    assert said(**texts).endswith("scheduler_DP0_TP0 waits for scheduler_DP1_TP1 in all_reduce")


def test_pipeline_stages_are_groups_of_their_own():
    texts = {
        "scheduler_PP0_TP0": dump("all_reduce"),
        "scheduler_PP0_TP1": dump("work", state="T"),
        "scheduler_PP1_TP0": dump("broadcast_object"),
        "scheduler_PP1_TP1": dump("idle"),
    }
    assert said(**texts) == (
        "scheduler_PP0_TP1 (pid 11) is stopped by a signal, in hash_feature; "
        "scheduler_PP0_TP0 waits for scheduler_PP0_TP1 in all_reduce"
    )


def test_without_ranks_every_process_is_said():
    assert said(server=dump("work", ran_ms=100)) == "server (pid 10) is at work in hash_feature"
    assert said() == ""


def test_a_dump_is_read_with_its_main_thread_first():
    text = 'Thread 2 (active): "gloo"\n    pull (a.py:1)\nThread 1 (idle): "MainThread"\n    wait (b.py:2)\n'
    read = parse_dump("rank", text + kernel_line(7, "S", "", 1.5, 300.0))
    assert [thread.name for thread in read.threads] == ["MainThread", "gloo"]
    assert read.threads[0].frames == ["wait (b.py:2)"]
    assert (read.pid, read.state, read.waits_in, read.ran_share) == (7, "S", "", 0.005)
