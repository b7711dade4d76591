"""Import hooks: a patch runs just before or after its module is imported, and never where it isn't."""

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
    """Another loader between the patches. Everything else asked of it is the other's, `get_source` for instance."""

    def __init__(self, inner: Any, before: Callable[[], None] | None, after: Patch | None) -> None:
        self._inner = inner
        self._before = before
        self._after = after

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        module: ModuleType | None = self._inner.create_module(spec)
        return module

    def exec_module(self, module: ModuleType) -> None:
        if self._before is not None:
            self._before()
        self._inner.exec_module(module)
        if self._after is not None:
            self._after(module)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class PatchFinder(importlib.abc.MetaPathFinder):
    """Finds the patched modules as the finders behind it do; other such finders may stand there too."""

    def __init__(self, before: Mapping[str, Callable[[], None]], after: Mapping[str, Patch]) -> None:
        self._before = before
        self._after = after
        self._looking: set[str] = set()

    def find_spec(
        self,
        name: str,
        path: Sequence[str] | None = None,  # noqa: ARG002 - the interface's
        target: ModuleType | None = None,  # noqa: ARG002
    ) -> importlib.machinery.ModuleSpec | None:
        if name in self._looking or not (name in self._before or name in self._after):
            return None
        self._looking.add(name)
        try:
            spec = importlib.util.find_spec(name)
        finally:
            self._looking.discard(name)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader, self._before.get(name), self._after.get(name))
        return spec


def patch_on_import(after: Mapping[str, Patch], before: Mapping[str, Callable[[], None]] | None = None) -> None:
    """after: a module's name -> what is called with it, once, as soon as it is imported. before: -> what is called
    just before that."""
    sys.meta_path.insert(0, PatchFinder(before or {}, after))
