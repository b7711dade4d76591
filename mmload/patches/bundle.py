"""One module out of several of ours: some definitions and whatever they need, for a place where mmload is not.

Definitions are taken as they stand, with the comments above them. A name means the same in all modules of a bundle, so
nothing has to be renamed.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import mmload

_PACKAGE = Path(mmload.__file__).parent
_Import = tuple[str, str | None]
_NOQA = re.compile(r"  # noqa: [A-Z]+[0-9]+(?:, [A-Z]+[0-9]+)*(?: - (.*))?$", re.MULTILINE)
_Scope = ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


class Name(NamedTuple):
    """Something that a module of ours defines at its top."""

    module: str
    name: str


def bundle(docstring: str, roots: Iterable[Name], instead: Mapping[str, str]) -> str:
    """The text of a module that has the roots. instead: a module of ours -> the one that stands in for it in a bundle,
    with the same names."""
    bundler = _Bundler(instead)
    for root in roots:
        bundler.take(root)
    lines = ["from __future__ import annotations", "", *_import_lines(bundler.imports)]
    return f'"""{docstring}"""\n\n' + "\n".join(lines) + "\n" + "".join(bundler.texts())


class _Module:
    """One of our modules. ours, others: the names that it imports, from us and from elsewhere; of the latter the
    module, and the name in it unless it is the module itself."""

    def __init__(self, name: str) -> None:
        text = _PACKAGE.joinpath(*name.split(".")[1:]).with_suffix(".py").read_text(encoding="utf-8")
        self._lines = text.splitlines()
        self.body = ast.parse(text).body
        self.ours: dict[str, Name] = {}
        self.others: dict[str, _Import] = {}
        for node in self.body:
            if isinstance(node, ast.Import):
                self.others |= {alias.name: (alias.name, None) for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module and node.module.startswith("mmload."):
                self.ours |= {alias.name: Name(node.module, alias.name) for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                self.others |= {alias.name: (str(node.module), alias.name) for alias in node.names}

    def statement(self, name: str) -> ast.stmt | None:
        return next((node for node in self.body if _defined_by(node) == name), None)

    def text(self, node: ast.stmt) -> str:
        """A statement with the comment right above it, and the blank lines that part it from what is before. What our
        linter was told is left out, but not why."""
        assert node.end_lineno is not None
        start = min([node.lineno, *(decorator.lineno for decorator in getattr(node, "decorator_list", ()))]) - 1
        while self._lines[start - 1].startswith("#"):
            start -= 1
        blank = 2 if isinstance(node, _Scope) else 0 if self._lines[start - 1].strip() else 1
        text = "\n".join([*[""] * blank, *self._lines[start : node.end_lineno], ""])
        return _NOQA.sub(lambda found: f"  # {found[1]}" if found[1] else "", text)


class _Bundler:
    """What has been taken so far. imports: what it needs from elsewhere."""

    def __init__(self, instead: Mapping[str, str]) -> None:
        self._instead = instead
        self._modules: dict[str, _Module] = {}
        self._taken: set[Name] = set()
        self.imports: set[_Import] = set()

    def take(self, wanted: Name) -> None:
        """A definition, and all that it names."""
        wanted = Name(self._instead.get(wanted.module, wanted.module), wanted.name)
        if wanted in self._taken:
            return
        if wanted.name in {name for _, name in self._taken}:
            raise ValueError(f"{wanted.name} means two things in one bundle")
        self._taken.add(wanted)
        module = self._modules.setdefault(wanted.module, _Module(wanted.module))
        node = module.statement(wanted.name)
        if node is None:
            raise ValueError(f"{wanted.module} has no {wanted.name}")
        self._take_all(module, wanted.module, [node, *_done_at_import(module)])

    def _take_all(self, module: _Module, here: str, nodes: Iterable[ast.stmt]) -> None:
        for name in dict.fromkeys(each.id for node in nodes for each in ast.walk(node) if isinstance(each, ast.Name)):
            if name in module.ours:
                self.take(module.ours[name])
            elif name in module.others:
                self.imports.add(module.others[name])
            elif module.statement(name) is not None:
                self.take(Name(here, name))

    def texts(self) -> Iterator[str]:
        """The definitions, those of a module after those of the modules that it imports, and as they follow there."""
        for name in self._in_order():
            module, after_scope = self._modules[name], True
            for node in module.body:
                if Name(name, _defined_by(node) or "") not in self._taken and node not in _done_at_import(module):
                    continue
                text = module.text(node)
                yield "\n\n" + text.lstrip("\n") if after_scope else text
                after_scope = isinstance(node, _Scope)

    def _in_order(self) -> list[str]:
        ordered: dict[str, None] = {}

        def place(name: str) -> None:
            for there in self._modules[name].ours.values():
                needed = self._instead.get(there.module, there.module)
                if needed in self._modules and needed not in ordered:
                    place(needed)
            ordered[name] = None

        for name in self._modules:
            place(name)
        return list(ordered)


def _defined_by(node: ast.stmt) -> str | None:
    match node:
        case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            return str(name)
        case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
            return str(name)
    return None


def _done_at_import(module: _Module) -> list[ast.stmt]:
    return [node for node in module.body if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call)]


def _import_lines(imports: Iterable[_Import]) -> Iterator[str]:
    names: dict[str, list[str]] = {}
    for module, name in sorted(imports, key=lambda each: (each[1] is not None, each)):
        if name is None:
            yield f"import {module}"
        else:
            names.setdefault(module, []).append(name)
    yield from (f"from {module} import {', '.join(names[module])}" for module in names)
