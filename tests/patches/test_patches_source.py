"""Edits by structure: they find what they name, whatever its layout, and touch nothing else."""

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mmload.errors import UsageError
from mmload.patches.source import Source

TEXT = '''"""A module."""
import os
from package.one import first
from package.three import (
    third,
)
from packages import other


class Thing:
    size: int = 3

    def method(self, one, two):
        # Why this is done.
        # And how.
        self.value = make(
            one,  # the one
            "two",
        )

        if one:
            return one
        return two

    def other(self):
        return self.value
'''


def thing(text=TEXT):
    return Source("thing.py", text)


def test_a_statement_is_found_whatever_its_layout():
    source = thing()
    source.replace("Thing.method", "self.value = make(one, 'two')", "self.value = one")
    assert "        # And how.\n        self.value = one\n\n        if one:" in source.text


def test_what_is_put_in_takes_the_indentation_of_its_neighbour():
    source = thing()
    source.insert_before("Thing.method", "return one", "if two:\n    pass")
    source.insert_after("Thing.method", "if one:", "\nlast = 1\n")
    assert (
        "        if one:\n            if two:\n                pass\n            return one\n        last = 1\n"
        in source.text
    )


def test_a_statement_goes_with_the_comment_above_it_and_one_of_two_blank_lines():
    source = thing()
    source.remove("Thing.method", "self.value = ...")
    assert "two):\n\n        if one:" in source.text.replace("self, one, ", "")
    assert "Why this is done" not in source.text


def test_definitions_keep_their_distance():
    source = thing()
    source.insert_definition("Thing.other", "def new(self):\n    pass")
    source.insert_definition("Thing", "class Before:\n    pass")
    source.remove_definition("Thing.method")
    assert (
        "import other\n\n\nclass Before:\n    pass\n\n\nclass Thing:\n    size: int = 3\n\n    def new" in source.text
    )
    assert "        pass\n\n    def other" in source.text


@pytest.mark.parametrize(
    ("module", "names", "expected"),
    [
        ("package.one", ["last"], "import os\nfrom package.one import first, last\nfrom"),
        ("package.three", ["a"], "from package.three import a, third\nfrom packages"),
        ("package.two", ["a"], ")\nfrom package.two import a\nfrom packages"),
        ("package.other", ["a"], "import first\nfrom package.other import a\nfrom package.three"),
        ("package.zero", ["a"], ")\nfrom package.zero import a\nfrom packages"),
        (
            "package.one",
            ["n" * 40, "m" * 40],
            f"from package.one import (\n    first,\n    {'m' * 40},\n    {'n' * 40},\n)\n",
        ),
    ],
)
def test_imports_join_those_of_their_package(module, names, expected):
    source = thing()
    source.import_names(module, *names)
    assert expected in source.text


@pytest.mark.parametrize(
    ("scope", "code", "said"),
    [
        ("Thing.method", "return three", "thing.py, Thing.method: `return three` stands there 0 times and not 1"),
        ("Thing.gone", "return two", "thing.py: `Thing.gone` stands there 0 times and not 1"),
        ("Thing", "return ...", "thing.py, Thing: `return ...` stands there 3 times and not 1"),
    ],
)
def test_what_does_not_stand_there_once_is_refused_by_name(scope, code, said):
    source = thing()
    with pytest.raises(UsageError) as refused:
        source.replace(scope, code, "pass")
    assert str(refused.value) == said
    assert source.text == TEXT


def test_an_edit_that_leaves_no_python_is_refused():
    source = thing("def f():\n    return 1\n")
    with pytest.raises(UsageError, match=r"thing\.py can't be read as Python"):
        source.remove("f", "return 1")


def test_line_ends_stay_those_of_the_file():
    source = thing(TEXT.replace("\n", "\r\n"))
    source.insert_after("Thing.other", "return self.value", "pass\npass")
    source.import_names("package.one", "new")
    assert source.text.replace("\r\n", "").count("\n") == 0


@given(st.lists(st.sampled_from(["a = 1", "if b:\n    c = 2", "# note", "", "d = '''x\n y'''"]), max_size=8))
def test_an_edit_touches_no_line_but_its_own(body):
    body = [*body, "wanted = 0", *reversed(body)]
    text = "def f():\n" + "\n".join("    " + line.replace("\n ", "\n     ") for line in body) + "\n"
    source = thing(text)
    source.replace("f", "wanted = 0", "found = 1")
    assert source.text == text.replace("wanted = 0", "found = 1")
    ast.parse(source.text)
