"""GPUs, by the real library where there is no driver, and by a module that plays NVML."""
# ruff: noqa: N802 - the names of functions are those of NVML

import sys
import types

import pytest

from mmload.model.records import GpuSample
from mmload.observe import gpu
from mmload.observe.gpu import GpuSampler

LOST, NOT_SUPPORTED = 15, 3


class NvmlError(Exception):
    def __init__(self, value, words="refused"):
        super().__init__(words)
        self.value = value


class Gpus(types.ModuleType):
    """Plays NVML: two GPUs, of which each answer can be replaced by an error."""

    NVMLError = NvmlError
    NVML_ERROR_GPU_IS_LOST = LOST
    NVML_ERROR_RESET_REQUIRED = 16

    def __init__(self):
        super().__init__("pynvml")
        self.errors = {}
        self.looks = 0
        self.shut_down = False

    def nvmlInit(self):
        self._say("init", None)

    def nvmlShutdown(self):
        self.shut_down = True

    def nvmlDeviceGetCount(self):
        return self._say("count", 2)

    def nvmlDeviceGetHandleByIndex(self, index):
        return self._say(("handle", index), index)

    def nvmlDeviceGetName(self, index):
        return f"NVIDIA H{index}"

    def nvmlDeviceGetUtilizationRates(self, index):
        self.looks += 1
        return self._say(("utilisation", index), types.SimpleNamespace(gpu=83 - index))

    def nvmlDeviceGetMemoryInfo(self, index):
        return self._say(("memory", index), types.SimpleNamespace(used=40_000, total=80_000))

    def nvmlDeviceGetPowerUsage(self, index):
        return self._say(("power", index), 412_300)

    def nvmlDeviceGetComputeRunningProcesses(self, index):
        held = [types.SimpleNamespace(pid=pid, usedGpuMemory=size) for pid, size in ((7, 30_000), (8, None), (9, 1))]
        return self._say(("processes", index), held)

    def _say(self, question, answer):
        if question in self.errors:
            raise self.errors[question]
        return answer


@pytest.fixture
def nvml(monkeypatch):
    played = Gpus()
    monkeypatch.setitem(sys.modules, "pynvml", played)
    monkeypatch.setattr(gpu, "_INTERVAL_S", 0.01)
    return played


@pytest.fixture
def sampler():
    """Of a server whose ranks have pids 7 and 8."""
    made = GpuSampler({7: "scheduler_TP0", 8: "scheduler_TP1"})
    yield made
    made.stop()


def first_seen(sampler, until):
    sampler.start()
    return until(lambda: sampler.look()[0])


def test_a_gpu_says_whether_kernels_ran_what_is_held_by_whom_and_what_power_it_draws(nvml, sampler, until):
    first, second = first_seen(sampler, until)
    assert first == GpuSample(
        index=0,
        name="NVIDIA H0",
        kernel_ran_pct=83.0,
        memory_used_bytes=40_000,
        memory_total_bytes=80_000,
        power_w=412.3,
        process_memory_bytes={"scheduler_TP0": 30_000, "scheduler_TP1": None},
    )
    assert second.index == 1
    assert sampler.look()[1] is None
    sampler.stop()
    assert nvml.shut_down


def test_what_a_gpu_does_not_say_is_unknown_and_no_failure(nvml, sampler, until):
    nvml.errors = {(question, 0): NvmlError(NOT_SUPPORTED) for question in ("utilisation", "power", "processes")}
    first, second = first_seen(sampler, until)
    assert (first.kernel_ran_pct, first.power_w, first.process_memory_bytes) == (None, None, {})
    assert first.memory_used_bytes == 40_000
    assert second.power_w == 412.3


def test_a_gpu_that_vanishes_is_named_once_and_the_others_are_sampled_on(nvml, sampler, until):
    first_seen(sampler, until)
    nvml.errors = {("memory", 0): NvmlError(LOST, "GPU is lost")}
    trouble = until(lambda: sampler.look()[1])
    assert trouble == "GPU 0 (NVIDIA H0) is gone: GPU is lost"
    looks = nvml.looks
    until(lambda: nvml.looks > looks + 2)
    found, again = sampler.look()
    assert ([one.index for one in found], again) == ([1], None)


def test_a_gpu_that_is_broken_from_the_start_is_named_and_the_others_are_sampled(nvml, sampler, until):
    nvml.errors = {("handle", 0): NvmlError(LOST, "GPU is lost")}
    sampler.start()
    assert until(lambda: sampler.look()[1]) == "GPU 0 is not sampled: GPU is lost"
    assert [one.index for one in until(lambda: sampler.look()[0])] == [1]


@pytest.mark.parametrize(
    ("errors", "trouble"),
    [
        ({"init": NvmlError(9, "Driver Not Loaded")}, "not sampled: NVML says: Driver Not Loaded"),
        ({"count": NvmlError(999, "Unknown Error")}, "not sampled: NVML says: Unknown Error"),
    ],
)
def test_an_nvml_that_can_not_be_asked_is_told_once_in_its_own_words(
    nvml, sampler, until, monkeypatch, tmp_path, errors, trouble
):
    monkeypatch.setattr(gpu, "_DRIVER", tmp_path)
    nvml.errors = errors
    sampler.start()
    assert until(lambda: sampler.look()[1]) == trouble
    assert sampler.look() == ([], None)


def test_a_host_with_a_driver_and_without_the_extra_is_told_what_to_install(monkeypatch, sampler, until, tmp_path):
    monkeypatch.setitem(sys.modules, "pynvml", None)
    monkeypatch.setattr(gpu, "_DRIVER", tmp_path)
    sampler.start()
    assert "pip install 'mmload[gpu]'" in until(lambda: sampler.look()[1])


def test_the_real_library_without_a_driver_says_that_there_is_none(sampler, until):
    if gpu._DRIVER.exists():
        pytest.skip("this host has a driver")
    sampler.start()
    assert until(lambda: sampler.look()[1]) == "not sampled: this host has no NVIDIA driver"
    assert sampler.look() == ([], None)


def test_a_sampler_that_never_started_stops(sampler):
    sampler.stop()
    assert sampler.look() == ([], None)
