"""A group of options is one parameter of a command and several options of its command line."""

from typing import Annotated

import pytest
import typer
from typer.testing import CliRunner

from mmload.commands.option_groups import Group, grouped


class Size(Group, frozen=True):
    width: Annotated[int, typer.Option(help="In cells.")] = 80
    tall: Annotated[bool, typer.Option("--tall/--low")] = False


@grouped
def draw(
    context: typer.Context, size: Size, what: Annotated[list[str] | None, typer.Argument()] = None, colour: str = "red"
) -> None:
    """Draw something."""
    print(what, size.width, size.tall, colour, context.get_parameter_source("width").name)


APP = typer.Typer()
APP.command()(draw)


@pytest.mark.parametrize(
    ("args", "said"),
    [
        ([], "None 80 False red DEFAULT"),
        (["a", "b", "--width", "9", "--tall", "--colour", "blue"], "['a', 'b'] 9 True blue COMMANDLINE"),
    ],
)
def test_its_fields_are_options_with_their_defaults(args, said):
    result = CliRunner().invoke(APP, args)
    assert result.output.strip() == said


def test_the_help_shows_them_as_any_other_option():
    said = CliRunner().invoke(APP, ["--help"]).output
    assert "Draw something." in said
    assert "In cells." in said
    assert "--tall" in said
    assert "--size" not in said
