"""The command line that starts each engine. An engine is a kind of server:

    standin       the embedded one: SGLang's processes and protocol, a modelled device
    sglang        SGLang as it is installed, in this environment or that of $MMLOAD_SGLANG_PYTHON
    sglang-cpu    real SGLang with a tiny random model, for machines without a GPU: mmload engine setup sglang-cpu;
                  sglang-cpu:0.5.5 is another version of it

A variant but stock is hosted in SGLang by the overlay: its hook is put on PYTHONPATH, its name into the environment.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path

from mmload.errors import UsageError
from mmload.handoff.registry import strategy_class
from mmload.plan.config_hints import nearest
from mmload.serve import overlay
from mmload.serve.sglang_cpu.place import CpuEngine

ENGINES = ("standin", "sglang", "sglang-cpu")
POLL_ON_IDLE = "--poll-on-idle"  # the stand-in's option, and that of sglang-cpu; SGLang itself polls by default
# SGLang's options that mmload sets, and mmload's own for the same.
_OWN = {
    "--tp": "--tp",
    "--tp-size": "--tp",
    "--tensor-parallel-size": "--tp",
    "--port": "--port",
    "--model": "--model",
    "--model-path": "--model",
}
_HOOK = Path(overlay.__file__).parent / "hook"
_OVERLAY, SHIM = "mmload.serve.overlay.install", "mmload.serve.sglang_cpu.shim"


def start_command(
    engine: str, *, port: int, tp: int, variant: str, model: str | None = None, args: tuple[str, ...] = ()
) -> list[str]:
    """What to execute for a server of `engine` on 127.0.0.1:`port`. Raises UsageError on an unknown engine or variant,
    on `args` that are mmload's to set, and where the engine is not there."""
    kind, version = split_name(engine)
    if kind == "standin":
        command = [sys.executable, "-m", "mmload.standin", "--port", str(port), "--tp", str(tp), "--variant", variant]
        return [*command, *(("--model", model) if model else ()), *args]
    _refuse_own(args)
    hooks, environment = _hosting(variant)
    if kind == "sglang":
        if model is None:
            raise UsageError("the engine sglang needs a model", "--model PATH or name")
        python = sglang_python()
        flags: tuple[str, ...] = ()
        path: list[Path] = []
    else:
        cpu = CpuEngine.ready(version)
        python, flags, path = str(cpu.python), cpu.flags, cpu.python_path
        hooks = [SHIM, *hooks]
        environment |= cpu.environment(tp)
        args = _idle(args)
        model = model or str(cpu.model)
    listen = ("--model-path", model, "--host", "127.0.0.1", "--port", str(port), "--tp", str(tp), "--enable-metrics")
    prefix = with_environment(hooks, environment, path)
    return [*prefix, python, "-m", "sglang.launch_server", *listen, *flags, *args]


def split_name(engine: str) -> tuple[str, str | None]:
    """`sglang-cpu:0.5.5` -> its kind and SGLang's version, None where it names none. Raises UsageError."""
    kind, colon, version = engine.partition(":")
    if kind not in ENGINES:
        raise UsageError(f"unknown engine {engine!r}", nearest(kind, list(ENGINES)))
    if colon and kind != "sglang-cpu":
        raise UsageError(f"the engine {kind} has no versions to choose from", f"--engine {kind}")
    return kind, version or None


def _refuse_own(args: tuple[str, ...]) -> None:
    """What mmload must know of a server is told to mmload, or its record would say otherwise."""
    for arg in args:
        option = _OWN.get(arg.partition("=")[0])
        if option is not None:
            raise UsageError(f"{arg} among the engine's arguments", f"say it to mmload: {option}")


def _idle(args: tuple[str, ...]) -> tuple[str, ...]:
    """Ranks that poll would take the load generator's cores: they sleep, as the stand-in's do, unless asked to poll."""
    if POLL_ON_IDLE in args:
        return tuple(arg for arg in args if arg != POLL_ON_IDLE)
    return ("--sleep-on-idle", *args)


def sglang_python() -> str:
    """The interpreter whose environment has SGLang. Raises UsageError."""
    chosen = os.environ.get("MMLOAD_SGLANG_PYTHON")
    if chosen:
        executable = shutil.which(chosen)
        if executable is None:
            raise UsageError(f"$MMLOAD_SGLANG_PYTHON is {chosen}, and that can't be executed")
        return executable
    found = importlib.util.find_spec("sglang")
    if found is not None and found.origin is not None:  # a mere folder of that name has none
        return sys.executable
    raise UsageError(
        "SGLang is not installed beside mmload",
        "export MMLOAD_SGLANG_PYTHON=/path/to/the/python/that/has/it, or try --engine sglang-cpu",
    )


def _hosting(variant: str) -> tuple[list[str], dict[str, str]]:
    """Hooks and environment that host a variant; none for the server as it is."""
    if variant == "stock":
        return [], {}
    return [_OVERLAY], {overlay.VARIANT_VARIABLE: strategy_class(variant).name if ":" not in variant else variant}


def with_environment(hooks: list[str], environment: Mapping[str, str], path: list[Path]) -> list[str]:
    """`env NAME=VALUE ..`, in front of a command."""
    settings = dict(environment)
    if hooks:
        settings["MMLOAD_HOOKS"] = ",".join(hooks)
        path = [_HOOK, *path]
    if path:
        inherited = os.environ.get("PYTHONPATH")
        settings["PYTHONPATH"] = os.pathsep.join([*map(str, path), *([inherited] if inherited else [])])
    return ["env", *(f"{name}={value}" for name, value in settings.items())] if settings else []
