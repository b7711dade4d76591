"""Where the engine sglang-cpu lies, and what it is started with.

    $MMLOAD_CACHE/sglang-cpu/          (default ~/.cache/mmload/sglang-cpu)
        environment-1a2b3c4d/          Python, torch and the packages that SGLang imports
        sglang-0.5.6-5e6f7a8b/         the unmodified wheel; beside it the packages that this version wants newer
        model-9c0d1e2f/                the tiny random model

Each name ends in a digest of what the part is made from: other pins are another part, so none is ever out of date. A
part is complete when its file `complete` is there.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import sys
from pathlib import Path
from typing import NamedTuple

import msgspec

from mmload.errors import UsageError
from mmload.plan.config import load
from mmload.plan.config_hints import nearest

PART_NAME = re.compile(r"(environment|sglang-.+|model)-[0-9a-f]{8}")
MAKE_MODEL = Path(__file__).with_name("make_model.py")


class SglangVersion(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """packages: pins that it needs beside, or instead of, those of the environment."""

    packages: tuple[str, ...] = ()


class CpuEngineConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """configs/engines/sglang-cpu.toml. version: SGLang's, where none is asked for. pythons: the versions of Python that
    all pins have wheels for, the preferred first. flags: SGLang's options. environment: variables of all its
    processes."""

    about: str
    version: str
    pythons: tuple[str, ...]
    flags: tuple[str, ...]
    torch: str
    packages: tuple[str, ...]
    environment: dict[str, str]
    versions: dict[str, SglangVersion]


class Part(NamedTuple):
    """A folder that is made once. made_from: what its name is a digest of."""

    name: str
    folder: Path
    made_from: tuple[str, ...]

    @property
    def complete(self) -> Path:
        return self.folder / "complete"

    @property
    def is_complete(self) -> bool:
        return self.complete.is_file()


class Parts(NamedTuple):
    environment: Part
    sglang: Part
    model: Part


class CpuEngine(NamedTuple):
    """One version of SGLang, set up or not."""

    folder: Path
    version: str
    config: CpuEngineConfig

    @classmethod
    def of(cls, version: str | None = None) -> CpuEngine:
        """version: SGLang's; None for the default. Raises UsageError where it is not known."""
        config = load("engines", "sglang-cpu", CpuEngineConfig)
        chosen = version or config.version
        if chosen not in config.versions:
            raise UsageError(f"the engine sglang-cpu knows no SGLang {chosen}", nearest(chosen, list(config.versions)))
        return cls(cache_folder() / "sglang-cpu", chosen, config)

    @classmethod
    def ready(cls, version: str | None = None) -> CpuEngine:
        """The same, and set up; raises UsageError where it is not."""
        engine = cls.of(version)
        if not engine.is_ready:
            raise UsageError(f"the engine {engine.name} is not set up in {engine.folder}", engine.setup_command)
        return engine

    @property
    def name(self) -> str:
        """As --engine takes it."""
        return "sglang-cpu" if self.version == self.config.version else f"sglang-cpu:{self.version}"

    @property
    def setup_command(self) -> str:
        return f"mmload engine setup {self.name}"

    @property
    def is_ready(self) -> bool:
        return self.python.exists() and all(part.is_complete for part in self.parts)

    @property
    def parts(self) -> Parts:
        """In the order in which they are made."""
        newer = self.config.versions[self.version].packages
        return Parts(
            environment=self._part("environment", self.config.torch, *self.config.packages),
            sglang=self._part(f"sglang-{self.version}", f"sglang=={self.version}", *newer),
            model=self._part("model", MAKE_MODEL.read_text(encoding="utf-8")),
        )

    @property
    def python(self) -> Path:
        return self.parts.environment.folder / "bin" / "python"

    @property
    def model(self) -> Path:
        return self.parts.model.folder

    @property
    def package(self) -> Path:
        """The unpacked wheel."""
        return self.parts.sglang.folder

    @property
    def flags(self) -> tuple[str, ...]:
        return self.config.flags

    @property
    def python_path(self) -> list[Path]:
        return [self.package]

    def environment(self, tp: int) -> dict[str, str]:
        """One core for each rank, in turn: SGLang binds the threads of a rank to a list of cores."""
        cores = sorted(os.sched_getaffinity(0)) if sys.platform.startswith("linux") else range(os.cpu_count() or 1)
        bind = "|".join(str(cores[rank % len(cores)]) for rank in range(tp))
        return {**self.config.environment, "SGLANG_CPU_OMP_THREADS_BIND": bind}

    def superseded(self) -> list[Path]:
        """Complete parts that no version is made of any more: what older pins left."""
        engines = [self._replace(version=version) for version in self.config.versions]
        used = {part.folder for engine in engines for part in engine.parts}
        there = sorted(self.folder.glob("*/complete"))
        return [file.parent for file in there if PART_NAME.fullmatch(file.parent.name) and file.parent not in used]

    def _part(self, name: str, *made_from: str) -> Part:
        digest = hashlib.sha256("\n".join(made_from).encode()).hexdigest()[:8]
        return Part(name, self.folder / f"{name}-{digest}", made_from)


def cache_folder() -> Path:
    """$MMLOAD_CACHE, else $XDG_CACHE_HOME/mmload, else ~/.cache/mmload; absolute."""
    chosen = os.environ.get("MMLOAD_CACHE")
    folder = Path(chosen) if chosen else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mmload"
    return folder.absolute()


def disk_bytes(folder: Path) -> int:
    """What all files under it take on the disk."""
    found = 0
    for where, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(FileNotFoundError):  # a setup may be at work there
                found += os.lstat(os.path.join(where, name)).st_blocks * 512  # noqa: PTH118 - 30,000 files
    return found
