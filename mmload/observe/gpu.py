"""GPUs by NVML (extra `gpu`): whether kernels ran, what memory is held and by whom, what power is drawn.

NVML is the driver's own library. A call can take long, or for ever where a GPU has failed, so a thread of its own asks;
whoever wants to know takes what it found last.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mmload.model.records import GpuSample

_INTERVAL_S = 1.0
_STOP_TIMEOUT_S = 1.0
_DRIVER = Path("/proc/driver/nvidia")


class GpuSampler:
    """Looks at every GPU once a second from `start` to `stop`. names: process of the server by pid.

    Where there is no NVML, no driver or no GPU, or one vanishes, `look` says so once. `cpu_s`: what the looking has
    cost so far.
    """

    def __init__(self, names: Mapping[int, str]) -> None:
        self.cpu_s = 0.0
        self._names = names
        self._found: list[GpuSample] = []
        self._trouble: deque[str] = deque()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="gpu-sampler", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Does not wait long for a driver that does not answer."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(_STOP_TIMEOUT_S)

    def look(self) -> tuple[list[GpuSample], str | None]:
        """The GPUs as last seen, at most a second ago unless the driver hangs; and what has gone wrong since the last
        look, in words."""
        said = [self._trouble.popleft() for _ in range(len(self._trouble))]
        return self._found, "; ".join(said) or None

    def _run(self) -> None:
        try:
            nvml = _load()
        except _NoNvml as reason:
            self._trouble.append(f"not sampled: {reason}")
            return
        try:
            gpus = self._gpus(nvml)
            while gpus and not self._stopping.is_set():
                self._found = self._samples(gpus)
                self.cpu_s = time.thread_time()
                self._stopping.wait(_INTERVAL_S)
            nvml.nvmlShutdown()
        except nvml.NVMLError as error:
            self._trouble.append(f"not sampled: NVML says: {error}")

    def _gpus(self, nvml: Any) -> list[_Gpu]:
        """Those that can be asked."""
        count = nvml.nvmlDeviceGetCount()
        if not count:
            self._trouble.append("NVML finds none")
        gpus = []
        for index in range(count):
            try:
                gpus.append(_Gpu(nvml, index))
            except nvml.NVMLError as error:
                self._trouble.append(f"GPU {index} is not sampled: {error}")
        return gpus

    def _samples(self, gpus: list[_Gpu]) -> list[GpuSample]:
        """Takes the GPUs that are gone out of the list."""
        found = []
        for gpu in tuple(gpus):
            try:
                found.append(gpu.sample(self._names))
            except _Lost as reason:
                gpus.remove(gpu)
                self._trouble.append(f"{gpu.title} is gone: {reason}")
        return found


class _NoNvml(Exception):
    """Why NVML can't be asked."""


class _Lost(Exception):
    """Why a GPU can't be read any more."""


class _Gpu:
    """One GPU as NVML shows it. What it does not say is None; one that is gone raises _Lost when it is sampled."""

    def __init__(self, nvml: Any, index: int) -> None:
        self._nvml = nvml
        self._index = index
        self._handle = nvml.nvmlDeviceGetHandleByIndex(index)
        self._name = str(nvml.nvmlDeviceGetName(self._handle))

    @property
    def title(self) -> str:
        return f"GPU {self._index} ({self._name})"

    def sample(self, names: Mapping[int, str]) -> GpuSample:
        nvml = self._nvml
        rates = self._asked(nvml.nvmlDeviceGetUtilizationRates)
        memory = self._asked(nvml.nvmlDeviceGetMemoryInfo)
        milliwatts = self._asked(nvml.nvmlDeviceGetPowerUsage)
        held = self._asked(nvml.nvmlDeviceGetComputeRunningProcesses) or []
        return GpuSample(
            index=self._index,
            name=self._name,
            kernel_ran_pct=None if rates is None else float(rates.gpu),
            memory_used_bytes=None if memory is None else int(memory.used),
            memory_total_bytes=None if memory is None else int(memory.total),
            power_w=None if milliwatts is None else milliwatts / 1000,
            process_memory_bytes={names[one.pid]: one.usedGpuMemory for one in held if one.pid in names},
        )

    def _asked(self, question: Callable[[Any], Any]) -> Any:
        nvml = self._nvml
        try:
            return question(self._handle)
        except nvml.NVMLError as error:
            if error.value in (nvml.NVML_ERROR_GPU_IS_LOST, nvml.NVML_ERROR_RESET_REQUIRED):
                raise _Lost(str(error)) from error
            return None


def _load() -> Any:
    """The module that speaks to NVML, ready to be asked."""
    try:
        import pynvml  # noqa: PLC0415 - an extra

        pynvml.nvmlInit()
    except ImportError:
        why = "nvidia-ml-py is not installed: pip install 'mmload[gpu]'"
    except pynvml.NVMLError as error:
        why = f"NVML says: {error}"
    else:
        return pynvml
    raise _NoNvml(why if _DRIVER.exists() else "this host has no NVIDIA driver")
