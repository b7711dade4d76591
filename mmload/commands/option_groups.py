"""Options that several commands have in common, as one parameter of each: a struct whose fields are the options.

    class Size(Group, frozen=True):
        width: Annotated[int, typer.Option(help="In cells.")] = 80

    @grouped
    def draw(size: Size) -> None: ...

is then called by `draw --width 80`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from inspect import Parameter, Signature, signature
from typing import Any, get_type_hints

import msgspec


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """Base of a group; every option has a default."""


def grouped(command: Callable[..., None]) -> Callable[..., None]:
    """The command as typer is to see it: in the place of each parameter that is a Group, the options of that group."""
    hints = get_type_hints(command, include_extras=True)
    groups = {name: kind for name, kind in hints.items() if isinstance(kind, type) and issubclass(kind, Group)}

    def called(**given: Any) -> None:
        for name, group in groups.items():
            given[name] = group(**{field: given.pop(field) for field in group.__struct_fields__})
        command(**given)

    options: list[Parameter] = []
    for name, parameter in signature(command).parameters.items():
        options += _options_of(groups[name]) if name in groups else [_option(name, hints[name], parameter.default)]
    called.__name__, called.__doc__ = command.__name__, command.__doc__
    called.__annotations__ = {option.name: option.annotation for option in options}
    vars(called)["__signature__"] = Signature(options)  # what inspect.signature then answers
    return called


def _options_of(group: type[Group]) -> Iterator[Parameter]:
    hints = get_type_hints(group, include_extras=True)
    for field in msgspec.structs.fields(group):
        yield _option(field.name, hints[field.name], field.default)


def _option(name: str, hint: Any, default: Any) -> Parameter:
    return Parameter(name, Parameter.KEYWORD_ONLY, annotation=hint, default=default)
