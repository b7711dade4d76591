"""What the functions that the overlay patches must look like.

A shape is a function's parameters and pieces of its code, each with the number of times that it must stand there. The
pieces are what the overlay relies on: that the inputs are made in one place, for example, and that nobody else reads
them on the way. A version in which one differs is refused, with the function and the piece.
"""

from __future__ import annotations

import ast
import inspect
import sys
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from types import ModuleType
from typing import Any, NamedTuple, NoReturn

from mmload.errors import ServerError


class Shape(NamedTuple):
    """where: a class, a function, or `Class.function`, of the module; of several, `a or b`, the first that is there.
    parameters: all of them, in order; None: any. holds: piece of code -> how often, both as `ast.unparse` writes
    them."""

    where: str
    parameters: Sequence[str] | None
    holds: Mapping[str, int]


def differences(module: ModuleType, shapes: Iterable[Shape]) -> list[str]:
    """A sentence for each thing that is not as expected."""
    return [sentence for shape in shapes for sentence in _differences(module, shape)]


def refuse_others(module: ModuleType, shapes: Iterable[Shape]) -> None:
    """End the process, naming what differs, unless all are as expected."""
    found = differences(module, shapes)
    if found:
        refuse(f"can't host a variant in SGLang {version()}: " + "; ".join(found))


def refuse(why: str) -> NoReturn:
    """End the process with the exit code of a server that could not be started."""
    refusal = SystemExit(f"mmload's overlay: {why}")
    print(refusal, file=sys.stderr, flush=True)
    refusal.code = ServerError.exit_code
    raise refusal


def version() -> str:
    """SGLang's, as far as it says."""
    return str(getattr(sys.modules.get("sglang.version"), "__version__", "of an unknown version"))


def find(module: ModuleType, where: str) -> tuple[Any, str] | None:
    """What holds the first of `where` (as a Shape's) that is there, and its name in that."""
    for path in where.split(" or "):
        *parts, name = path.split(".")
        owner: Any = module
        for part in parts:
            owner = getattr(owner, part, None)
        if hasattr(owner, name):
            return owner, name
    return None


def _differences(module: ModuleType, shape: Shape) -> list[str]:
    name = f"{module.__name__}.{shape.where}"
    place = find(module, shape.where)
    if place is None:
        return [f"{name} is not there"]
    function, found = getattr(*place), []
    parameters = tuple(inspect.signature(function).parameters)
    if shape.parameters is not None and parameters != tuple(shape.parameters):
        found.append(f"{name} takes ({', '.join(parameters)}) and not ({', '.join(shape.parameters)})")
    code = ast.unparse(ast.parse(textwrap.dedent(inspect.getsource(function))))
    for piece, times in shape.holds.items():
        seen = code.count(piece)
        if seen != times:
            found.append(f"{name} has `{piece}` {seen} times and not {times}")
    return found
