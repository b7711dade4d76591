import contextlib
import threading

import pytest

from mmload.handoff import counters as module
from mmload.handoff.counters import COLUMNS, Counters, CounterTable


class Clock:
    def __init__(self):
        self.now_ns = 0

    def __call__(self):
        return self.now_ns


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(module.time, "thread_time_ns", clock)
    monkeypatch.setattr(module.time, "perf_counter_ns", lambda: 2 * clock.now_ns)
    return clock


def test_a_stage_is_booked_in_cpu_and_wall_seconds(clock):
    counters = Counters()
    with counters.timed("hash"):
        clock.now_ns += 3_000_000_000
    assert counters["hash_cpu_seconds"] == 3
    assert counters["hash_wall_seconds"] == 6


def test_an_inner_stage_is_left_out_of_the_outer_one(clock):
    counters = Counters()
    with counters.timed("build"):
        clock.now_ns += 1_000_000_000
        for _ in range(2):
            with counters.timed("hash"):
                clock.now_ns += 5_000_000_000
        clock.now_ns += 1_000_000_000
    assert counters["build_cpu_seconds"] == 2
    assert counters["hash_cpu_seconds"] == 10


def test_a_stage_that_raises_is_booked_too(clock):
    counters = Counters()
    with contextlib.suppress(KeyError), counters.timed("build"):
        clock.now_ns += 1_000_000_000
        raise KeyError
    assert counters["build_cpu_seconds"] == 1
    with counters.timed("hash"):
        clock.now_ns += 1_000_000_000
    assert counters["build_cpu_seconds"] == 1


def test_a_wall_clock_over_stages_takes_nothing_from_them(clock):
    counters = Counters()
    with counters.on_the_clock("handler_wall_seconds"):
        clock.now_ns += 1_000_000_000
        with counters.timed("hash"):
            clock.now_ns += 5_000_000_000
    with contextlib.suppress(KeyError), counters.on_the_clock("handler_wall_seconds"):
        clock.now_ns += 1_000_000_000
        raise KeyError
    assert counters["handler_wall_seconds"] == 14
    assert counters["hash_wall_seconds"] == 10


def test_threads_time_and_count_on_their_own_and_lose_nothing():
    counters = Counters()
    barrier = threading.Barrier(4)

    def work():
        barrier.wait()
        for _ in range(500):
            with counters.timed("build"):
                counters.add("objects_built")

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counters["objects_built"] == 2000


def test_an_unknown_counter_is_an_error():
    with pytest.raises(KeyError):
        Counters().add("cache_misses")


def test_what_one_mapping_of_the_table_writes_another_reads(tmp_path):
    written = CounterTable.create(tmp_path / "counters", ["tokenizer", "scheduler_TP0"])
    read = CounterTable(tmp_path / "counters")
    written.counters("scheduler_TP0").add("requests", 3)
    assert read.processes == ("tokenizer", "scheduler_TP0")
    assert read.read()["scheduler_TP0"] == {column: 3.0 if column == "requests" else 0.0 for column in COLUMNS}
    assert not any(read.read()["tokenizer"].values())


def test_the_table_outlives_its_file(tmp_path):
    table = CounterTable.create(tmp_path / "counters", ["tokenizer"])
    (tmp_path / "counters").unlink()
    table.counters("tokenizer").add("requests")
    assert table.read()["tokenizer"]["requests"] == 1


def test_a_table_of_another_version_is_refused(tmp_path, monkeypatch):
    CounterTable.create(tmp_path / "counters", ["tokenizer"])
    monkeypatch.setattr(module, "COLUMNS", (*COLUMNS, "later"))
    with pytest.raises(ValueError, match="other columns"):
        CounterTable(tmp_path / "counters")
