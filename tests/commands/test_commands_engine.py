"""`mmload engine`: what can be started, and how it is made ready."""

import json
import os
import signal

import pytest
from command import gone
from typer.testing import CliRunner

from mmload.cli import app
from mmload.errors import UsageError
from mmload.serve.sglang_cpu.place import CpuEngine


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MMLOAD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("MMLOAD_SGLANG_PYTHON", str(tmp_path / "python"))
    return tmp_path / "cache" / "sglang-cpu"


def listed():
    result = CliRunner().invoke(app, ["engine", "list", "--json"])
    assert result.exit_code == 0, result.output
    return {row["name"]: row for row in json.loads(result.stdout)}


def complete(version):
    engine = CpuEngine.of(version)
    for part in engine.parts:
        part.folder.mkdir(parents=True, exist_ok=True)
        part.complete.write_text("x" * 5000)
    engine.python.parent.mkdir(exist_ok=True)
    engine.python.touch()


def test_every_engine_is_listed_with_its_state_and_what_to_type(cache):
    rows = listed()
    assert [(name, row["ready"]) for name, row in rows.items()] == [
        ("standin", True),
        ("sglang", False),
        ("sglang-cpu", False),
    ]
    assert "can't be executed" in rows["sglang"]["state"]
    assert rows["sglang-cpu"]["next"] == ["mmload engine setup sglang-cpu"]
    assert rows["sglang-cpu"]["disk_bytes"] is None


def test_versions_that_are_set_up_are_told_from_those_that_are_not(cache):
    complete("0.5.5")
    row = listed()["sglang-cpu"]
    assert row["ready"]
    assert [version for version, ready in row["versions"].items() if ready] == ["0.5.5"]
    assert row["state"].startswith("ready: 0.5.5; not set up: 0.5.6, ")
    assert row["next"] == ["mmload run --engine sglang-cpu:0.5.5 --rate 4", "mmload engine setup sglang-cpu"]
    assert row["folder"] == str(cache)
    assert row["disk_bytes"] >= 3 * 5000


def test_what_an_older_mmload_left_can_be_removed(cache):
    (cache / "model-00000000").mkdir(parents=True)
    (cache / "model-00000000" / "complete").touch()
    row = listed()["sglang-cpu"]
    assert row["state"].endswith("no longer used: model-00000000")
    assert row["next"][-1] == f"rm -r {cache / 'model-00000000'}"


def test_people_read_the_same(cache):
    complete("0.5.6")
    result = CliRunner().invoke(app, ["engine", "list"])
    assert result.exit_code == 0
    for words in ("standin ", "sglang ", "sglang-cpu ", "ready: 0.5.6", "mmload run --engine sglang-cpu --rate 4"):
        assert words in result.stdout


@pytest.mark.parametrize(
    ("args", "message", "hint"),
    [
        (["standin"], "the engine standin needs no setup", "mmload engine list"),
        (["sglang-gpu"], "unknown engine 'sglang-gpu'", "sglang-cpu"),
        (["sglang-cpu:0.4"], r"knows no SGLang 0\.4", "0.5.6"),
        (["sglang-cpu", "--sglang", "9"], "knows no SGLang 9", "0.5.6"),
        (["sglang-cpu:0.5.5", "--sglang", "0.5.6"], "both name a version", "leave one"),
    ],
)
def test_what_cannot_be_set_up_is_refused(args, message, hint):
    result = CliRunner().invoke(app, ["engine", "setup", *args])
    with pytest.raises(UsageError, match=message) as refusal:
        raise result.exception
    assert hint in refusal.value.hint


def test_a_run_of_an_engine_that_is_not_set_up_says_what_to_type():
    result = CliRunner().invoke(app, ["run", "--engine", "sglang-cpu:0.5.23", "--rate", "4"])
    assert isinstance(result.exception, UsageError)
    assert result.exception.hint == "mmload engine setup sglang-cpu:0.5.23"


@pytest.fixture
def setup_at_work(mmload, cache, monkeypatch):
    """A setup, and its children, while it makes the environment."""
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    command = mmload("engine", "setup", "sglang-cpu")
    command.until(lambda: list(cache.glob("environment-*/pyvenv.cfg")) and command.children())
    return command, command.children()


@pytest.mark.live
def test_ctrl_c_leaves_nothing_half_made(setup_at_work, cache):
    command, children = setup_at_work
    command.send(signal.SIGINT)
    assert command.finish().code == 130
    assert gone(children)
    assert [child.name for child in cache.iterdir()] == ["lock"]


@pytest.mark.live
def test_a_killed_setup_takes_its_children_along(setup_at_work):
    command, children = setup_at_work
    command.send(signal.SIGKILL)
    command.finish()
    assert gone(children)
