"""The command lines that start servers."""

import os
import sys
from pathlib import Path

import pytest

from mmload.errors import UsageError
from mmload.serve import overlay
from mmload.serve.engines import start_command

HOOK = str(Path(overlay.__file__).parent / "hook")


@pytest.fixture(autouse=True)
def _sglang(monkeypatch):
    """SGLang in this very environment, as far as the command line goes."""
    monkeypatch.setenv("MMLOAD_SGLANG_PYTHON", sys.executable)
    monkeypatch.delenv("PYTHONPATH", raising=False)


def sglang(variant, *args, tp=4):
    return start_command("sglang", port=30000, tp=tp, variant=variant, model="M", args=args)


def environment_of(command):
    assert command[0] == "env"
    return dict(word.split("=", 1) for word in command[1 : command.index(sys.executable)])


def test_stock_sglang_is_started_as_a_user_would():
    words = (
        f"{sys.executable} -m sglang.launch_server --model-path M --host 127.0.0.1 --port 30000 --tp 4 --enable-metrics"
    )
    assert sglang("stock", "--mem-fraction-static", "0.8") == [*words.split(), "--mem-fraction-static", "0.8"]


def test_a_variant_is_hosted_by_a_hook_and_nothing_else_changes():
    command = sglang("commit")
    assert command[command.index(sys.executable) :] == sglang("stock")
    assert environment_of(command) == {
        "MMLOAD_HOOKS": "mmload.serve.overlay.install",
        "MMLOAD_OVERLAY_VARIANT": "commit",
        "PYTHONPATH": HOOK,
    }


def test_the_users_own_python_path_stays(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/theirs")
    assert environment_of(sglang("shm"))["PYTHONPATH"] == f"{HOOK}{os.pathsep}/theirs"


@pytest.mark.parametrize("arg", ["--tp", "--tp-size=8", "--tensor-parallel-size", "--port", "--model-path=x"])
def test_what_mmload_records_is_not_told_behind_its_back(arg):
    with pytest.raises(UsageError, match="among the engine's arguments") as error:
        sglang("stock", arg)
    assert "say it to mmload" in error.value.hint


def test_sglang_needs_a_model_and_an_environment(monkeypatch):
    with pytest.raises(UsageError, match="needs a model"):
        start_command("sglang", port=1, tp=1, variant="stock")
    monkeypatch.setenv("MMLOAD_SGLANG_PYTHON", "/no/such/python")
    with pytest.raises(UsageError, match="can't be executed"):
        sglang("stock")
    monkeypatch.delenv("MMLOAD_SGLANG_PYTHON")
    with pytest.raises(UsageError, match="not installed beside mmload"):
        sglang("stock")


@pytest.mark.parametrize(("engine", "variant"), [("sglan", "stock"), ("sglang", "comit")])
def test_the_nearest_name_is_said(engine, variant):
    with pytest.raises(UsageError, match="unknown") as error:
        start_command(engine, port=1, tp=1, variant=variant, model="M")
    assert "sglang" in error.value.hint or "commit" in error.value.hint
