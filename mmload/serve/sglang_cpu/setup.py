"""Makes what is missing of the engine sglang-cpu, from the package index that pip is configured for and no other place.

One part after the other, each complete or made anew: after Ctrl-C, a kill or a full disk the next setup goes on where
this one stopped. One setup at a time has the folder; another waits, and finds the work done.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import NamedTuple, Protocol

from mmload.errors import UsageError
from mmload.serve.engines import SHIM, with_environment
from mmload.serve.sglang_cpu.place import MAKE_MODEL, PART_NAME, CpuEngine, Part
from mmload.serve.sglang_cpu.step import Check, Say, disk_error, run_step

_TEMPORARY = "tmp"
_LOOK_S, _REMOVALS = 0.2, 25
# Measured with the CPU build of torch: what stays, and what pip downloads and unpacks on the way.
_NEEDED_BYTES = {"environment": 2_300_000_000, "sglang": 800_000_000, "model": 10_000_000}
# Compiles what every server will import, and nothing else; a fault of the environment is found here, not later.
_FIRST_IMPORT = """
import sglang.launch_server, sglang.srt.entrypoints.http_server, sglang.srt.managers.scheduler
from sglang.srt.models import registry
registry.ModelRegistry.models["Qwen2_5_VLForConditionalGeneration"]
"""


class Progress(Protocol):
    """Is told what goes on."""

    def step(self, name: str) -> AbstractContextManager[Say]:
        """A step, for as long as the block runs; what is said in it is foreign text."""


def set_up(engine: CpuEngine, progress: Progress, check: Check) -> None:
    """Make the parts that are not complete. check: called several times a second; what it raises stops the setup.

    Raises UsageError without a Python that the pins are for, FolderError where the folder can't be written or is full,
    ServerError when a step fails, with its last lines.
    """
    try:
        engine.folder.mkdir(parents=True, exist_ok=True)
        with _alone(engine.folder, progress, check):
            _sweep(engine.folder)
            for part, make in zip(engine.parts, (_make_environment, _make_sglang, _make_model), strict=True):
                if not (part.is_complete and engine.python.exists()):
                    _refuse_little_room(part)
                    with _scratch(engine, part) as temporary, progress.step(part.name) as say:
                        make(_Maker(engine, temporary, say, check))
                        part.complete.write_text("\n".join(part.made_from) + "\n", encoding="utf-8")
    except OSError as error:
        raise disk_error(f"{engine.folder}: {error.strerror or error}") from error


def find_python(versions: tuple[str, ...]) -> str:
    """The running Python if it is one of `versions`, else the first of them on PATH. Raises UsageError."""
    own = f"{sys.version_info.major}.{sys.version_info.minor}"
    if own in versions:
        return sys.executable
    for version in versions:
        found = shutil.which(f"python{version}")
        if found and subprocess.run([found, "-c", ""], capture_output=True, check=False).returncode == 0:
            return found
    raise UsageError(
        f"the engine sglang-cpu needs Python {' or '.join(versions)}; this is {own}, and PATH has none of them",
        f"install Python {versions[0]}, so that python{versions[0]} starts it",
    )


class _Maker(NamedTuple):
    """What the commands of a step have in common. temporary: for what they download; gone with the step."""

    engine: CpuEngine
    temporary: Path
    say: Say
    check: Check

    def run(self, command: list[str]) -> None:
        environment = {**os.environ, "TMPDIR": str(self.temporary)}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        run_step(command, environment, self.say, self.check)

    def pip_install(self, *words: str) -> None:
        """Nothing is built, and nothing compiled: nine tenths of it are never imported."""
        pip = [str(self.engine.python), "-I", "-m", "pip", "install", "--disable-pip-version-check"]
        self.run([*pip, "--progress-bar", "off", "--no-compile", "--only-binary", ":all:", *words])

    def run_hooked(self, *words: str) -> None:
        """The engine's Python, as it runs in every process of the server."""
        prefix = with_environment([SHIM], self.engine.environment(tp=1), self.engine.python_path)
        self.run([*prefix, str(self.engine.python), *words])


def _make_environment(maker: _Maker) -> None:
    config, folder = maker.engine.config, maker.engine.parts.environment.folder
    maker.run([find_python(config.pythons), "-I", "-m", "venv", str(folder)])
    maker.pip_install("--no-deps", *config.packages)
    maker.pip_install(config.torch)


def _make_sglang(maker: _Maker) -> None:
    maker.pip_install("--no-deps", "--target", str(maker.engine.package), *maker.engine.parts.sglang.made_from)
    maker.say("importing it for the first time")
    maker.run_hooked("-c", _FIRST_IMPORT)


def _make_model(maker: _Maker) -> None:
    maker.run_hooked(str(MAKE_MODEL), str(maker.engine.model))


@contextmanager
def _alone(folder: Path, progress: Progress, check: Check) -> Iterator[None]:
    """The kernel drops the lock with the process, however that ends."""
    with (folder / "lock").open("w") as lock:
        if not _locked(lock.fileno()):
            with progress.step("waiting for another setup"):
                while not _locked(lock.fileno()):
                    check()
                    time.sleep(_LOOK_S)
        yield


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _sweep(folder: Path) -> None:
    """Remove what a setup that was killed left half-made."""
    for child in folder.iterdir():
        if child.name == _TEMPORARY or (PART_NAME.fullmatch(child.name) and not (child / "complete").exists()):
            _remove(child)


def _remove(folder: Path) -> None:
    """Again where it fills up meanwhile: what venv started may go on for seconds after a killed setup."""
    for _ in range(_REMOVALS):
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(_LOOK_S)
    shutil.rmtree(folder)


@contextmanager
def _scratch(engine: CpuEngine, part: Part) -> Iterator[Path]:
    """A folder for temporary files on the same disk. Nothing half-made stays, on a full disk least of all."""
    temporary = engine.folder / _TEMPORARY
    shutil.rmtree(part.folder, ignore_errors=True)
    temporary.mkdir()
    try:
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        if not part.is_complete:
            shutil.rmtree(part.folder, ignore_errors=True)


def _refuse_little_room(part: Part) -> None:
    needed, free = _NEEDED_BYTES[part.name.partition("-")[0]], shutil.disk_usage(part.folder.parent).free
    if free < needed:
        raise disk_error(
            f"{part.name} takes {needed / 1e9:.1f} GB, and {part.folder.parent} has {free / 1e9:.1f} GB left"
        )
