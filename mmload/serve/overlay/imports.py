"""Import hooks: a patch runs as soon as its module is imported, and never where it isn't."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType
from typing import Any

Patch = Callable[[ModuleType], None]


class _Loader(importlib.abc.Loader):
    """Another loader, and then the patch. All else that is asked of it is the other's, `get_source` for instance."""

    def __init__(self, inner: Any, patch: Patch) -> None:
        self._inner = inner
        self._patch = patch

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        module: ModuleType | None = self._inner.create_module(spec)
        return module

    def exec_module(self, module: ModuleType) -> None:
        self._inner.exec_module(module)
        self._patch(module)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class PatchFinder(importlib.abc.MetaPathFinder):
    """Finds the patched modules as the finders behind it do; other such finders may stand there too."""

    def __init__(self, patches: Mapping[str, Patch]) -> None:
        self._patches = patches
        self._looking: set[str] = set()

    def find_spec(
        self,
        name: str,
        path: Sequence[str] | None = None,  # noqa: ARG002 - the interface's
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> importlib.machinery.ModuleSpec | None:
        if name in self._looking or name not in self._patches:
            return None
        self._looking.add(name)
        try:
            spec = importlib.util.find_spec(name)
        finally:
            self._looking.discard(name)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader, self._patches[name])
        return spec


def patch_on_import(patches: Mapping[str, Patch]) -> None:
    """patches: a module's name -> what is called with it, once, as soon as it is imported."""
    sys.meta_path.insert(0, PatchFinder(patches))
