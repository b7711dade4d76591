"""Edits of one Python file, located by structure and made as text: what is not edited stays as it is, byte for byte.

A statement is named by the function or class that it stands in and by its code: its first line, as `ast.unparse` writes
it, so that line breaks and quotes don't count; `...` at its end stands for any rest. It must stand there exactly once.
What is put in is given flush left, and takes the indentation of what it is put beside.
"""

from __future__ import annotations

import ast
import textwrap

from mmload.errors import UsageError

LINE_LENGTH = 88  # black's, which SGLang is formatted by

_Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef


class Source:
    """One file. name: for messages. Scopes are `function`, `Class.function` or `Class`, and "" for the whole file. What
    looks for something raises UsageError where that is not there exactly once."""

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self.original = text
        self._line_end = "\r" if "\r\n" in text else ""
        self._change(text.split("\n"))

    @property
    def text(self) -> str:
        return "\n".join(self._lines)

    def defines(self, scope: str) -> bool:
        return len(self._definitions(scope)) == 1

    def has(self, scope: str, code: str) -> bool:
        """Whether this statement stands there; False where there is no such scope."""
        return (not scope or self.defines(scope)) and len(self._statements(scope, code)) == 1

    def count(self, scope: str, piece: str) -> int:
        """How often a piece of code stands there."""
        return ast.unparse(self._scope(scope)).count(piece)

    def expect(self, scope: str, piece: str, times: int) -> None:
        """Raises UsageError where a piece of code doesn't stand there so many times."""
        seen = self.count(scope, piece)
        if seen != times:
            raise self._refusal(scope, piece, seen, times)

    def replace(self, scope: str, code: str, new: str) -> None:
        node = self._statement(scope, code)
        self._put(node.lineno - 1, _end(node), new, node.col_offset)

    def insert_before(self, scope: str, code: str, new: str, blank: int = 0) -> None:
        """blank: as many empty lines follow."""
        node = self._statement(scope, code)
        self._put(node.lineno - 1, node.lineno - 1, new, node.col_offset, blank)

    def insert_after(self, scope: str, code: str, new: str) -> None:
        node = self._statement(scope, code)
        self._put(_end(node), _end(node), new, node.col_offset)

    def insert_definition(self, before: str, new: str) -> None:
        """A function or a class in front of another one."""
        node = self._definition(before)
        self._put(_start(node), _start(node), new, node.col_offset, 1 if node.col_offset else 2)

    def remove(self, scope: str, code: str) -> None:
        """A statement, and the comment right above it."""
        node = self._statement(scope, code)
        start = node.lineno - 1
        while self._lines[start - 1].strip().startswith("#"):
            start -= 1
        self._cut(start, _end(node))

    def remove_definition(self, scope: str) -> None:
        node = self._definition(scope)
        self._cut(_start(node), _end(node))

    def import_names(self, module: str, *names: str) -> None:
        """`from module import names`: joined to that import where there is one, else behind the imports of the same
        package that come before it by name."""
        imports = [node for node in self._module.body if isinstance(node, ast.ImportFrom) and node.module]
        for node in imports:
            if node.module == module:
                there = [f"{a.name} as {a.asname}" if a.asname else a.name for a in node.names]
                self._put(node.lineno - 1, _end(node), _import_of(module, {*there, *names}))
                return
        package = module.partition(".")[0]
        before = [node for node in imports if package == (node.module or "").partition(".")[0]]
        before = [node for node in before if (node.module or "") < module]
        if not before:
            raise self._refusal("", f"from {package}", 0)
        self._put(_end(before[-1]), _end(before[-1]), _import_of(module, set(names)))

    def _definitions(self, scope: str) -> list[_Definition]:
        found: list[ast.AST] = [self._module]
        for name in scope.split("."):
            children = (child for node in found for child in ast.iter_child_nodes(node))
            found = [child for child in children if isinstance(child, _Definition) and child.name == name]
        return [node for node in found if isinstance(node, _Definition)]

    def _definition(self, scope: str) -> _Definition:
        found = self._definitions(scope)
        if len(found) != 1:
            raise self._refusal("", scope, len(found))
        return found[0]

    def _scope(self, scope: str) -> ast.AST:
        return self._definition(scope) if scope else self._module

    def _statements(self, scope: str, code: str) -> list[ast.stmt]:
        inside = [node for node in ast.walk(self._scope(scope)) if isinstance(node, ast.stmt)]
        if code.endswith("..."):
            return [node for node in inside if _first_line(node).startswith(code.removesuffix("..."))]
        return [node for node in inside if _first_line(node) == code]

    def _statement(self, scope: str, code: str) -> ast.stmt:
        found = self._statements(scope, code)
        if len(found) != 1:
            raise self._refusal(scope, code, len(found))
        return found[0]

    def _put(self, start: int, end: int, new: str, indent: int = 0, blank: int = 0) -> None:
        """New lines, and `blank` empty ones, in place of those from `start` to `end`, counted from 0."""
        text = textwrap.indent(textwrap.dedent(new).strip("\n"), " " * indent)
        lines = [line + self._line_end for line in [*text.split("\n"), *[""] * blank]]
        self._change([*self._lines[:start], *lines, *self._lines[end:]])

    def _cut(self, start: int, end: int) -> None:
        """Without these lines, and without the second of two blank ones that then meet."""
        if not self._lines[start - 1].strip() and not self._lines[end].strip():
            end += 1
        self._change([*self._lines[:start], *self._lines[end:]])

    def _change(self, lines: list[str]) -> None:
        self._lines = lines
        try:
            self._module = ast.parse(self.text)
        except (SyntaxError, ValueError) as error:
            raise UsageError(f"{self.name} can't be read as Python: {error}") from error

    def _refusal(self, scope: str, code: str, seen: int, times: int = 1) -> UsageError:
        where = f"{self.name}, {scope}" if scope else self.name
        return UsageError(f"{where}: `{code}` stands there {seen} times and not {times}")


def _first_line(node: ast.stmt) -> str:
    return ast.unparse(node).partition("\n")[0]


def _start(node: _Definition) -> int:
    return min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)]) - 1


def _end(node: ast.stmt) -> int:
    assert node.end_lineno is not None
    return node.end_lineno


def _import_of(module: str, names: set[str]) -> str:
    line = f"from {module} import {', '.join(sorted(names))}"
    if len(line) <= LINE_LENGTH:
        return line
    return "\n".join([f"from {module} import (", *(f"    {name}," for name in sorted(names)), ")"])
