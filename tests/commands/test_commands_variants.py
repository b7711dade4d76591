"""`mmload variants` as a user sees it: JSON and diffs alone on standard output, pictures that fit the page."""

import json

import pytest
from fake_sglang import git, write
from typer.testing import CliRunner

from mmload.cli import app
from mmload.errors import UsageError
from mmload.plan.variants import load_variants

VARIANTS = [card.name for card in load_variants()]


def variants(*args, **environment):
    return CliRunner().invoke(app, ["variants", *map(str, args)], env={"COLUMNS": "80", "NO_COLOR": "1", **environment})


@pytest.mark.parametrize("name", VARIANTS)
def test_a_card_and_its_picture_fit_eighty_columns(name):
    lines = variants("show", name).stdout.splitlines()
    assert max(map(len, lines)) <= 80
    assert any(line.startswith("tokenizer  [") for line in lines) == (name != "stock")


def test_a_picture_has_a_line_for_each_process_that_takes_part():
    shown = variants("show", "async-broadcast").stdout
    lanes = [line.split("  ")[0] for line in shown.splitlines() if line.startswith(("tokenizer  ", "rank "))]
    assert lanes == ["tokenizer", "rank 0", "rank 1..N"]
    assert shown.count("\n  thread  ") == 2
    assert "╰▶" in shown


def test_a_card_is_json_on_request():
    done = variants("show", "shm", "--json")
    card = json.loads(done.stdout)
    assert card["name"] == "shm"
    assert {"about", "origin", "hazards", "picture", "overlay", "patch"} <= set(card)


def test_the_list_names_every_variant_and_where_it_runs():
    assert [each["name"] for each in json.loads(variants("list", "--json").stdout)["variants"]] == VARIANTS
    listed = variants("list").stdout
    assert all(f"\n{name} " in f"\n{listed}" for name in VARIANTS)
    assert listed.count("stand-in; overlay ") == len(VARIANTS) - 1


def test_a_patch_stands_alone_on_standard_output_and_is_taken_as_it_comes(tmp_path):
    folder = write(tmp_path)
    done = variants("patch", "optimized", "--sglang", folder)
    assert done.exit_code == 0
    assert done.stdout.startswith("diff --git a/sglang/srt/managers/io_struct.py")
    assert "optimized for SGLang 0.5.5: 3 files" in done.stderr
    assert f"--sglang {folder} | git -C {folder} apply\n" in done.stderr
    git(folder, "apply", text=done.stdout)
    again = variants("patch", "optimized", "--sglang", folder)
    assert (again.exit_code, again.stdout) == (0, "")
    assert "nothing to patch: this SGLang carries the patch optimized already" in again.stderr


def test_where_no_patch_can_be_made_the_command_is_refused(tmp_path):
    done = variants("patch", "optimized", "--sglang", tmp_path)
    assert isinstance(done.exception, UsageError)
    assert done.stdout == ""
