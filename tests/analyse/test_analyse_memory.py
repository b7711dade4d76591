import numpy as np
import pytest
from factory import START_NS, S, make_run

from mmload.analyse.cpu import process_series
from mmload.analyse.load import Window
from mmload.analyse.memory import gpu_trouble, gpu_use, lost_gpus, process_memory, shm_use
from mmload.analyse.summary import summarise
from mmload.model.records import GpuSample, HostSample, ProcessSample
from mmload.model.result import ShmUse

WINDOW = Window(START_NS + 10 * S, START_NS + 30 * S, complete=True)


def process(s, rss=10, **changes):
    zero = dict.fromkeys(("ctx_voluntary", "ctx_involuntary"), 0)
    known = {"pid": 7, "start_ticks": 1, "role": "scheduler", "rank": 0, "cpu_s": 0.0, "name": "scheduler_TP0"}
    changed = {"uss_bytes": None, "fds": 20, "threads": 4, **changes}
    return ProcessSample(t_ns=START_NS + round(s * S), rss_bytes=rss, **{**zero, **known, **changed})


def host(s, **changes):
    numbers = ("cpu_busy_s", "load_1m", "memory_available_bytes", "memory_total_bytes")
    net = ("net_bytes_sent", "net_bytes_received")
    return HostSample(t_ns=START_NS + round(s * S), cores=2, **dict.fromkeys((*numbers, *net), 0), **changes)


def held_by(*samples):
    return process_memory(process_series(samples)["scheduler_TP0"], WINDOW)


def test_what_a_process_held_is_of_the_window_and_what_is_read_seldom_as_it_was_last_read_by_its_end():
    held = held_by(
        process(5, rss=99, fds=99, threads=99, uss_bytes=7, shm_bytes=3),
        process(15, rss=40, fds=25),
        process(25, rss=30, threads=6, uss_bytes=8),
        process(35, rss=98, uss_bytes=9, shm_bytes=9),
    )
    assert (held.rss_max_bytes, held.rss_end_bytes, held.fds_max, held.threads_max) == (40, 30, 25, 6)
    assert (held.uss_bytes, held.shm_bytes) == (8, 3)


def test_what_nobody_said_is_unknown():
    held = held_by(process(15, fds=None), process(25, fds=None))
    assert (held.uss_bytes, held.shm_bytes, held.fds_max, held.growth_mb_per_h) == (None, None, None, None)
    assert process_memory(process_series([process(5)])["scheduler_TP0"], WINDOW) is None


def test_growth_is_said_of_windows_that_are_long_enough_for_it():
    hour = Window(START_NS, START_NS + 3600 * S, complete=True)
    rng = np.random.default_rng(1)
    samples = [process(s, rss=int(1e9 + 20e6 * s / 3600 + 1e5 * rng.random())) for s in range(0, 3600, 5)]
    growth = process_memory(process_series(samples)["scheduler_TP0"], hour).growth_mb_per_h
    assert growth.low < growth.value < growth.high
    assert growth.value == pytest.approx(20, rel=0.1)


def test_shared_memory_of_the_host_is_of_the_window_in_any_order():
    samples = [host(s, shm_used_bytes=used) for s, used in ((5, 99), (25, 30), (12, 10), (20, 50), (40, 99))]
    assert shm_use(samples, WINDOW) == ShmUse(start_bytes=10, max_bytes=50, end_bytes=30)
    assert shm_use([host(15)], WINDOW) is None


def gpu(index=0, **changes):
    return GpuSample(index=index, name="H", **changes)


def test_gpus_are_summed_up_by_index_over_the_window():
    samples = [
        host(5, gpus=[gpu(power_w=999.0)]),
        host(12, gpus=[gpu(kernel_ran_pct=80.0, power_w=400.0, memory_used_bytes=5, memory_total_bytes=8), gpu(1)]),
        host(
            14,
            gpus=[
                gpu(kernel_ran_pct=90.0, power_w=500.0, memory_used_bytes=4, process_memory_bytes={"a": 3, "b": None})
            ],
        ),
    ]
    first, second = gpu_use(samples, WINDOW)
    assert (first.kernel_ran_pct, first.power_mean_w, first.power_max_w) == (85.0, 450.0, 500.0)
    assert (first.memory_max_bytes, first.memory_total_bytes) == (5, 8)
    assert first.process_memory_bytes == {"a": 3, "b": None}
    assert (second.index, second.samples, second.power_mean_w) == (1, 1, None)


def test_a_gpu_that_vanished_is_a_warning_and_none_at_all_is_not():
    absent = [host(1, gpu_trouble="not sampled: this host has no NVIDIA driver"), host(2)]
    assert lost_gpus(absent) == []
    assert gpu_trouble(absent) == "not sampled: this host has no NVIDIA driver"
    vanished = [host(1, gpus=[gpu()]), host(2, gpu_trouble="GPU 0 (H) is gone: GPU is lost")]
    assert lost_gpus(vanished) == ["GPU 0 (H) is gone: GPU is lost"]
    assert gpu_trouble([host(1)]) is None


def test_the_summary_of_an_older_folder_has_what_it_wrote(tmp_path):
    run = make_run(tmp_path, duration_s=10)
    summary = summarise(run)
    assert summary.memory["tokenizer"].rss_max_bytes == 500_000_000
    assert (summary.shm, summary.gpus, summary.gpu_trouble) == (None, [], None)
    assert (summary.cpu["tokenizer"].user_pct, summary.cpu["tokenizer"].system_pct) == (None, None)
