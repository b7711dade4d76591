"""Makes the engine sglang-cpu: an environment, the unmodified wheel of SGLang, and a tiny random model.

Everything comes from the package index that pip is configured for; no model hub is asked. About 3.5 GB. What is finished
is kept: a setup that was interrupted goes on where it stopped.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

from mmload.errors import ServerError
from mmload.serve import overlay
from mmload.serve.sglang_cpu.place import CpuEngine

# A CPU build where the index has one; torchvision without its needs, which are CUDA's.
_TORCH, _TORCHVISION = "torch==2.13.0", "torchvision==0.29.2"
Say = Callable[[str], None]


def set_up(engine: CpuEngine, say: Say) -> None:
    """Raises ServerError when a step fails, with what the step said."""
    engine.folder.mkdir(parents=True, exist_ok=True)
    _make_venv(engine, say)
    _unpack_sglang(engine, say)
    _make_model(engine, say)


def _make_venv(engine: CpuEngine, say: Say) -> None:
    done = engine.venv / ".done"
    if done.is_file():
        return
    say(f"environment: {engine.venv}")
    _step([sys.executable, "-m", "venv", "--clear", str(engine.venv)])
    pip = [str(engine.python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    _step([*pip, _TORCH])
    _step([*pip, "--no-deps", _TORCHVISION, "-r", str(engine.files / "requirements.txt")])
    done.touch()


def _unpack_sglang(engine: CpuEngine, say: Say) -> None:
    """The wheel as it is, in a folder of its own: several versions share one environment."""
    if engine.package.is_dir():
        return
    say(f"SGLang {engine.version}: {engine.package}")
    wheels = engine.folder / "wheels"
    download = ["download", "--quiet", "--disable-pip-version-check", "--no-deps", "--dest", str(wheels)]
    _step([str(engine.python), "-m", "pip", *download, f"sglang=={engine.version}"])
    (wheel,) = wheels.glob(f"sglang-{engine.version}-*.whl")
    part = engine.package.with_name(f"{engine.version}.part")
    shutil.rmtree(part, ignore_errors=True)
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(part)
    part.rename(engine.package)


def _make_model(engine: CpuEngine, say: Say) -> None:
    if (engine.model / "config.json").is_file():
        return
    say(f"model: {engine.model}")
    part = engine.folder / "model.part"
    shutil.rmtree(part, ignore_errors=True)
    hook = Path(overlay.__file__).parent / "hook"
    environment = os.environ | {"PYTHONPATH": str(hook), "MMLOAD_HOOKS": "mmload.serve.sglang_cpu.shim"}
    _step([str(engine.python), str(engine.files / "make_model.py"), str(part)], environment)
    part.rename(engine.model)


def _step(command: list[str], environment: dict[str, str] | None = None) -> None:
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    if done.returncode != 0:
        last = "\n".join(done.stdout.strip().splitlines()[-10:])
        raise ServerError(f"{' '.join(command[:4])} .. ended with exit code {done.returncode}: {last}")
