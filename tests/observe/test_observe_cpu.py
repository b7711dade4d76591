"""Process samples of real processes."""

import os
from pathlib import Path

import msgspec
import psutil
import pytest

from mmload.errors import FolderError
from mmload.model.records import GpuSample, HostSample, ProcessSample
from mmload.observe.cpu import ProcessSampler, sample_host
from mmload.store.read import read_lines

pytestmark = pytest.mark.live


@pytest.fixture
def sampler_of(tmp_path):
    samplers = []

    def make(processes, processes_file=tmp_path / "processes.jsonl"):
        samplers.append(ProcessSampler(processes, processes_file, tmp_path / "host.jsonl", interval_s=0.02))
        return samplers[-1]

    yield make
    for sampler in samplers:
        sampler._stopping.set()


def stored(folder, name=None):
    samples = read_lines(folder / "processes.jsonl", ProcessSample)
    return [sample for sample in samples if name in (None, sample.name)]


def test_a_busy_process_is_seen_to_burn_cpu_and_an_idle_one_not(busy, idle, found, sampler_of, tmp_path, until):
    sampler = sampler_of(found(busy=busy, idle=idle))
    sampler.start()
    until(lambda: {"busy", "idle"} <= sampler.latest_cpu_pct().keys())
    latest = sampler.latest_cpu_pct()
    sampler.stop()
    assert latest["busy"] > latest["idle"]
    burnt = [sample.cpu_s for sample in stored(tmp_path, "busy")]
    assert burnt == sorted(burnt)
    assert burnt[-1] > burnt[0]
    assert sampler.cpu_s > 0


def test_a_sample_says_who_it_is_of_and_what_it_holds(idle, found, sampler_of, tmp_path, until):
    until(lambda: psutil.Process(idle.pid).num_ctx_switches().voluntary > 0)  # it has begun to sleep
    sampler = sampler_of(found(rank=idle))
    sampler.start()
    sampler.stop()
    first, *later = stored(tmp_path, "rank")
    (process,) = found(rank=idle)
    assert (first.pid, first.start_ticks, first.role, first.rank) == (idle.pid, process.start_ticks, "scheduler", 0)
    assert first.threads == 1
    assert first.fds >= 3
    assert 0 < first.uss_bytes <= first.rss_bytes
    assert first.ctx_voluntary > 0
    assert all(sample.uss_bytes is None for sample in later)


def test_cpu_seconds_are_those_of_the_process_itself_and_of_the_kernel_for_it(busy, found, sampler_of, tmp_path, until):
    sampler = sampler_of(found(busy=busy))
    sampler.start()
    until(sampler.latest_cpu_pct)
    sampler.stop()
    for sample in stored(tmp_path):
        assert sample.cpu_s == pytest.approx(sample.cpu_user_s + sample.cpu_system_s)


SHARES = """
import mmap
shared = mmap.mmap(-1, 4_000_000)
shared.write(bytes(4_000_000))
print(flush=True)
input()
"""


def test_shared_memory_that_a_process_maps_is_told_apart_from_its_own(child, found, sampler_of, tmp_path):
    sampler = sampler_of(found(sharing=child(SHARES)))
    sampler.start()
    sampler.stop()
    assert stored(tmp_path)[0].shm_bytes >= 4_000_000


def test_a_process_that_ends_is_told_and_the_others_are_sampled_on(busy, idle, found, sampler_of, tmp_path, until):
    sampler = sampler_of(found(mortal=idle, other=busy))
    sampler.start()
    assert sampler.lost() == []
    idle.kill()
    until(sampler.lost)
    sampler.stop()
    assert [process.name for process in sampler.lost()] == ["mortal"]
    assert stored(tmp_path)[-1].name == "other"


def test_a_pid_that_another_process_took_over_counts_as_ended(idle, found, sampler_of, until):
    (process,) = found(rank=idle)
    sampler = sampler_of([msgspec.structs.replace(process, start_ticks=process.start_ticks - 1)])
    sampler.start()
    until(sampler.lost)
    sampler.stop()
    assert [lost.name for lost in sampler.lost()] == [process.name]


def test_generators_can_join_later_and_their_end_is_no_loss(busy, idle, found, sampler_of, tmp_path, until):
    sampler = sampler_of(found(rank=busy))
    sampler.start()
    sampler.add_generators({"generator-0": idle.pid, "generator-1": os.getpid()})
    until(lambda: "generator-1" in sampler.latest_cpu_pct())
    idle.kill()
    until(lambda: "generator-0" not in sampler.latest_cpu_pct())
    sampler.stop()
    assert sampler.lost() == []
    assert {sample.role for sample in stored(tmp_path, "generator-0")} == {"generator"}


def test_a_full_disk_is_told_while_it_goes_and_raised_at_the_end(idle, found, sampler_of, until):
    sampler = sampler_of(found(rank=idle), processes_file=Path("/dev/full"))
    sampler.start()
    until(lambda: sampler.failed)
    with pytest.raises(FolderError, match="the disk is full"):
        sampler.stop()


def test_a_folder_that_is_not_there_is_told_at_the_start(sampler_of, tmp_path):
    with pytest.raises(FolderError):
        sampler_of([], processes_file=tmp_path / "absent" / "processes.jsonl").start()


def test_stopping_what_never_started_is_no_error(sampler_of):
    sampler = sampler_of([])
    sampler.stop()
    assert (sampler.failed, sampler.cpu_s) == (None, 0.0)


def test_the_host_is_sampled_beside_the_processes(sampler_of, tmp_path):
    sampler = sampler_of([])
    sampler.start()
    sampler.stop()
    samples = list(read_lines(tmp_path / "host.jsonl", HostSample))
    assert samples
    assert samples == sorted(samples, key=lambda sample: sample.t_ns)


def test_what_gpus_say_is_part_of_the_host(sampler_of, tmp_path, monkeypatch):
    gpu = GpuSample(index=0, name="H", power_w=400.0)
    sampler = sampler_of([])
    monkeypatch.setattr(sampler._gpus, "look", lambda: ([gpu], "GPU 1 is gone"))
    sampler.start()
    sampler.stop()
    sample, *_ = read_lines(tmp_path / "host.jsonl", HostSample)
    assert (sample.gpus, sample.gpu_trouble) == ([gpu], "GPU 1 is gone")


def test_a_host_sample_holds_what_the_host_has():
    sample = sample_host()
    assert sample.cores == os.cpu_count()
    assert 0 < sample.memory_available_bytes < sample.memory_total_bytes
    assert sample.cpu_busy_s > 0
