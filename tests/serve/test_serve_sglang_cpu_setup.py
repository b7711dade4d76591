"""How the engine sglang-cpu is made: once, part by part, and nothing half-made stays."""

import contextlib
import fcntl
import os
import sys
import zipfile
from types import SimpleNamespace

import psutil
import pytest
from command import gone

from mmload.errors import FolderError, Interrupted, ServerError, UsageError
from mmload.serve.sglang_cpu import place, setup
from mmload.serve.sglang_cpu.place import CpuEngine
from mmload.serve.sglang_cpu.step import run_step

MAKERS = ("_make_environment", "_make_sglang", "_make_model")


class Steps:
    """The progress: which steps there were, and what was said."""

    def __init__(self):
        self.names, self.said = [], []

    @contextlib.contextmanager
    def step(self, name):
        self.names.append(name)
        yield self.said.append


@pytest.fixture
def engine(tmp_path, monkeypatch):
    monkeypatch.setenv("MMLOAD_CACHE", str(tmp_path / "cache"))
    return CpuEngine.of("0.5.5")


@pytest.fixture
def makers(engine, monkeypatch):
    """Makers that write one file each; makers[name] may be replaced by what happens instead, once."""
    instead = {}

    def maker_of(name, part):
        def make(maker):
            part.folder.mkdir()
            (part.folder / "half").write_text("")
            (maker.temporary / "download").write_text("")
            if name == MAKERS[0]:
                engine.python.parent.mkdir()
                engine.python.touch()
            instead.pop(name, lambda: None)()

        return make

    for name, part in zip(MAKERS, engine.parts, strict=True):
        monkeypatch.setattr(setup, name, maker_of(name, part))
    return instead


def set_up(engine, check=lambda: None):
    steps = Steps()
    setup.set_up(engine, steps, check)
    return steps.names


def raiser(error):
    def raise_it():
        raise error

    return raise_it


def folders(engine):
    return sorted(child.name for child in engine.folder.iterdir() if child.is_dir())


def test_all_parts_are_made_in_order_and_nothing_else_stays(engine, makers):
    assert set_up(engine) == ["environment", "sglang-0.5.5", "model"]
    assert engine.is_ready
    assert folders(engine) == sorted(part.folder.name for part in engine.parts)


def test_what_is_complete_is_kept(engine, makers):
    set_up(engine)
    assert set_up(engine) == []
    other = CpuEngine.of("0.5.6")
    assert not other.is_ready
    engine.parts.model.complete.unlink()
    assert set_up(engine) == ["model"]


@pytest.mark.parametrize("at", MAKERS)
@pytest.mark.parametrize("error", [ServerError("pip"), Interrupted(2), OSError(28, "No space left on device")])
def test_a_setup_that_was_stopped_goes_on_where_it_stopped(engine, makers, at, error):
    makers[at] = raiser(error)
    with pytest.raises(FolderError if isinstance(error, OSError) else type(error)):
        set_up(engine)
    done = MAKERS.index(at)
    assert folders(engine) == sorted(part.folder.name for part in engine.parts[:done])
    assert len(set_up(engine)) == len(MAKERS) - done
    assert engine.is_ready


def test_an_environment_whose_python_is_gone_is_made_anew(engine, makers):
    set_up(engine)
    engine.python.unlink()
    assert set_up(engine) == ["environment"]


def test_what_a_killed_setup_left_is_swept_and_nothing_of_others(engine, makers):
    for name in ("environment-00000000", "sglang-0.5.5-00000000", "tmp"):
        (engine.folder / name).mkdir(parents=True)
    kept = ("environment", "sglang-src", "mine")
    for name in kept:
        (engine.folder / name).mkdir()
    set_up(engine)
    assert folders(engine) == sorted([*kept, *(part.folder.name for part in engine.parts)])


def test_a_second_setup_waits_for_the_first_and_finds_its_work_done(engine, makers):
    engine.folder.mkdir(parents=True)
    with (engine.folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)

        def first_ends():
            for part in engine.parts:
                part.folder.mkdir(exist_ok=True)
                part.complete.touch()
            engine.python.parent.mkdir(exist_ok=True)
            engine.python.touch()
            fcntl.flock(lock, fcntl.LOCK_UN)

        assert set_up(engine, check=first_ends) == ["waiting for another setup"]


def test_a_setup_that_waits_can_be_interrupted(engine, makers):
    engine.folder.mkdir(parents=True)
    with (engine.folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(Interrupted):
            set_up(engine, check=raiser(Interrupted(2)))


def test_a_disk_with_too_little_room_is_refused_before_anything_is_fetched(engine, makers, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=1e9))
    with pytest.raises(FolderError, match=r"environment takes 2\.3 GB, and .* has 1\.0 GB left") as refusal:
        set_up(engine)
    assert "MMLOAD_CACHE" in refusal.value.hint
    assert folders(engine) == []


def test_a_folder_that_cannot_be_made_is_an_error_of_the_folder(engine, makers, tmp_path):
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(FolderError, match="Not a directory"):
        set_up(engine)


def test_the_running_python_is_taken_where_the_pins_are_for_it(monkeypatch):
    own = f"{sys.version_info.major}.{sys.version_info.minor}"
    assert setup.find_python(("3.1", own)) == sys.executable


def test_another_python_is_looked_for_on_the_path(monkeypatch, tmp_path):
    for name, text in (("python3.1", "exit 1"), ("python3.2", "exit 0")):
        (tmp_path / name).write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    assert setup.find_python(("3.1", "3.2")) == str(tmp_path / "python3.2")
    with pytest.raises(UsageError, match=r"needs Python 3\.1; this is 3\.\d+") as refusal:
        setup.find_python(("3.1",))
    assert "install Python 3.1" in refusal.value.hint


def shell(text, check=lambda: None):
    said = []
    run_step(["sh", "-c", text], os.environ, said.append, check)
    return said


def test_a_step_passes_on_what_its_command_says():
    assert shell("echo one; echo two >&2; printf three") == ["one", "two", "three"]


def test_a_step_that_fails_says_its_last_lines_and_where_packages_come_from():
    with pytest.raises(ServerError, match=r"`sh -c .* exit code 3: d\ne\nf\ng") as failure:
        shell("for each in a b c d e f g; do echo $each; done; exit 3")
    assert "pip config list" in failure.value.hint


def test_a_step_that_fills_the_disk_is_an_error_of_the_folder():
    with pytest.raises(FolderError, match="No space left on device"):
        shell("echo 'OSError: [Errno 28] No space left on device'; echo more; exit 1")


@pytest.mark.live
def test_an_interrupted_step_is_gone_with_its_children():
    child = []

    def check():
        if child:
            raise Interrupted(2)

    with pytest.raises(Interrupted):
        run_step(
            ["sh", "-c", "sleep 600 & echo $!; wait"],
            os.environ,
            lambda line: child.append(psutil.Process(int(line))),
            check,
        )
    assert gone(child)


def a_wheel(folder, name, version, files):
    info = f"{name}-{version}.dist-info"
    files = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/RECORD": "",
    }
    folder.mkdir(exist_ok=True)
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as archive:
        for path, text in files.items():
            archive.writestr(path, text)


SGLANG = {
    "sglang/__init__.py": "",
    "sglang/launch_server.py": "",
    "sglang/srt/__init__.py": "",
    "sglang/srt/entrypoints/__init__.py": "",
    "sglang/srt/entrypoints/http_server.py": "def set_global_state(state): ...",
    "sglang/srt/managers/__init__.py": "",
    "sglang/srt/managers/scheduler.py": "from triton import jit; import newer",
    "sglang/srt/models/__init__.py": "",
    "sglang/srt/models/registry.py": "class ModelRegistry:\n    models = {'Qwen2_5_VLForConditionalGeneration': 1}",
}


@pytest.mark.live
def test_pip_fetches_everything_and_a_missing_package_stops_it_with_pips_own_words(tmp_path, monkeypatch):
    wheels = tmp_path / "wheels"
    a_wheel(wheels, "torch", "1", {"torch.py": ""})
    a_wheel(wheels, "newer", "1", {"newer.py": ""})
    script = tmp_path / "make_model.py"
    script.write_text("import sys, pathlib; pathlib.Path(sys.argv[1]).mkdir(); print('model made')")
    document = {"about": "", "version": "1", "torch": "torch==1", "packages": ["newer==1"], "flags": []}
    document |= {"pythons": [f"3.{sys.version_info.minor}"], "environment": {}, "versions": {"1": {}}}
    config = place.msgspec.convert(document, place.CpuEngineConfig)
    for module in (place, setup):
        monkeypatch.setattr(module, "MAKE_MODEL", script)
    for name, value in {"NO_INDEX": "1", "FIND_LINKS": str(wheels), "CONFIG_FILE": os.devnull}.items():
        monkeypatch.setenv(f"PIP_{name}", value)
    engine, steps = CpuEngine(tmp_path / "cache", "1", config), Steps()

    with pytest.raises(ServerError, match="No matching distribution found for sglang==1"):
        setup.set_up(engine, steps, lambda: None)
    a_wheel(wheels, "sglang", "1", SGLANG)
    setup.set_up(engine, steps, lambda: None)

    assert steps.names == ["environment", "sglang-1", "sglang-1", "model"]
    assert steps.said[-1] == "model made"
    assert engine.is_ready
    assert (engine.package / "sglang" / "__pycache__").is_dir()
