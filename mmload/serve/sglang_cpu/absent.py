"""Packages that need a GPU. SGLang takes names from them when it is imported, and calls none of them on a CPU.

    sgl_kernel, triton    any name of any submodule; what is called raises. Triton's decorators take what they decorate
    vllm                  the layers for a CPU without AMX are SGLang's own, which are plain torch; nothing else of it

Triton alone would be a third of the environment.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import sys
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any, NoReturn

_WHOLE = ("sgl_kernel", "triton")
_SGLANG_LAYERS = {
    "vllm.model_executor.layers.activation": "sglang.srt.layers.activation",
    "vllm.model_executor.layers.layernorm": "sglang.srt.layers.layernorm",
}
# SGLang does without the other modules of vllm when they can't be imported.
_VLLM = ("vllm", "vllm._custom_ops", "vllm.model_executor", "vllm.model_executor.layers", *_SGLANG_LAYERS)


class Missing:
    """Stands for a function, a class or anything else that is not there."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, part: str) -> Missing:
        if part.startswith("__"):
            raise AttributeError(part)
        return Missing(f"{self._name}.{part}")

    def __call__(self, *_args: Any, **_more: Any) -> NoReturn:
        raise NotImplementedError(f"{self._name} needs a GPU")

    def __getitem__(self, _grid: Any) -> NoReturn:
        self()

    def __mro_entries__(self, _bases: tuple[Any, ...]) -> tuple[()]:
        """A class may be derived from it."""
        return ()


def _jit(function: Callable[..., Any] | None = None, **_options: Any) -> Any:
    return Missing(function.__qualname__) if function else _jit


def _decorates_nothing(*_args: Any, **_more: Any) -> Callable[[Any], Any]:
    return lambda decorated: decorated


def _value(value: Any = None, *_args: Any, **_more: Any) -> Any:
    return value


# What is called, or looked at, while SGLang is imported or starts.
_THERE: Mapping[str, Mapping[str, Any]] = {
    "sgl_kernel": {"__version__": "0.3.99"},
    "triton": {
        "__version__": "3.9.0",
        "jit": _jit,
        "autotune": _decorates_nothing,
        "heuristics": _decorates_nothing,
        "Config": _value,
        "cdiv": lambda x, y: -(-x // y),
        "next_power_of_2": lambda n: 1 << (n - 1).bit_length(),
    },
    "triton.language": {"constexpr": _value},
    "triton.knobs": {"runtime": None},  # 0.5.23 would hook itself in
}


class AbsentFinder(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    """Finds the packages that are absent, and makes their modules."""

    def find_spec(
        self,
        name: str,
        path: Sequence[str] | None = None,  # noqa: ARG002 - Python's
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> importlib.machinery.ModuleSpec | None:
        if name.partition(".")[0] in _WHOLE or name in _VLLM:
            return importlib.machinery.ModuleSpec(name, self, is_package=True)
        return None

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> None:
        """An ordinary one."""

    def exec_module(self, module: ModuleType) -> None:
        vars(module).update(_THERE.get(module.__name__, {}), __getattr__=_names_of(module.__name__))


def _names_of(module: str) -> Callable[[str], Any]:
    def find(name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if module in _SGLANG_LAYERS:
            return getattr(sys.modules[_SGLANG_LAYERS[module]], name)
        return Missing(f"{module}.{name}")

    return find
