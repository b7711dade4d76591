"""Where the engine sglang-cpu lies, and what it is started with.

    $MMLOAD_CACHE/sglang-cpu/       (default ~/.cache/mmload)
        venv/                       SGLang's dependencies: configs/engines/sglang-cpu/requirements.txt
        pkg/<version>/              the unmodified wheel of SGLang, unpacked
        model/                      the tiny random model
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import msgspec

from mmload.errors import UsageError
from mmload.plan.config import find, load


class CpuEngineConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """configs/engines/sglang-cpu.toml. version: SGLang's, where $MMLOAD_SGLANG_VERSION names no other. flags: SGLang's
    options. environment: variables of all its processes."""

    about: str
    version: str
    versions: tuple[str, ...]
    flags: tuple[str, ...]
    environment: dict[str, str]


class CpuEngine(NamedTuple):
    """One version of SGLang in one folder."""

    folder: Path
    version: str
    config: CpuEngineConfig
    files: Path

    @classmethod
    def of(cls, version: str | None = None) -> CpuEngine:
        """Whether it is there or not. Raises UsageError on a version that is not known."""
        config = load("engines", "sglang-cpu", CpuEngineConfig)
        chosen = version or os.environ.get("MMLOAD_SGLANG_VERSION") or config.version
        if chosen not in config.versions:
            raise UsageError(f"SGLang {chosen} is not set up for the CPU", f"there are: {', '.join(config.versions)}")
        return cls(cache_folder() / "sglang-cpu", chosen, config, find("engines", "sglang-cpu").with_suffix(""))

    @classmethod
    def ready(cls) -> CpuEngine:
        """The one that is set up. Raises UsageError where none is."""
        engine = cls.of()
        if not engine.is_ready:
            raise UsageError(
                f"the engine sglang-cpu (SGLang {engine.version}) is not set up in {engine.folder}",
                f"mmload engine setup sglang-cpu --sglang {engine.version}",
            )
        return engine

    @property
    def is_ready(self) -> bool:
        return (self.venv / ".done").is_file() and self.package.is_dir() and (self.model / "config.json").is_file()

    @property
    def venv(self) -> Path:
        return self.folder / "venv"

    @property
    def python(self) -> Path:
        return self.venv / "bin" / "python"

    @property
    def package(self) -> Path:
        return self.folder / "pkg" / self.version

    @property
    def model(self) -> Path:
        return self.folder / "model"

    @property
    def flags(self) -> tuple[str, ...]:
        return self.config.flags

    @property
    def python_path(self) -> list[Path]:
        return [self.files / "stubs", self.package]

    def environment(self, tp: int) -> dict[str, str]:
        """One core for each rank, in turn: SGLang binds the threads of a rank to a list of cores."""
        cores = os.cpu_count() or 1
        bind = "|".join(str(rank % cores) for rank in range(tp))
        return {**self.config.environment, "SGLANG_CPU_OMP_THREADS_BIND": bind}


def cache_folder() -> Path:
    """$MMLOAD_CACHE, else $XDG_CACHE_HOME/mmload, else ~/.cache/mmload."""
    if os.environ.get("MMLOAD_CACHE"):
        return Path(os.environ["MMLOAD_CACHE"])
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mmload"
